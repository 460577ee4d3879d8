import type { UnitKeys } from '../functions/sharding-function'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import type { FederatedColumn, FederatedMap, FederatedNode, FederatedPart, FederatedTable } from './federated-table'

/** Rows that a foreign scan fetches at once: with PostgreSQL's 100, a scan of many rows mostly waits. */
const fetchSize = 10_000

const partsSchema = (schema: string): string => `${schema}_parts`

const serverOf = ({ schema }: FederatedMap, node: string): string => quoted(`${schema}_${node}`)

const options = (given: Readonly<Record<string, string>>): string =>
  Object.entries(given)
    .map(([name, value]) => `${name} ${literal(value)}`)
    .join(', ')

/**
 * Drops what an earlier run made, and nothing else: without CASCADE, what others have built upon it stops the script, which
 * then changes nothing. The drop of a partitioned table takes its partitions along.
 */
const dropOld = (schemas: readonly string[]): string => `DO $drop$
DECLARE old record;
BEGIN
  FOR old IN
    SELECT format('DROP %s IF EXISTS %I.%I', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'p' THEN 'TABLE' ELSE 'FOREIGN TABLE' END, n.nspname, c.relname) AS text
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN (${schemas.map(literal).join(', ')}) AND c.relkind IN ('v', 'p', 'f')
    ORDER BY array_position('{v,p,f}', c.relkind::text)
  LOOP EXECUTE old.text; END LOOP;
  FOR old IN
    SELECT format('DROP TYPE %I.%I', n.nspname, t.typname) AS text
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname IN (${schemas.map(literal).join(', ')}) AND t.typtype = 'e'
  LOOP EXECUTE old.text; END LOOP;
END $drop$;`

/** The server and the right to log in: those that are there keep what an administrator has given them beside. */
function nodeStatements(map: FederatedMap, node: FederatedNode): readonly string[] {
  const server = serverOf(map, node.name)
  const address = { host: node.host, port: String(node.port), dbname: node.database }
  const fixed = {
    fetch_size: String(fetchSize),
    async_capable: 'true',
    ...(node.ssl && { sslmode: 'require' }),
    ...(map.extensions.length > 0 && { extensions: map.extensions.join(', ') }),
  }
  const set = Object.entries(address).map(([name, value]) => `SET ${name} ${literal(value)}`)
  const user = options({ user: node.username, ...(node.password !== undefined && { password: node.password }) })
  const hint = `-- ALTER USER MAPPING FOR CURRENT_USER SERVER ${server} OPTIONS (ADD password '…');`
  return [
    `CREATE SERVER IF NOT EXISTS ${server} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (${options({ ...address, ...fixed })});`,
    `ALTER SERVER ${server} OPTIONS (${set.join(', ')});`,
    `CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER ${server} OPTIONS (${user});`,
    ...(node.password === undefined ? [hint] : []),
  ]
}

const columnText = ({ name, type, collation, isNullable }: FederatedColumn): string =>
  `${quoted(name)} ${type}${collation === undefined ? '' : ` COLLATE ${quoted(collation)}`}${isNullable ? '' : ' NOT NULL'}`

/** The columns of a table that is here: each shard has an enum type of its own, and the coordinator has one for all. */
const ownColumn = ({ name, type, enum: own }: FederatedColumn): string =>
  own ? `${quoted(name)}::text${own.isArray ? '[]' : ''}::${type} AS ${quoted(name)}` : quoted(name)

function boundsText(keys: UnitKeys): string {
  if (keys.kind === 'rest') return 'DEFAULT'
  if (keys.kind === 'values') return `FOR VALUES IN (${keys.keys.map(literal).join(', ')})`
  const end = (key: string | null, open: string): string => (key === null ? open : literal(key))
  return `FOR VALUES FROM (${end(keys.from, 'MINVALUE')}) TO (${end(keys.to, 'MAXVALUE')})`
}

const remote = (map: FederatedMap, { node, schema, table }: FederatedPart): string =>
  `SERVER ${serverOf(map, node)} OPTIONS (${options({ schema_name: schema, table_name: table })});`

const nameOf = (schema: string, name: string): string => `${quoted(schema)}.${quoted(name)}`

