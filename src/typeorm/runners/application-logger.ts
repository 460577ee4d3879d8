import type { Logger, QueryRunner } from 'typeorm'
import { ShardQueryRunner } from './shard-query-runner'

/** Tells a logger that the application brought of its own query runner, in place of a shard's. */
export class ApplicationLogger implements Logger {
  constructor(private readonly logger: Logger) {}

  logQuery(query: string, parameters?: unknown[], queryRunner?: QueryRunner): void {
    this.logger.logQuery(query, parameters, applicationOf(queryRunner))
  }

  logQueryError(error: string | Error, query: string, parameters?: unknown[], queryRunner?: QueryRunner): void {
    this.logger.logQueryError(error, query, parameters, applicationOf(queryRunner))
  }

  logQuerySlow(time: number, query: string, parameters?: unknown[], queryRunner?: QueryRunner): void {
    this.logger.logQuerySlow(time, query, parameters, applicationOf(queryRunner))
  }

  logSchemaBuild(message: string, queryRunner?: QueryRunner): void {
    this.logger.logSchemaBuild(message, applicationOf(queryRunner))
  }

  logMigration(message: string, queryRunner?: QueryRunner): void {
    this.logger.logMigration(message, applicationOf(queryRunner))
  }

  log(level: 'log' | 'info' | 'warn', message: unknown, queryRunner?: QueryRunner): void {
    this.logger.log(level, message, applicationOf(queryRunner))
  }
}

const applicationOf = (runner: QueryRunner | undefined): QueryRunner | undefined =>
  runner instanceof ShardQueryRunner ? runner.application : runner
