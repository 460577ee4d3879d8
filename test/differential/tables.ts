import type { Client } from 'pg'
import type { EntityMetadata } from 'typeorm'
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
  return Object.fromEntries([...rows].map(([name, list]) => [name, list.sort()]))
}

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
  return Object.fromEntries([...sums].map(([name, { rows, hash }]) => [name, `${rows} rows, ${hash}`]))
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
    const isMade = column.isCreateDate || column.isUpdateDate || column.isDeleteDate
    const text = isMade ? `CASE WHEN ${name} >= ${made} THEN 'made' ELSE ${name}::text END` : `${name}::text`
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
