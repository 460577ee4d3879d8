import { QueryFailedError, type QueryRunner } from 'typeorm'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { Row } from '../../merging/row'
import { openRunner } from '../operations/open-runner'
import type { StreamSource } from '../reads/stream-entities'
import type { ShardAccess } from '../runners/shard-access'
import type { ScopedManager } from './routed-operations'

/** Streams the rows of a sharded entity, merged from cursors on every node. */
export function shardedSource(manager: ScopedManager, access: ShardAccess): StreamSource {
  const { dataSource } = manager
  const { runtime, statements } = dataSource
  const home = async (text: string, parameters: readonly unknown[]): Promise<QueryResult> => {
    const { runner, release } = borrowRunner(manager)
    try {
      return await runner.query(text, [...parameters], true)
    } finally {
      await release()
    }
  }
  return {
    manager,
    facts: () => runtime.nodes.map((node) => runtime.pool(node).sortFacts),
    rows: async function* (text, parameters) {
      const context = { access, home, openRunner: () => openRunner(dataSource), isExplicit: true }
      // The policy was asked when the operation was routed.
      yield* (await statements.engine()).stream(text, parameters, context)
    },
  }
}

/** Streams the rows of an unsharded entity as TypeORM's query builders stream; they fail as finds do. */
export function homeSource(manager: ScopedManager): StreamSource {
  const { runtime } = manager.dataSource
  return {
    manager,
    facts: () => [runtime.pool(runtime.map.home).sortFacts],
    rows: async (text, parameters) => {
      const { runner, release } = borrowRunner(manager)
      const stream = await runner.stream(text, [...parameters], release, release)
      stream.once('close', release)
      const rows: AsyncIterable<Row> = stream
      return withQueryErrors(rows, text, parameters)
    },
  }
}

/** The manager's query runner, or one for this work alone. */
function borrowRunner({ dataSource, queryRunner }: ScopedManager): {
  readonly runner: QueryRunner
  readonly release: () => Promise<void>
} {
  const runner = queryRunner ?? dataSource.createQueryRunner('slave')
  return { runner, release: async () => (runner === queryRunner ? undefined : runner.release()) }
}

/** Rows of a statement whose stream fails with the driver's error as it is: they fail as TypeORM's queries do. */
async function* withQueryErrors(
  rows: AsyncIterable<Row>,
  text: string,
  parameters: readonly unknown[],
): AsyncGenerator<Row, void, undefined> {
  try {
    yield* rows
  } catch (error) {
    throw error instanceof Error ? new QueryFailedError(text, [...parameters], error) : error
  }
}
