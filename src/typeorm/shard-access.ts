import { type EntityManager, QueryFailedError } from 'typeorm'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { NodeStatement } from '../planning/scatter-statement'
import type { Shard } from '../topology/shard'
import { BoundClient } from './bound-client'
import { ParticipantQueryRunner } from './participant-query-runner'
import type { ShardRuntime } from './shard-runtime'
import type { ShardTransaction } from './shard-transaction'

/** How an operation reaches shards: on connections of the pools, or on those of the transaction that it is part of. */
export class ShardAccess {
  constructor(
    readonly runtime: ShardRuntime,
    readonly transaction: ShardTransaction | undefined,
  ) {}

  /** Runs TypeORM's own operation on one shard. */
  async onShard<T>(shard: Shard, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    try {
      return await work(this.transaction ? await this.transaction.participant(shard) : this.runtime.managerOf(shard))
    } catch (error) {
      throw unwrap(error)
    }
  }

  /** Sends the statements of a scatter, all nodes at once; the answers come in the order of the statements. */
  async query(statements: readonly NodeStatement[]): Promise<readonly (readonly Row[])[]> {
    try {
      // In one order everywhere, as writes do: two transactions never wait for each other's connections.
      await this.transaction?.openNodes([...new Set(statements.map((one) => one.node))].sort())
      return await Promise.all(statements.map((statement) => this.send(statement)))
    } catch (error) {
      throw unwrap(error)
    }
  }

  private async send(statement: NodeStatement): Promise<readonly Row[]> {
    const [name = ''] = statement.shards
    const { shard, dataSource } = this.runtime.handle({ name })
    const parameters = [...statement.parameters]
    if (this.transaction) {
      const { queryRunner } = await this.transaction.participant(shard)
      return queryRunner?.query(statement.text, parameters)
    }
    const lease = await this.runtime.pool(statement.node).acquire(statement.shards.length === 1 ? name : undefined)
    try {
      const client = new BoundClient(lease.connection, (text) => text, statement.shards.length === 1 ? name : undefined)
      return await new ParticipantQueryRunner(dataSource, client).query(statement.text, parameters)
    } finally {
      lease.release()
    }
  }
}

/** TypeORM wraps whatever a statement throws; an error of a shard is thrown as itself. */
export function unwrap(error: unknown): unknown {
  return error instanceof QueryFailedError && error.driverError instanceof ShardedError ? error.driverError : error
}
