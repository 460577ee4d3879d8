import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { DriverUtils } from 'typeorm/driver/DriverUtils'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { chunksOf } from '../../collections/chunks-of'
import { pushTo } from '../../collections/push-to'
import { armTag } from '../../planning/bind-shard-names'
import { buildNodeStatements } from '../../planning/scatter-statement'
import type { Arm } from '../../query/arm-source'
import type { Shard } from '../../topology/shard'
import { hasPerShardTypes, typeName } from '../binding/describe-entities'
import { type EntityBinding, keyOf } from '../binding/entity-binding'
import { shardsOfObject } from '../binding/entity-ids'
import { shardAt } from '../binding/entity-shards'
import { primaryKeyText } from '../binding/primary-key-text'
import { ArmQueryBuilder } from '../find/arm-query-builder'
import { transformEach } from '../hydration/hydrate'
import type { ShardAccess } from '../runners/shard-access'

/** Primary keys in one look-up, below the protocol's limit on parameters. */
const chunkSize = 5_000

/** Where a primary key was found, and the shard key that its row has. */
export interface Located {
  readonly shard: Shard
  readonly key: readonly string[] | undefined
  /** The same as an entity would have it, where the row was read. */
  readonly values?: readonly unknown[]
}

/** Who is asked for rows: an operation, or whoever stands for one. */
export interface RowSource {
  readonly runtime: ShardAccess['runtime']
  query(statements: Parameters<ShardAccess['query']>[0]): ReturnType<ShardAccess['query']>
}

/**
 * Asks all shards which of them hold the primary keys of these objects: one statement a node and chunk. Where all their ids
 * tell their shards, only those are asked.
 * Rows that were soft-deleted count too.
 *
 * @returns by the text of the primary key; of a key on several shards, all of them
 */
export async function locateRows(
  access: RowSource,
  binding: EntityBinding,
  objects: readonly ObjectLiteral[],
): Promise<ReadonlyMap<string, readonly Located[]>> {
  const found = new Map<string, Located[]>()
  for (const some of chunksOf(objects, chunkSize)) await locateChunk(access, binding, { objects: some, found })
  return found
}

/** As `locateRows`, for one object; of a key on several shards, any of them. */
export async function locateRow(
  access: RowSource,
  binding: EntityBinding,
  object: ObjectLiteral,
): Promise<Located | undefined> {
  const located = await locateRows(access, binding, [object])
  return located.get(primaryKeyText(binding.metadata, object))?.[0]
}

/** The shards that can hold rows of these objects: all, but where every id tells its own. */
function candidates(binding: EntityBinding, objects: readonly ObjectLiteral[]): readonly Shard[] {
  const found = new Set<Shard>()
  for (const object of objects) {
    const own = shardsOfObject(binding, object)
    if (!own) return binding.shards
    for (const shard of own) found.add(shard)
  }
  return [...found].sort((a, b) => a.index - b.index)
}

const arrayTypes = new Set(['smallint', 'integer', 'bigint', 'uuid', 'text', 'character varying'])

/**
 * The primary key's column where an array of it says what an IN list says. One parameter then serves any number of keys:
 * the text stays short over many shards, always the same, and so is prepared.
 */
function arrayKey({ primaryColumns }: EntityMetadata): ColumnMetadata | undefined {
  const [column, another] = primaryColumns
  if (!column || another || column.transformer || column.relationMetadata) return undefined
  return arrayTypes.has(typeName(column)) ? column : undefined
}

async function locateChunk(
  access: RowSource,
  binding: EntityBinding,
  { objects, found }: { readonly objects: readonly ObjectLiteral[]; readonly found: Map<string, Located[]> },
): Promise<void> {
  const { metadata } = binding
  const shards = candidates(binding, objects)
  const [first] = shards
  if (!first) return
  const builder = ArmQueryBuilder.find<ObjectLiteral>(access.runtime.handle(first).dataSource, metadata, {
    loadEagerRelations: false,
    withDeleted: true,
  })
  const columns = new Set([...metadata.primaryColumns, ...binding.keyColumns])
  builder.select([...columns].map((column) => `${metadata.name}.${column.propertyPath}`)).addSelect(armTag, '__arm')
  builder.setOption('disable-global-order')
  const single = arrayKey(metadata)
  if (single) {
    const path = `${metadata.name}.${single.propertyPath}`
    builder.where(`${path} = ANY(:located)`, { located: objects.map((object) => single.getEntityValue(object)) })
  } else {
    builder.whereInIds(objects.map((object) => metadata.getEntityIdMap(object)))
  }
  const statement = builder.statement()
  const arms = shards.map((shard): Arm => ({ shard, ...statement }))
  const statements = buildNodeStatements(arms, { sharedParameters: !hasPerShardTypes(metadata) })
  const rows = (await access.query(statements)).flat()
  for (const [index, entity] of transformEach(undefined, builder, rows).entries()) {
    if (!entity) continue
    setKey(binding, entity, rows[index] ?? {})
    const values = binding.keyColumns.map((column): unknown => column.getEntityValue(entity))
    const place = { shard: shardAt(binding, Number(rows[index]?.['__arm'])), key: keyOf(binding, entity), values }
    pushTo(found, primaryKeyText(metadata, entity), place)
  }
}

/** TypeORM gives no entity the value of a join column that has no property of its own: it is taken from the row. */
function setKey({ metadata, keyColumns }: EntityBinding, entity: ObjectLiteral, row: ObjectLiteral): void {
  const { driver } = metadata.dataSource
  for (const column of keyColumns) {
    if (!column.isVirtual || column.getEntityValue(entity) !== undefined) continue
    const value: unknown = row[DriverUtils.buildAlias(driver, undefined, metadata.name, column.databaseName)]
    if (value !== undefined) column.setEntityValue(entity, driver.prepareHydratedValue(value, column))
  }
}
