import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { physicalName } from '../../planning/bind-shard-names'
import { shardMark, withMark } from '../../planning/shard-mark'
import type { Shard } from '../../topology/shard'
import { bindMetadata, rebindForeignKeys, renameConstraints } from '../binding/bind-metadata'

export interface ShardTables {
  readonly shard: Shard
  /** The column whose values we make. Statements take it for one that the database generates; the table has no default. */
  readonly idColumnOf: (metadata: EntityMetadata) => ColumnMetadata | undefined
}

/**
 * The data source's own metadata as the schema builder is to see it for one shard: under the names of the shard's tables,
 * and with columns as the tables have them. Views of the originals: what a user changes in the metadata holds here too, and
 * to build metadata a second time would install its lazy relations on the same classes.
 */
export function schemaMetadata(
  metadatas: readonly EntityMetadata[],
  { shard, idColumnOf }: ShardTables,
): EntityMetadata[] {
  const views = new Map(metadatas.map((metadata) => [metadata, viewOf(metadata, {})]))
  for (const [metadata, view] of views) viewParts(metadata, view, views, idColumnOf(metadata))
  const own = [...views.values()]
  // A table in a schema of all is marked in the statement that makes it; one in the shard's own schema, by that schema.
  if (shard.layout === 'table')
    for (const metadata of own) metadata.comment = withMark(metadata.comment, shardMark(shard, metadata.tableName))
  bindMetadata(own, (metadata) => physicalName(metadata.tableName, shard))
  if (shard.layout === 'table') renameConstraints(own, `_${shard.label}`)
  rebindForeignKeys(own)
  return own
}

/** Gives a view of an entity its own columns, indexes and constraints: to change them leaves the originals as they are. */
function viewParts(
  metadata: EntityMetadata,
  view: EntityMetadata,
  views: ReadonlyMap<EntityMetadata, EntityMetadata>,
  idColumn: ColumnMetadata | undefined,
): void {
  const viewed = (other: EntityMetadata): EntityMetadata => views.get(other) ?? other
  const columns = new Map(
    metadata.columns.map((column) => [
      column,
      viewOf(column, { entityMetadata: view, ...(column === idColumn && { isGenerated: false }) }),
    ]),
  )
  const column = (one: ColumnMetadata): ColumnMetadata => columns.get(one) ?? one
  const parts = new Map<object, object>()
  /** One view a part: indexes stand in `indices` and in `ownIndices`. */
  const part = <Part extends object & { columns?: ColumnMetadata[] }>(one: Part): Part => {
    const known = parts.get(one)
    // The map gives for a part a view of that part.
    if (known) return known as Part
    const made = viewOf(one, { entityMetadata: view, ...(one.columns && { columns: one.columns.map(column) }) })
    parts.set(one, made)
    return made
  }
  Object.assign(view, {
    columns: [...columns.values()],
    primaryColumns: metadata.primaryColumns.map(column),
    indices: metadata.indices.map(part),
    ownIndices: metadata.ownIndices.map(part),
    uniques: metadata.uniques.map(part),
    ownUniques: metadata.ownUniques.map(part),
    checks: metadata.checks.map(part),
    exclusions: metadata.exclusions.map(part),
    foreignKeys: metadata.foreignKeys.map((foreignKey) =>
      viewOf(foreignKey, {
        entityMetadata: view,
        referencedEntityMetadata: viewed(foreignKey.referencedEntityMetadata),
      }),
    ),
  })
}

/** An object that has all of another's properties, and others in place of some. */
function viewOf<T extends object>(original: T, own: object): T {
  return Object.assign(Object.create(original), own)
}
