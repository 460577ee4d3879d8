import type { EntityMetadata } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import { sqlState } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import { physicalName } from '../../planning/bind-shard-names'
import { columnTypesText, typesOf } from '../../planning/describe-query'
import { isFailedCheck } from '../../planning/schema-check'
import { learnType } from '../binding/sort-column'
import type { ReadScope } from './find-query'

/**
 * Runs a read whose statements carry the types that it was planned for. If the tables have others, since they were altered or are declared
 * otherwise, the types are learnt, and the read is planned and run once more.
 *
 * @throws ShardedError PLAN_STALE in a transaction, which the server has aborted, and while the shards of a table differ
 */
export async function withTrueTypes<T>(scope: ReadScope, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    // What a plan makes of a value (`extract`, `enum_range`) may not exist for the type that a column has.
    if (!sqlState(error)?.startsWith('42')) throw error
    const hasNews = await learnTypes(scope).catch(() => false)
    if (!hasNews && !isFailedCheck(error, '')) throw error
    if (!hasNews || scope.access.transaction) throw typesDiffer(scope, error)
    return read().catch((again: unknown) => {
      throw isFailedCheck(again, '') ? typesDiffer(scope, again) : again
    })
  }
}

const typesDiffer = ({ binding: { entity } }: ReadScope, cause: unknown): ShardedError =>
  new ShardedError(
    'PLAN_STALE',
    `The tables of ${entity.name} have other types than a read was planned for, or not the same on all shards: ${String(cause)}.`,
    { details: { entity: entity.name }, cause },
  )

/** Asks a shard for the types of the columns of all entities that stand there. @returns true if one is not as it was known */
async function learnTypes({ access, binding, shards: [shard] }: ReadScope): Promise<boolean> {
  if (!shard) return false
  const entities = new Map<string, EntityMetadata[]>()
  for (const metadata of binding.metadata.dataSource.entityMetadatas) {
    const { schema, name } = physicalName(metadata.tableName, shard)
    pushTo(entities, `${schema}.${name}`, metadata)
  }
  const names = [...entities.keys()]
  const { rows } = await access.runtime.pool(shard.node).background.query(columnTypesText, [names])
  let hasNews = false
  for (const [index, type] of typesOf(rows).entries()) {
    const { table, column: name } = rows[index] ?? {}
    for (const { columns } of entities.get(String(table)) ?? [])
      for (const column of columns) if (column.databaseName === name) hasNews = learnType(column, type) || hasNews
  }
  return hasNews
}
