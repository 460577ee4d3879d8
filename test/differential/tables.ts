import type { Client } from 'pg'
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

function rowText({ dataSource }: Side, { entity }: Table): string {
  const columns = dataSource.getMetadata(entities[entity]).columns.map((column) => {
    const name = `"${column.databaseName}"`
    const isMade = column.isCreateDate || column.isUpdateDate || column.isDeleteDate
    const text = isMade ? `CASE WHEN ${name} >= ${made} THEN 'made' ELSE ${name}::text END` : `${name}::text`
    return `'${column.databaseName}', ${text}`
  })
  return `json_strip_nulls(json_build_object(${columns.join(', ')}))::text`
}

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
