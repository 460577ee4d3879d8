import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { captureNames } from '../../lookups/capture-sql'
import { constraintOn, type LookupColumn, type LookupEntry, type LookupTable } from '../../lookups/lookup-table'
import type { Lookup } from '../../model/lookup'
import type { Shard } from '../../topology/shard'
import { canonicalKey } from '../../values/canonical-key'
import type { EntityBinding } from './entity-binding'

/** A lookup where the model, TypeORM's metadata and the shards meet. */
export interface LookupBinding {
  readonly lookup: Lookup
  readonly table: LookupTable
  /** Its own shards, by the index of its sharding function. */
  readonly shards: readonly Shard[]
  /** The entity whose rows it finds. */
  readonly source: EntityBinding
}

/** PostgreSQL cuts longer names silently: in the layout `table`, those of several shards would then be one. */
const maxNameBytes = 63

/** @throws ShardedError LOOKUP_INVALID */
export function bindLookup(lookup: Lookup, source: EntityBinding, shards: readonly Shard[]): LookupBinding {
  const table = lookupTable(lookup, source)
  const named = [
    ...shards.map((shard) => constraintOn(table, shard)),
    ...source.shards.flatMap((shard) => captureNames(table, shard)),
  ]
  const long = named.find((name) => Buffer.byteLength(name) > maxNameBytes)
  if (long === undefined) return Object.freeze({ lookup, table, shards, source })
  throw new ShardedError(
    'LOOKUP_INVALID',
    `${lookup.entity.name}: the name "${long}" that ${lookup.name} needs is longer than ${maxNameBytes} bytes.`,
    { details: { entity: lookup.entity.name, lookup: lookup.name, name: long } },
  )
}

function lookupTable(lookup: Lookup, { entity, metadata }: EntityBinding): LookupTable {
  const values = lookup.columns.map(({ propertyPath, type }) => describe(metadata, propertyPath, type))
  const columns: LookupColumn[] = []
  const placeOf = (column: LookupColumn): number => {
    const known = columns.findIndex(({ name }) => name === column.name)
    return known < 0 ? columns.push(column) - 1 : known
  }
  for (const column of values) placeOf(column)
  const placesOf = (list: Lookup['columns']): readonly number[] =>
    Object.freeze(list.map(({ propertyPath, type }) => placeOf(describe(metadata, propertyPath, type))))
  const key = placesOf(entity.keyColumns)
  const primaryKey = placesOf(lookup.primaryKey)
  const { namingStrategy } = metadata.dataSource
  const names = values.map(({ name }) => name)
  return Object.freeze({
    name: lookup.name,
    columns: Object.freeze(columns),
    valueCount: values.length,
    key,
    primaryKey,
    isUnique: lookup.isUnique,
    constraint: lookup.isUnique
      ? (lookup.givenName ?? namingStrategy.uniqueConstraintName(metadata.tableName, names))
      : namingStrategy.primaryKeyName(lookup.name, names),
    source: Object.freeze({ table: metadata.tableName, group: entity.group }),
  })
}

function describe(metadata: EntityMetadata, path: string, type: LookupColumn['type']): LookupColumn {
  const column = columnAt(metadata, path)
  const isEnum = column.type === 'enum' || column.type === 'simple-enum'
  return Object.freeze({ name: column.databaseName, type, ...(isEnum && { isEnum }) })
}

function columnAt(metadata: EntityMetadata, path: string): ColumnMetadata {
  const column = metadata.findColumnWithPropertyPath(path)
  if (column) return column
  throw new RangeError(`${metadata.name} has no column ${path}`)
}

/** The entity as it would be if the lookup's values were its shard key: what reads conditions then reads them for the lookup. */
export function asKey(
  { lookup, shards }: LookupBinding,
  { entity, metadata }: EntityBinding,
): EntityBinding | undefined {
  const keyColumns = lookup.columns.map(({ propertyPath }) => metadata.findColumnWithPropertyPath(propertyPath))
  if (!keyColumns.every((column) => column !== undefined)) return undefined
  // An id carries a slot of the shard key, and not one of these values.
  const { id: _id, ...others } = entity
  return {
    entity: { ...others, keyColumns: lookup.columns, fn: lookup.fn },
    metadata,
    shards,
    keyColumns,
    id: undefined,
    slotColumns: [],
  }
}

/** The lookup's shard that keeps an entry. */
export function shardOfEntry(binding: LookupBinding, entry: LookupEntry): Shard {
  return shardOfValues(
    binding,
    binding.lookup.columns.map(({ type }, place) => {
      const text = entry[place] ?? ''
      // A value without a canonical text (a date before Christ) has one that the triggers always write alike.
      return canonicalKey(text, type) ?? text
    }),
  )
}

export function shardOfValues({ lookup, shards }: LookupBinding, values: readonly string[]): Shard {
  const shard = shards[lookup.fn.owner(values) ?? -1]
  if (shard) return shard
  throw new ShardedError('KEY_NOT_OWNED', `No shard of ${lookup.name} owns (${values.join(', ')}).`, {
    details: { entity: lookup.entity.name, lookup: lookup.name, values },
  })
}
