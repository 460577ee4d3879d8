import type { EntityMetadata } from 'typeorm'
import type { NodePool } from '../../endpoints/node-pool'
import { ShardedError } from '../../errors/sharded-error'
import { captureColumns, captureOf } from '../../lookups/capture-sql'
import { physicalName } from '../../planning/bind-shard-names'
import { isMarked, shardMark } from '../../planning/shard-mark'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import type { Lookups } from '../binding/lookups'

/** A table that schema work makes for a shard. */
interface ShardTable {
  readonly schema: string
  readonly name: string
  readonly mark: string
  /** Columns that it has under any version of the entity. */
  readonly columns: readonly string[]
}

/** What schema work makes, changes and drops for one shard. */
interface ShardObjects {
  readonly shard: Shard
  readonly tables: readonly ShardTable[]
}

/** A table of every shard of a group, without the suffix of one. */
interface GroupTable {
  readonly name: string
  readonly columns: readonly string[]
}

/**
 * All tables that schema work makes for a shard of a group.
 *
 * @param metadatas the entities of the group, with their junction and closure tables
 */
export function groupTables(
  group: string,
  metadatas: readonly EntityMetadata[],
  lookups: Lookups,
): readonly GroupTable[] {
  const ofEntities = metadatas.filter(isMade).map(({ tableName: name, primaryColumns }) => ({
    name,
    columns: primaryColumns.map(({ databaseName }) => databaseName),
  }))
  const ofLookups = lookups.all.flatMap(({ table: { name, columns } }) =>
    name === group ? [{ name, columns: columns.map((column) => column.name) }] : [],
  )
  const captured = lookups.ofGroup(group).length > 0 ? [{ name: captureOf(group), columns: captureColumns }] : []
  return [...ofEntities, ...ofLookups, ...captured]
}

/** @param metadatas as `groupTables` takes them */
export function shardObjects(shard: Shard, metadatas: readonly EntityMetadata[], lookups: Lookups): ShardObjects {
  const tables = groupTables(shard.group, metadatas, lookups).map(({ name, columns }) => tableFor(shard, name, columns))
  return Object.freeze({ shard, tables: Object.freeze(tables) })
}

/** Whether schema work makes the table of an entity: children of single-table inheritance stand in their parent's. */
const isMade = ({ tableType, synchronize }: EntityMetadata): boolean =>
  synchronize && tableType !== 'entity-child' && tableType !== 'view'

const tableFor = (shard: Shard, table: string, columns: readonly string[]): ShardTable =>
  Object.freeze({ ...physicalName(table, shard), mark: shardMark(shard, table), columns: Object.freeze(columns) })

/** Objects that one error lists. */
const maxListed = 20

/** What stands on a node under the name of a shard's schema or table. */
interface FoundSchema {
  readonly name: string
  readonly comment: string | null
  readonly isEmpty: boolean
}
interface FoundRelation {
  readonly schema: string
  readonly name: string
  readonly isTable: boolean
  readonly comment: string | null
  readonly columns: readonly string[]
}

const schemasText = `SELECT n.nspname AS name, pg_catalog.obj_description(n.oid, 'pg_namespace') AS comment,
  NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid) AS "isEmpty"
FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY($1::text[])`

const relationsText = `SELECT n.nspname AS schema, c.relname AS name, c.relkind IN ('r', 'p') AS "isTable",
  pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns
FROM unnest($1::text[], $2::text[]) w (schema, name)
JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name`

/**
 * Checks, before anything is changed or dropped on a node, that the objects under the names of shards were made for them: they
 * carry the shards' mark. An empty schema may be taken.
 *
 * @param adopt takes what has no mark, where its tables have the columns of the entities' primary keys
 * @throws ShardedError OBJECT_NOT_OURS
 */
export async function refuseForeignObjects(
  pool: Pick<NodePool, 'name' | 'query'>,
  shards: readonly ShardObjects[],
  adopt: boolean,
): Promise<void> {
  const own = shards.filter(({ shard }) => shard.layout === 'schema')
  const tables = shards.flatMap((one) => one.tables)
  const { rows } = await pool.query(schemasText, [own.map(({ shard }) => shard.name)])
  const schemas: readonly FoundSchema[] = rows
  const names = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)]
  const found: readonly FoundRelation[] = (await pool.query(relationsText, names)).rows
  const relations = new Map(found.map((relation) => [placeOf(relation), relation]))
  const foreign: string[] = []
  for (const { shard, tables: shardTables } of shards) {
    const unlike = shardTables.filter((table) => isUnlike(table, relations.get(placeOf(table))))
    if (shard.layout === 'table') {
      const others = adopt ? unlike : shardTables.filter((table) => isForeign(table, relations.get(placeOf(table))))
      foreign.push(...others.map((table) => `TABLE ${placeOf(table)}, whose comment lacks ${table.mark}`))
      continue
    }
    const schema = schemas.find(({ name }) => name === shard.name)
    const mark = shardMark(shard)
    if (!schema || schema.isEmpty || isMarked(schema.comment, mark) || (adopt && unlike.length === 0)) continue
    foreign.push(`SCHEMA ${quoted(shard.name)}, whose comment lacks ${mark}`)
  }
  if (foreign.length > 0) throw notOurs(pool.name, foreign)
}

const placeOf = ({ schema, name }: Pick<ShardTable, 'schema' | 'name'>): string => `${quoted(schema)}.${quoted(name)}`

/** A lookup's own table says in its comment what it was made for, and always did. */
const isLookup = (comment: string | null): boolean => comment?.startsWith('{"columns":[{"name":') ?? false

const isForeign = (table: ShardTable, found: FoundRelation | undefined): boolean =>
  found !== undefined && !(found.isTable && (isMarked(found.comment, table.mark) || isLookup(found.comment)))

/** Something that cannot be the table: it lacks columns which that has had from the beginning. */
const isUnlike = ({ columns }: ShardTable, found: FoundRelation | undefined): boolean =>
  found !== undefined && !(found.isTable && columns.every((name) => found.columns.includes(name)))

function notOurs(node: string, foreign: readonly string[]): ShardedError {
  const more = foreign.length > maxListed ? ` and ${foreign.length - maxListed} more` : ''
  return new ShardedError(
    'OBJECT_NOT_OURS',
    `Node ${node} has objects under the names of shards that were not made for these shards: ${foreign.slice(0, maxListed).join('; ')}${more}. Nothing was changed there.`,
    { details: { node, objects: foreign.slice(0, maxListed), count: foreign.length } },
  )
}
