import { type DataSource, QueryFailedError } from 'typeorm'
import type { StatementResult } from '../../endpoints/statement-result'
import { ApplicationLogger } from './application-logger'

/** A statement as its log and its error have it. */
interface LoggedStatement {
  readonly text: string
  readonly parameters: readonly unknown[]
}

/**
 * True where a statement of a shard's data source shows its query runner to the application: to subscribers, or to a logger that the
 * application brought. TypeORM's own loggers show it to nobody.
 */
export const showsRunner = ({ subscribers, logger }: DataSource): boolean =>
  subscribers.length > 0 || logger instanceof ApplicationLogger

/**
 * Sends a statement as `PostgresQueryRunner.query` does where nobody sees the query runner: the same logs and the same error. To make a
 * query runner, its manager and its broadcaster takes longer than all that they then do.
 *
 * @throws QueryFailedError
 */
export async function loggedQuery(
  { logger, options: { maxQueryExecutionTime } }: DataSource,
  { text, parameters }: LoggedStatement,
  send: () => Promise<StatementResult>,
): Promise<StatementResult> {
  const logged = [...parameters]
  logger.logQuery(text, logged)
  const startedAt = Date.now()
  try {
    const result = await send()
    const milliseconds = Date.now() - startedAt
    if (maxQueryExecutionTime && milliseconds > maxQueryExecutionTime) logger.logQuerySlow(milliseconds, text, logged)
    return result
  } catch (error) {
    // TypeORM tells its logger of whatever was thrown.
    const failure = error instanceof Error ? error : new Error(String(error))
    logger.logQueryError(failure, text, logged)
    throw new QueryFailedError(text, logged, failure)
  }
}
