import type { EntityManager, EntityMetadata, FindManyOptions, ObjectLiteral, QueryRunner } from 'typeorm'
import { RawSqlResultsToEntityTransformer } from 'typeorm/query-builder/transformer/RawSqlResultsToEntityTransformer'
import type { Row } from '../../merging/row'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { shardAt } from '../binding/entity-shards'
import { primaryKeyText } from '../binding/primary-key-text'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import type { ShardAccess } from '../runners/shard-access'
import { findByKeys } from './find-by-keys'

/** The rows of a page, each with the number of its shard. */
interface RowsOfPage {
  readonly binding: EntityBinding
  /** Made the rows. */
  readonly builder: ArmQueryBuilder<ObjectLiteral>
  readonly rows: readonly Row[]
}

interface ShardRows {
  readonly shard: Shard
  readonly rows: Row[]
  /** Where each row stands on the page. */
  readonly places: number[]
}

/** Entities in the order of rows, with a gap at the place of a row that went away, or of which TypeORM makes no entity. */
export type Places = readonly (ObjectLiteral | undefined)[]

/** Loads entities by what tells their rows. */
export type KeyedLoad = (keys: readonly ObjectLiteral[]) => Promise<Places>

/** The places without the gaps. */
export const present = (places: Places): ObjectLiteral[] => places.filter((entity) => entity !== undefined)

/**
 * Turns the rows of a page into entities: by TypeORM's own transformer, shard by shard, since two shards may hold one primary
 * key. Only these rows become entities. Load events are those of one find, in the order of the page.
 */
export async function hydrate(access: ShardAccess, { binding, builder, rows }: RowsOfPage): Promise<Places> {
  const { entityShards } = access.runtime
  // All at once where every row is an entity of its own; two shards may hold one primary key, which it would make one.
  const all = transform(access, builder, [...rows])
  const isRowByRow = all.length === rows.length
  const isHeard = isLoadHeard(access, binding)
  if (isRowByRow && !isHeard) {
    for (const [place, entity] of all.entries())
      entityShards.remember(binding, entity, shardAt(binding, Number(rows[place]?.['__arm'])))
    return all
  }
  const page: (ObjectLiteral | undefined)[] = rows.map(() => undefined)
  for (const { shard, rows: own, places } of byShard(binding, rows)) {
    const entities = isRowByRow ? places.map((place) => all[place]) : transformEach(access, builder, own)
    for (const [index, entity] of entities.entries()) {
      if (!entity) continue
      page[places[index] ?? page.length] = entity
      entityShards.remember(binding, entity, shard)
    }
  }
  if (isHeard) await broadcastLoad(access, binding, page)
  return page
}

/** What is to be loaded by primary keys. */
interface Reload {
  /** Made the rows, which have the primary keys. */
  readonly builder: ArmQueryBuilder<ObjectLiteral>
  readonly rows: readonly Row[]
  readonly options: FindManyOptions<ObjectLiteral>
  /** The rows are some of those that the find would give; otherwise they are all, and no key needs to be sent. */
  readonly isPaged: boolean
}

/**
 * Loads the entities of a page of primary keys with all that the find options ask for, one find a shard.
 *
 * @returns the places, and `isWhole`: no row went away between the two
 */
export async function reload(
  access: ShardAccess,
  binding: EntityBinding,
  { builder, rows, options, isPaged }: Reload,
): Promise<{ readonly places: Places; readonly isWhole: boolean }> {
  let isWhole = true
  const page: (ObjectLiteral | undefined)[] = rows.map(() => undefined)
  // By joins TypeORM tells of the whole entity when it has all; by queries of each part as it comes, which cannot wait.
  const isToldLater = isJoined(access, binding, options)
  const load = async ({ shard, rows: own, places }: ShardRows) => {
    const keys = keysOf(builder, own)
    const loaded = await access.onOneOfMany(shard, (manager) =>
      findByKeys(manager, binding.metadata, { options, keys: isPaged ? keys : undefined, isToldLater }),
    )
    for (const [index, key] of keys.entries()) {
      const text = primaryKeyText(binding.metadata, key)
      if (!loaded.has(text)) isWhole = false
      const entity = loaded.get(text)
      if (!entity) continue
      page[places[index] ?? page.length] = entity
      access.runtime.entityShards.remember(binding, entity, shard)
    }
  }
  // All have to come to rest, and their connections with them, before one's error is thrown.
  const settled = await Promise.allSettled([...byShard(binding, rows)].map(load))
  const failed = settled.find((one) => one.status === 'rejected')
  if (failed) throw failed.reason
  if (isToldLater) await broadcastLoad(access, binding, page)
  return { places: page, isWhole }
}

