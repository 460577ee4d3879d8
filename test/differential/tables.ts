import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { EntityName } from './entities'
import { entities } from './entities'
import type { Side, Table } from './world'

/** Times from here on were made by the database: they are compared as that. */
const made = "'2025-01-01'"

/** All rows of the entities, every column as the text that the database gives it, sorted. */
export async function contents(
  side: Side,
  names: readonly EntityName[],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const byClient = groupByClient(side.tables.filter((table) => names.includes(table.entity)))
  const rows = new Map<string, string[]>(names.map((name) => [name, []]))
  await Promise.all(
    [...byClient].map(async ([client, tables]) => {
      const text = tables.map(
        (table) => `SELECT '${table.entity}' AS entity, ${rowText(side, table)} AS row FROM ${table.name}`,
      )
      const result = await client.query<{ entity: string; row: string }>(text.join(' UNION ALL '))
      for (const { entity, row } of result.rows) rows.get(entity)?.push(row)
    }),
  )
  const sorted = [...rows].map(([name, list]) => [name, list.sort()])
  return { ...Object.fromEntries(sorted), times: (await checksums(side, names)).times }
}

/** The database says when. */
const isMade = ({ isCreateDate, isUpdateDate, isDeleteDate, default: given }: ColumnMetadata): boolean =>
  isCreateDate || isUpdateDate || isDeleteDate || typeof given === 'function'

interface Checksums {
  /** Of each entity the number of its rows, and the sum of their hashes. */
  readonly rows: readonly string[]
  /**
   * For each column of times that the database made, how many rows have the same: not which times these are, but that rows of one
   * transaction have one.
   */
  readonly times: readonly string[]
}

/** Equal where the rows are, in whatever order, and cheaper than the rows themselves. One statement asks each database for all of it. */
export async function checksums(side: Side, names: readonly EntityName[]): Promise<Checksums> {
  const sums = new Map<string, { rows: bigint; hash: bigint }>(names.map((name) => [name, { rows: 0n, hash: 0n }]))
  const counts = new Map<string, Map<string, number>>()
  await Promise.all(
    checksumStatements(side, names).map(async ({ client, name, text }) => {
      const result = await client.query<{ of: string; rows: string; value: string }>({ name, text })
      for (const { of, rows, value } of result.rows) {
        const sum = sums.get(of)
        if (sum) {
          sums.set(of, { rows: sum.rows + BigInt(rows), hash: sum.hash + BigInt(value) })
          continue
        }
        const times = counts.get(of) ?? new Map<string, number>()
        counts.set(of, times.set(value, (times.get(value) ?? 0) + Number(rows)))
      }
    }),
  )
  return {
    rows: [...sums].map(([name, { rows, hash }]) => `${name}: ${rows} rows, ${hash}`),
    times: [...counts].map(([column, times]) => `${column} ${[...times.values()].sort((a, b) => a - b)}`).sort(),
  }
}

interface ChecksumStatement {
  readonly client: Client
  readonly name: string
  readonly text: string
}

/** By side, then by the entities' names. */
const rememberedChecksums = new WeakMap<Side, Map<string, readonly ChecksumStatement[]>>()

/**
 * A statement for each database of a side. They run after each write, and have an arm for each table: planning takes PostgreSQL
 * many times as long as running, so they have names, and are planned once.
 */
function checksumStatements(side: Side, names: readonly EntityName[]): readonly ChecksumStatement[] {
  const ofSide = rememberedChecksums.get(side) ?? new Map<string, readonly ChecksumStatement[]>()
  rememberedChecksums.set(side, ofSide)
  const key = names.join()
  const known = ofSide.get(key)
  if (known) return known
  const byClient = groupByClient(side.tables.filter((table) => names.includes(table.entity)))
  const made = [...byClient].map(([client, tables]): ChecksumStatement => {
    const arms = tables.flatMap((table) => [rowsText(side, table), timesText(side, table) ?? []].flat())
    const text = arms.join(' UNION ALL ')
    return { client, name: createHash('sha1').update(text).digest('hex'), text }
  })
  ofSide.set(key, made)
  return made
}

function rowsText(side: Side, table: Table): string {
  const row = columnsOf(side, table).map(([, value]) => value)
  const hash = `hashtextextended(ROW(${row.join(', ')})::text, 0)::numeric`
  return `SELECT '${table.entity}' AS of, count(*) AS rows, coalesce(sum(${hash}), 0)::text AS value FROM ${table.name}`
}

/** Each column of times by the entity's name and its own, with each of its values. */
function timesText({ dataSource }: Side, { entity, name }: Table): string | undefined {
  const values = columnsStored(dataSource.getMetadata(entities[entity]))
    .filter(isMade)
    .map(({ databaseName }) => {
      const value = `"${databaseName}"`
      return `('${entity}.${databaseName}', CASE WHEN ${value} >= ${made} THEN ${value}::text END)`
    })
  if (values.length === 0) return undefined
  return `SELECT c, count(*), v FROM ${name}, LATERAL (VALUES ${values.join(', ')}) x(c, v) WHERE v IS NOT NULL GROUP BY c, v`
}

const rowText = (side: Side, table: Table): string => {
  const columns = columnsOf(side, table).map(([name, value]) => `'${name}', ${value}`)
  return `json_strip_nulls(json_build_object(${columns.join(', ')}))::text`
}

/** A computed column is none of the table. */
const columnsStored = ({ columns }: EntityMetadata) => columns.filter(({ isVirtualProperty }) => !isVirtualProperty)

/** The name of each column, and SQL for what is compared of it. */
const columnsOf = ({ dataSource }: Side, { entity }: Table): readonly (readonly [name: string, value: string])[] =>
  columnsStored(dataSource.getMetadata(entities[entity])).map((column) => {
    const name = `"${column.databaseName}"`
    const text = isMade(column) ? `CASE WHEN ${name} >= ${made} THEN 'made' ELSE ${name}::text END` : `${name}::text`
    return [column.databaseName, text]
  })

/** Empties the tables of the entities, children first. */
export async function empty(side: Side, names: readonly EntityName[]): Promise<void> {
  const tables = names.toReversed().flatMap((name) => side.tables.filter((table) => table.entity === name))
  await Promise.all(
    [...groupByClient(tables)].map(([client, own]) =>
      client.query(own.map((table) => `DELETE FROM ${table.name}`).join('; ')),
    ),
  )
}

function groupByClient(tables: readonly Table[]): ReadonlyMap<Client, Table[]> {
  const groups = new Map<Client, Table[]>()
  for (const table of tables) {
    const list = groups.get(table.client)
    if (list) list.push(table)
    else groups.set(table.client, [table])
  }
  return groups
}
