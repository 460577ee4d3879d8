import { chunksOf } from '../../collections/chunks-of'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import { armTag, placeholderSchema } from '../../planning/bind-shard-names'
import { buildNodeStatements } from '../../planning/scatter-statement'
import type { InsertedRows } from '../../query/write-query'
import { knownValue } from '../../routing/known-value'
import type { Reference, ShardedTable } from '../../routing/table-catalog'
import { valueToFind } from '../../routing/value-to-find'
import { quoted } from '../../values/quoted'
import type { ShardAccess } from '../runners/shard-access'

/** Rows referred to that each arm of one statement asks for. */
const maxAsked = 20

/** A row that a foreign key of an inserted row refers to. */
interface Referred {
  readonly reference: Reference
  readonly values: readonly unknown[]
  /** The same for the same row. */
  readonly id: string
}

interface RowsByReference {
  readonly inserted: InsertedRows
  readonly placeBy: (columns: readonly string[], row: number) => number
}

/**
 * The shards of rows that lie where those are that they refer to, as the rows of a junction. Where a foreign key holds the
 * shard key, that tells; else all shards are asked. Of a row that none has the database says so, when it is referred to.
 *
 * @param given the rows, and `placeBy`: the shard of a row whose key is in these columns
 * @throws ShardedError KEY_MISSING where no shard has a row referred to, KEY_CONFLICT where they lie on different shards
 */
export async function placesByReference(
  access: ShardAccess,
  table: ShardedTable,
  { inserted, placeBy }: RowsByReference,
): Promise<readonly number[]> {
  const { references } = table
  if (references.length === 0)
    throw new ShardedError('KEY_MISSING', `${table.name} has no shard key, and refers to no row that has one.`, {
      details: { table: table.name },
    })
  const rows = inserted.rows.map((_, row) =>
    references.map((reference) => referredBy(table, { reference, inserted, row })),
  )
  const asked = rows.flat().filter(({ reference }) => reference.keyColumns === undefined)
  const found = await findReferred(access, table.group, asked)
  return rows.map((referred, row) => {
    const places = referred.map(({ reference: { keyColumns }, id }): readonly number[] => {
      if (!keyColumns) return found.get(id) ?? []
      return keyColumns.some((name) => valueIn(table, { inserted, row }, name) == null)
        ? []
        : [placeBy(keyColumns, row)]
    })
    const known = places.filter(({ length }) => length > 0)
    const [first] = known
    if (!first) throw refersToNone(table)
    const place = first.find((index) => known.every((one) => one.includes(index)))
    if (place === undefined) throw liesApart(access, table, places)
    return place
  })
}

interface InsertedRow {
  readonly inserted: InsertedRows
  readonly row: number
}

/** As the table will hold it. */
function valueIn(table: ShardedTable, { inserted, row }: InsertedRow, name: string): unknown {
  const { columns, rows, values } = inserted
  const node = rows[row]?.[columns.indexOf(name)]
  const known = node && knownValue(node, { parameter: (number) => values[number - 1] })
  return known && valueToFind(table, name, known)
}

function referredBy(
  table: ShardedTable,
  { reference, ...at }: InsertedRow & { readonly reference: Reference },
): Referred {
  const values = reference.columns.map((name) => valueIn(table, at, name))
  return { reference, values, id: JSON.stringify([reference.table, reference.referenced, values.map(String)]) }
}

/** The shards that have each row, by its id: one, but where a primary key was stored twice. */
async function findReferred(
  access: ShardAccess,
  group: string,
  asked: readonly Referred[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const shards = access.runtime.map.groups.get(group) ?? []
  const distinct = [...new Map(asked.map((one) => [one.id, one])).values()]
  const found = new Map<string, number[]>()
  for (const some of chunksOf(distinct, maxAsked)) {
    const { text, parameters } = questionOf(some)
    const statements = buildNodeStatements(
      shards.map((shard) => ({ shard, text, parameters })),
      { sharedParameters: true },
    )
    for (const row of (await access.query(statements)).flat())
      pushTo(found, some[Number(row['__row'])]?.id ?? '', Number(row['__arm']))
  }
  return found
}

/** Which of the rows a shard has, by their number. */
function questionOf(asked: readonly Referred[]): { readonly text: string; readonly parameters: readonly unknown[] } {
  const parameters: unknown[] = []
  const parts = asked.map(({ reference, values }, number) => {
    const conditions = reference.referenced.map((name, at) => `${quoted(name)} = $${parameters.push(values[at])}`)
    const from = `"${placeholderSchema}".${quoted(reference.table)}`
    return `SELECT ${armTag} AS "__arm", ${number} AS "__row" FROM ${from} WHERE ${conditions.join(' AND ')}`
  })
  return { text: parts.join(' UNION ALL '), parameters }
}

const refersToNone = ({ name, references }: ShardedTable): ShardedError =>
  new ShardedError(
    'KEY_MISSING',
    `A row of ${name} refers to no row of ${references.map(({ table }) => table).join(', ')}, and so has no shard.`,
    {
      details: { table: name, columns: references.flatMap(({ columns }) => columns) },
      fix: 'Insert the row that it refers to first.',
    },
  )

function liesApart(
  access: ShardAccess,
  { name, group, references }: ShardedTable,
  places: readonly (readonly number[])[],
): ShardedError {
  const shards = access.runtime.map.groups.get(group) ?? []
  const referred = references.map(({ table, columns }, at) => ({
    table,
    columns,
    shards: (places[at] ?? []).map((index) => shards[index]?.name),
  }))
  const where = referred.map((one) => `${one.table} (${one.columns.join(', ')}) on ${one.shards.join(', ') || 'none'}`)
  return new ShardedError('KEY_CONFLICT', `A row of ${name} refers to rows of several shards: ${where.join('; ')}.`, {
    details: { table: name, references: referred },
  })
}
