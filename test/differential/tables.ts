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
  return { ...Object.fromEntries(sorted), times: await timesOf(side, names) }
}

/**
 * For each column of times that the database made, how many rows have the same: not which times these are, but that rows of one
 * transaction have one.
 */
async function timesOf(side: Side, names: readonly EntityName[]): Promise<readonly string[]> {
  const tables = side.tables.filter((table) => names.includes(table.entity))
  const counts = new Map<string, Map<string, number>>()
  await Promise.all(
    [...groupByClient(tables)].map(async ([client, own]) => {
      const arms = own.flatMap((table) => timesText(side, table) ?? [])
      if (arms.length === 0) return
      const result = await client.query<{ column: string; time: string; rows: number }>(arms.join(' UNION ALL '))
      for (const { column, time, rows } of result.rows) {
        const times = counts.get(column) ?? new Map<string, number>()
        counts.set(column, times.set(time, (times.get(time) ?? 0) + rows))
      }
    }),
  )
  return [...counts].map(([column, times]) => `${column} ${[...times.values()].sort((a, b) => a - b)}`).sort()
}

function timesText({ dataSource }: Side, { entity, name }: Table): string | undefined {
  const values = columnsStored(dataSource.getMetadata(entities[entity]))
    .filter(isMade)
    .map(({ databaseName }) => {
      const value = `"${databaseName}"`
      return `('${entity}.${databaseName}', CASE WHEN ${value} >= ${made} THEN ${value}::text END)`
    })
  if (values.length === 0) return undefined
  return `SELECT c AS column, v AS time, count(*)::int AS rows FROM ${name}, LATERAL (VALUES ${values.join(', ')}) x(c, v) WHERE v IS NOT NULL GROUP BY c, v`
}

/** The database says when. */
const isMade = ({ isCreateDate, isUpdateDate, isDeleteDate, default: given }: ColumnMetadata): boolean =>
  isCreateDate || isUpdateDate || isDeleteDate || typeof given === 'function'

/**
 * The number of rows of each entity, and the sum of their hashes: equal where the rows are, in whatever order, and cheaper than
 * the rows themselves.
 */
export async function checksums(side: Side, names: readonly EntityName[]): Promise<Readonly<Record<string, string>>> {
  const byClient = groupByClient(side.tables.filter((table) => names.includes(table.entity)))
  const sums = new Map<string, { rows: bigint; hash: bigint }>(names.map((name) => [name, { rows: 0n, hash: 0n }]))
  await Promise.all(
    [...byClient].map(async ([client, tables]) => {
      const text = tables.map((table) => {
        const row = columnsOf(side, table).map(([, value]) => value)
        const hash = `hashtextextended(ROW(${row.join(', ')})::text, 0)::numeric`
        return `SELECT '${table.entity}' AS entity, count(*) AS rows, coalesce(sum(${hash}), 0) AS hash FROM ${table.name}`
      })
      const result = await client.query<{ entity: string; rows: string; hash: string }>(text.join(' UNION ALL '))
      for (const { entity, rows, hash } of result.rows) {
        const sum = sums.get(entity)
        if (sum) sums.set(entity, { rows: sum.rows + BigInt(rows), hash: sum.hash + BigInt(hash) })
      }
    }),
  )
  const texts = [...sums].map(([name, { rows, hash }]) => [name, `${rows} rows, ${hash}`])
  return { ...Object.fromEntries(texts), times: (await timesOf(side, names)).join('; ') }
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
