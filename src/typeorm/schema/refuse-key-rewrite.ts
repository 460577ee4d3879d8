import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { NodePool } from '../../endpoints/node-pool'
import { ShardedError } from '../../errors/sharded-error'
import { physicalName } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import { isEnum, modifiersOf, typeName } from '../binding/describe-entities'
import type { EntityBinding } from '../binding/entity-binding'

/** A column of a table that is there, with its type and modifiers as PostgreSQL writes them. */
interface FoundColumn {
  readonly schema: string
  readonly name: string
  readonly column: string
  /** Null where the table lacks the column. */
  readonly type: string | null
}

interface KeyColumn {
  readonly entity: string
  readonly schema: string
  readonly name: string
  readonly metadata: ColumnMetadata
}

const columnsText = `SELECT w.schema, w.name, w.attname AS column,
  CASE WHEN t.typtype = 'e' THEN 'enum' ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END AS type
FROM unnest($1::text[], $2::text[], $3::text[]) w (schema, name, attname)
JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = w.attname AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid`

/**
 * Refuses schema work that would write the shard keys of stored rows, which stay where they are: TypeORM changes the type of a column in
 * place (numeric(8,2) to numeric(8,1) rounds), or drops the column and adds it with its default. An empty table may change.
 *
 * @throws ShardedError TOPOLOGY_MISMATCH
 */
export async function refuseKeyRewrite(
  pool: Pick<NodePool, 'name' | 'query'>,
  shards: readonly Shard[],
  bindings: readonly EntityBinding[],
): Promise<void> {
  const own = bindings.filter(({ metadata }) => metadata.synchronize && metadata.tableType !== 'entity-child')
  const columns = shards.flatMap((shard) =>
    own.filter(({ entity }) => entity.group === shard.group).flatMap((binding) => keyColumnsOn(shard, binding)),
  )
  const names = [
    columns.map(({ schema }) => schema),
    columns.map(({ name }) => name),
    columns.map(({ metadata }) => metadata.databaseName),
  ]
  const stored: readonly FoundColumn[] = (await pool.query(columnsText, names)).rows
  const wantedAt = new Map(columns.map((one) => [placeOf(one, one.metadata.databaseName), one]))
  for (const found of stored) {
    const wanted = wantedAt.get(placeOf(found, found.column))
    if (!wanted || isAlike(wanted.metadata, found.type)) continue
    const { rows } = await pool.query(`SELECT FROM ${placeOf(found)} LIMIT 1`)
    if (rows.length === 0) continue
    const { entity, metadata } = wanted
    throw new ShardedError(
      'TOPOLOGY_MISMATCH',
      `synchronize() would write the shard key of stored rows: ${entity}.${metadata.propertyPath} is to be ${fullType(metadata)}, and is ${found.type ?? 'missing'} in ${placeOf(found)} of node ${pool.name}. To widen its type, change it yourself in the tables of all shards; for other keys, load the rows into a new group.`,
      {
        details: {
          entity,
          column: metadata.propertyPath,
          node: pool.name,
          stored: found.type,
          wanted: fullType(metadata),
        },
      },
    )
  }
}

const placeOf = (
  { schema, name }: { readonly schema: string; readonly name: string },
  ...column: readonly string[]
): string => [schema, name, ...column].map(quoted).join('.')

const keyColumnsOn = (shard: Shard, { entity, metadata, keyColumns }: EntityBinding): readonly KeyColumn[] =>
  keyColumns.map((column) => ({ entity: entity.name, ...physicalName(metadata.tableName, shard), metadata: column }))

/** The type of a column as PostgreSQL writes it. */
function fullType(column: ColumnMetadata): string {
  const { length, precision, scale } = modifiersOf(column)
  const name = typeName(column)
  if (isEnum(column)) return 'enum'
  if (length !== undefined) return `${name}(${length})`
  if (precision === undefined) return name
  return name.startsWith('timestamp')
    ? name.replace('timestamp', `timestamp(${precision})`)
    : `${name}(${precision},${scale})`
}

/** A precision that is not declared TypeORM leaves as it is. */
function isAlike(column: ColumnMetadata, found: string | null): boolean {
  const wanted = fullType(column)
  if (found === wanted) return true
  const isOpen = modifiersOf(column).precision === undefined && !wanted.startsWith('character')
  return isOpen && found?.replace(/\([\d,-]+\)/, '') === wanted
}
