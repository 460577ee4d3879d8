import type { DataSource } from 'typeorm'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { Statements } from '../statements/statements'

interface ViewParts {
  readonly runtime: ShardRuntime
  readonly statements: Statements
  /** Takes what is refused of each view. */
  readonly refusals: Refusals
}

/**
 * Looks at the views of the home node: PostgreSQL makes a view of tables of its own database, and rows of shards are not all
 * in one. The query of the view, asked of the data source, reads them all.
 */
export async function refuseViews(dataSource: DataSource, { runtime, statements, refusals }: ViewParts): Promise<void> {
  const views = dataSource.entityMetadatas.filter(
    ({ tableType, target }) => tableType === 'view' && !runtime.bindingOf(target),
  )
  for (const { name, expression } of views) {
    const text = typeof expression === 'function' ? expression(dataSource).getQuery() : expression
    const read = text === undefined ? undefined : await statements.understand(text)
    if (!read) continue
    const tables = [...new Set(read.analysis.uses.map(({ table }) => table.name))]
    refusals.attempt(() => {
      throw new ShardedError(
        'VIEW_OVER_SHARDS',
        `The view ${name} reads ${tables.join(', ')}, whose rows are on shards.`,
        { details: { entity: name, tables } },
      )
    })
  }
}
