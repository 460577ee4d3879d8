import type { EntityMetadata } from 'typeorm'
import type { CheckMetadata } from 'typeorm/metadata/CheckMetadata'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { ExclusionMetadata } from 'typeorm/metadata/ExclusionMetadata'
import type { IndexMetadata } from 'typeorm/metadata/IndexMetadata'
import type { UniqueMetadata } from 'typeorm/metadata/UniqueMetadata'
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
  for (const [metadata, view] of views) viewParts(metadata, views, { view, idColumn: idColumnOf(metadata) })
  const own = [...views.values()]
  // In the layout `table` the statement that makes a table marks it; else the mark of the shard's own schema is enough.
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
  views: ReadonlyMap<EntityMetadata, EntityMetadata>,
  { view, idColumn }: { readonly view: EntityMetadata; readonly idColumn: ColumnMetadata | undefined },
): void {
  const viewed = (other: EntityMetadata): EntityMetadata => views.get(other) ?? other
  const columns = new Map(
    metadata.columns.map((column) => [
      column,
      viewOf(column, { entityMetadata: view, ...(column === idColumn && { isGenerated: false }) }),
    ]),
  )
  const column = (one: ColumnMetadata): ColumnMetadata => columns.get(one) ?? one
  /** Gives one view a part: indexes stand in `indices` and in `ownIndices`. */
  const partsOf = <Part extends object & { columns?: ColumnMetadata[] }>() => {
    const views = new Map<Part, Part>()
    return (one: Part): Part => {
      const known = views.get(one)
      if (known) return known
      const made = viewOf(one, { entityMetadata: view, ...(one.columns && { columns: one.columns.map(column) }) })
      views.set(one, made)
      return made
    }
  }
  const index = partsOf<IndexMetadata>()
  const unique = partsOf<UniqueMetadata>()
  Object.assign(view, {
    columns: [...columns.values()],
    primaryColumns: metadata.primaryColumns.map(column),
    indices: metadata.indices.map(index),
    ownIndices: metadata.ownIndices.map(index),
    uniques: metadata.uniques.map(unique),
    ownUniques: metadata.ownUniques.map(unique),
    checks: metadata.checks.map(partsOf<CheckMetadata>()),
    exclusions: metadata.exclusions.map(partsOf<ExclusionMetadata>()),
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
