import type { Node } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import { armTag, placeholderSchema } from '../../planning/bind-shard-names'
import { buildNodeStatements } from '../../planning/scatter-statement'
import { knownValue } from '../../routing/known-value'
import type { ShardedTable } from '../../routing/table-catalog'
import { quoted } from '../../values/quoted'
import type { ShardAccess } from '../runners/shard-access'
import { maxArms } from './scatter-rows'

/** The rows of VALUES, by the names of their columns. */
export interface InsertedRows {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Node[])[]
  readonly values: readonly unknown[]
}

/**
 * The shards of rows that only a foreign key tells: those of the rows referred to.
 *
 * @throws ShardedError KEY_MISSING where no shard has them
 */
export async function placesByReference(
  access: ShardAccess,
  table: ShardedTable,
  { columns, rows, values }: InsertedRows,
): Promise<readonly number[]> {
  const [reference] = table.references
  const shards = access.runtime.map.groups.get(table.group) ?? []
  if (!reference)
    throw new ShardedError('KEY_MISSING', `${table.name} has no shard key, and refers to no row that has one.`, {
      details: { table: table.name },
    })
  const tuples = rows.map((row) =>
    reference.columns.map((name) => {
      const node = row[columns.indexOf(name)]
      return node && knownValue(node, { parameter: (number) => values[number - 1] })?.value
    }),
  )
  const conditions = reference.referenced.map((name, index) => `${quoted(name)} = $${index + 1}`).join(' AND ')
  const text = `SELECT ${armTag} AS "__arm" FROM "${placeholderSchema}".${quoted(reference.table)} WHERE ${conditions}`
  const places = new Map<string, number>()
  for (const tuple of tuples) {
    const key = JSON.stringify(tuple.map(String))
    if (places.has(key)) continue
    const statements = buildNodeStatements(
      shards.map((shard) => ({ shard, text, parameters: tuple })),
      { order: [], limit: undefined, sharedParameters: true, maxArms },
    )
    const [found] = (await access.query(statements)).flat()
    if (!found)
      throw new ShardedError(
        'KEY_MISSING',
        `A row of ${table.name} refers to no row of ${reference.table}, and so has no shard.`,
        {
          details: { table: table.name, columns: reference.columns },
        },
      )
    places.set(key, Number(found['__arm']))
  }
  return tuples.map((tuple) => places.get(JSON.stringify(tuple.map(String))) ?? 0)
}