const isJoined = (access: ShardAccess, { shards: [shard] }: EntityBinding, options: FindManyOptions<ObjectLiteral>) =>
  (options.relationLoadStrategy ??
    (shard && access.runtime.handle(shard).dataSource.options.relationLoadStrategy) ??
    'join') === 'join'

/** The primary keys of rows that have nothing else, as objects of the entity's class. */
export const keysOf = (builder: ArmQueryBuilder<ObjectLiteral>, rows: readonly Row[]): readonly ObjectLiteral[] =>
  present(transformEach(undefined, builder, [...rows]))

/** What lazy relations of entities read by: the transaction that the entities were read in. */
interface LazyReader {
  readonly transaction: QueryRunner | undefined
}

/** What made rows, as a builder does: it says how they become entities. */
type RowMaker = Pick<ArmQueryBuilder<ObjectLiteral>, 'expressionMap' | 'dataSource'>

/** The entities of rows, by TypeORM's own transformer. */
export function transform(
  reader: LazyReader | undefined,
  { expressionMap, dataSource }: RowMaker,
  rows: Row[],
): ObjectLiteral[] {
  const { mainAlias } = expressionMap
  if (!mainAlias) return []
  const { driver } = dataSource
  return new RawSqlResultsToEntityTransformer(expressionMap, driver, [], reader?.transaction).transform(rows, mainAlias)
}

/** One entity a row, in the rows' order; TypeORM makes none of a row in which all that is selected is null. */
export function transformEach(
  reader: LazyReader | undefined,
  builder: RowMaker,
  rows: Row[],
): (ObjectLiteral | undefined)[] {
  const entities = transform(reader, builder, rows)
  return entities.length === rows.length ? entities : rows.map((row) => transform(reader, builder, [row])[0])
}

function* byShard(binding: EntityBinding, rows: readonly Row[]): Generator<ShardRows> {
  const shards = new Map<number, ShardRows>()
  for (const [place, row] of rows.entries()) {
    const index = Number(row['__arm'])
    let group = shards.get(index)
    if (!group) {
      group = { shard: shardAt(binding, index), rows: [], places: [] }
      shards.set(index, group)
    }
    group.rows.push(row)
    group.places.push(place)
  }
  yield* shards.values()
}

/** True where a listener, a subscriber or a relation's own listeners may hear of loaded entities. */
const isLoadHeard = ({ runtime }: ShardAccess, { metadata }: EntityBinding): boolean =>
  metadata.relations.length > 0 || metadata.afterLoadListeners.length > 0 || runtime.hasSubscribers()

async function broadcastLoad(
  access: ShardAccess,
  { metadata, shards: [shard] }: EntityBinding,
  page: Places,
): Promise<void> {
  const entities = present(page)
  if (!shard || entities.length === 0) return
  await access.asApplication(shard, ({ broadcaster }) => broadcaster.broadcast('Load', metadata, entities))
}

/** The entities of keys, in their order. */
export async function entitiesOf(
  manager: EntityManager,
  metadata: EntityMetadata,
  { options, keys }: { options: FindManyOptions<ObjectLiteral>; keys: readonly ObjectLiteral[] },
): Promise<Places> {
  if (keys.length === 0) return []
  const loaded = await findByKeys(manager, metadata, { options, keys })
  return keys.map((key) => loaded.get(primaryKeyText(metadata, key)))
}

/** The entities of rows, one a row and in their order, told to listeners and subscribers as TypeORM does. */
export async function entitiesOfRows(
  { dataSource, queryRunner }: EntityManager,
  builder: ArmQueryBuilder<ObjectLiteral>,
  rows: readonly Row[],
): Promise<Places> {
  const entities = transformEach({ transaction: queryRunner }, builder, [...rows])
  const metadata = builder.expressionMap.mainAlias?.metadata
  if (!metadata) return entities
  const runner = queryRunner ?? dataSource.createQueryRunner('slave')
  try {
    await runner.broadcaster.broadcast('Load', metadata, present(entities))
  } finally {
    if (runner !== queryRunner) await runner.release()
  }
  return entities
}
