import type { EntitySchemaColumnOptions } from 'typeorm'
import { DataSource, EntitySchema } from 'typeorm'
import { hash, referenceSchema, shardedSchema } from '../../src/index'
import type { Placement } from './placements'
import { isNumbered, type ScriptColumn, type ScriptTable } from './script-tables'

/** Where an entity's rows go: to every node, or to the shards of a group by a column. */
export type EntityPlace = { readonly kind: 'reference' } | ShardedPlace

export interface ShardedPlace {
  readonly kind: 'sharded'
  readonly column: string
  readonly group: string
  /** The entity whose shards this one shares; undefined for the first of its group. */
  readonly first: string | undefined
}

const shardCount = 4

/** The most that an index has. */
const maxKeyColumns = 31

/** Types whose values can be keys. */
const keyTypes = new Set([
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'double precision',
  'text',
  'character varying',
  'character',
  'uuid',
  'boolean',
  'date',
  'timestamp without time zone',
  'timestamp with time zone',
  'bytea',
])

const columnOptions = (column: ScriptColumn, isPrimary: boolean): EntitySchemaColumnOptions => {
  const [first, second] = (column.modifiers ?? '').split(',').map(Number)
  const isNumeric = column.type === 'numeric'
  const isText = /^(?:character|bit)/.test(column.type)
  const says = column.byDefault !== null && !isNumbered(column) ? column.byDefault : undefined
  return {
    name: column.name,
    type: (column.labels ? 'enum' : column.type) as never, // The catalog's names are those that TypeORM knows.
    primary: isPrimary,
    nullable: column.isNullable && !isPrimary,
    ...(column.isArray && { array: true }),
    ...(column.labels && { enum: [...column.labels], enumName: column.type.split('.').at(-1) ?? column.type }),
    ...(first && isText && { length: first }),
    ...(first && !isText && { precision: first }),
    ...(column.collation !== null && { collation: column.collation }),
    ...(isNumeric && first && { scale: second ?? 0 }),
    ...(column.isGenerated
      ? { generatedType: 'STORED' as const, asExpression: says ?? '' }
      : says !== undefined && { default: () => says }),
  }
}

/**
 * A table as an entity. TypeORM wants a primary key: a table without one is given all of its columns, of which nothing follows, and the
 * constraint is dropped once the tables are made.
 */
export function tableEntity(table: ScriptTable, name: string, place: EntityPlace | undefined): EntitySchema {
  const sortable = table.columns
    .filter(({ isArray, isGenerated, type }) => !isArray && !isGenerated && keyTypes.has(type))
    .map((column) => column.name)
  const first =
    sortable.length > 0 ? sortable.slice(0, maxKeyColumns) : table.columns.slice(0, 1).map((column) => column.name)
  const primary = table.primaryKey ?? [...first, ...(place?.kind === 'sharded' ? [place.column] : [])]
  const schema = new EntitySchema({
    name,
    tableName: table.name,
    columns: Object.fromEntries(
      table.columns.map((column) => [column.name, columnOptions(column, primary.includes(column.name))]),
    ),
    uniques: (table.uniques ?? []).map((unique) => ({ name: unique.name, columns: [...unique.columns] })),
    checks: (table.checks ?? []).map((expression) => ({ expression })),
  })
  if (!place) return schema
  if (place.kind === 'reference') return referenceSchema(schema)
  const { first: leader } = place
  return shardedSchema(schema, {
    by: leader === undefined ? hash({ shards: shardCount }) : { colocatedWith: () => leader },
    shardKey: [place.column],
    options: { ...(leader === undefined && { group: place.group }), perShardUnique: true },
  })
}

const { supportedDataTypes } = new DataSource({ type: 'postgres' }).driver

/** Why a table cannot be an entity; undefined where it can. */
export function whyNoEntity(table: ScriptTable, placement: Placement | undefined): string | undefined {
  if (!['r', 'p'].includes(table.kind) || table.isPartition) return 'no table'
  if (table.columns.length === 0) return 'a table without columns'
  const strange = table.columns.find(
    ({ type, labels }) => !labels && !(supportedDataTypes as readonly string[]).includes(type),
  )
  if (strange) return `a column of the type ${strange.type}`
  if (placement?.kind !== 'distributed') return undefined
  const key = table.columns.find(({ name }) => name === placement.column)
  if (!key) return 'no such distribution column'
  return !key.isArray && (key.labels || keyTypes.has(key.type)) ? undefined : `a shard key of the type ${key.type}`
}