/** Statements that make a table, and the names of its foreign tables. */
interface Made {
  readonly statements: readonly string[]
  readonly foreign: readonly string[]
}

/** PostgreSQL leaves out the partitions that cannot have rows of a condition on the key. A node's own come over a connection to itself. */
function partitioned(map: FederatedMap, table: FederatedTable, key: string): Made {
  const parent = nameOf(map.schema, table.name)
  const by = table.parts.some(({ keys }) => keys?.kind === 'interval') ? 'RANGE' : 'LIST'
  const columns = table.columns.map(columnText).join(', ')
  const statements = [`CREATE TABLE ${parent} (${columns}) PARTITION BY ${by} (${quoted(key)});`]
  for (const part of table.parts)
    if (part.keys)
      statements.push(
        `CREATE FOREIGN TABLE ${nameOf(partsSchema(map.schema), part.name)} PARTITION OF ${parent} ${boundsText(part.keys)} ${remote(map, part)}`,
      )
  return { statements, foreign: [parent] }
}

/** One view over the foreign tables, and over the tables that are on the coordinator itself. */
function united(map: FederatedMap, table: FederatedTable): Made {
  const columns = table.columns.map(columnText).join(', ')
  const names = table.columns.map(({ name }) => quoted(name)).join(', ')
  const statements: string[] = []
  const foreign: string[] = []
  const arms = table.parts.map((part) => {
    if (part.node === map.coordinator)
      return `SELECT ${table.columns.map(ownColumn).join(', ')} FROM ${nameOf(part.schema, part.table)}`
    const name = nameOf(partsSchema(map.schema), part.name)
    foreign.push(name)
    statements.push(`CREATE FOREIGN TABLE ${name} (${columns}) ${remote(map, part)}`)
    return `SELECT ${names} FROM ${name}`
  })
  statements.push(`CREATE VIEW ${nameOf(map.schema, table.name)} AS ${arms.join('\n  UNION ALL ')};`)
  return { statements, foreign }
}

const madeOf = (map: FederatedMap, table: FederatedTable): Made =>
  table.partitionKey === undefined ? united(map, table) : partitioned(map, table, table.partitionKey)

/** The enum types that the columns have, each once. */
function enumStatements({ tables }: FederatedMap): readonly string[] {
  const enums = tables.flatMap(({ columns }) => columns.flatMap((column) => column.enum ?? []))
  const texts = enums.map(({ type, values }) => `CREATE TYPE ${type} AS ENUM (${values.map(literal).join(', ')});`)
  return [...new Set(texts)]
}

/** The script that makes a coordinator, or brings one in line with another map: all of it or nothing, then its statistics. */
export function federationScript(map: FederatedMap): string {
  const schemas = [map.schema, partsSchema(map.schema)]
  const made = map.tables.map((table) => madeOf(map, table))
  const asked = new Set(
    map.tables.flatMap(({ parts, partitionKey }) =>
      parts.flatMap(({ node }) => (partitionKey === undefined && node === map.coordinator ? [] : node)),
    ),
  )
  const place = map.coordinator === undefined ? 'a database of its own' : `node ${map.coordinator}`
  return [
    `-- One database over the shards, for ${place}, by epoch ${map.epoch} of the shard map. Made by typeorm-sharded.`,
    '-- Run it with: psql --set ON_ERROR_STOP=1 --file. Run a new one when shards are added or have moved.',
    'BEGIN;',
    ...['postgres_fdw', ...map.extensions].map((name) => `CREATE EXTENSION IF NOT EXISTS ${quoted(name)};`),
    dropOld(schemas),
    ...schemas.map((name) => `CREATE SCHEMA IF NOT EXISTS ${quoted(name)};`),
    ...map.nodes.filter(({ name }) => asked.has(name)).flatMap((node) => nodeStatements(map, node)),
    ...enumStatements(map),
    ...made.flatMap(({ statements }) => statements),
    'COMMIT;',
    '-- Without statistics, PostgreSQL plans joins of foreign tables badly. This reads samples of all rows.',
    ...made.flatMap(({ foreign }) => foreign.map((name) => `ANALYZE ${name};`)),
    '',
  ].join('\n')
}
