import type { EntityManager, EntityMetadata, ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import { DriverUtils } from 'typeorm/driver/DriverUtils'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { RelationIdLoader } from 'typeorm/query-builder/relation-id/RelationIdLoader'
import { chunksOf } from '../../collections/chunks-of'
import { pushAll } from '../../collections/push-all'
import { pushTo } from '../../collections/push-to'
import type { Row } from '../../merging/row'
import { columnsText } from '../binding/primary-key-text'
import { type KeyPair, keyPairs, type Links, linksOf, relationKey } from '../binding/relation-keys'
import type { ApartLoad, SplitFind } from '../find/apart-loads'
import { cloneWhere } from '../find/clone-where'
import { type Places, present } from '../hydration/hydrate'
import { type EntityOrigin, OriginTransformer } from '../hydration/origin-transformer'
import { addKeyCondition, keysOfStatement } from './key-condition'
import { readLinks } from './read-links'

/** How the parts of a find reach their rows. */
export interface ApartReads {
  /** Of the find itself: its statements go over all shards, or to the one that a hint names. */
  readonly manager: EntityManager
  /** Of what is loaded apart, for which no hint counts. */
  readonly related: EntityManager
  /** Told of each entity of the shards. */
  readonly remember: (metadata: EntityMetadata, entity: ObjectLiteral) => void
}

/** What a find in parts gives. */
export interface FoundApart {
  readonly entities: ObjectLiteral[]
  /** Of the find itself. */
  readonly builder: SelectQueryBuilder<ObjectLiteral>
}

/**
 * A find whose relations lead to rows elsewhere: the find without them, and for each level of relations one find by the keys of the
 * rows of the level before, of all siblings at once. What TypeORM gives by joins is an object for each row that refers to it; what
 * it gives by queries is one object for all of them.
 */
export async function findApart(reads: ApartReads, metadata: EntityMetadata, split: SplitFind): Promise<FoundApart> {
  const { manager } = reads
  const { where, ...options } = split.own
  const builder = manager.createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name)
  builder.setFindOptions(where === undefined ? options : { ...options, where: cloneWhere(metadata, where) })
  if (split.isJoinedByTypeOrm) orderPage(builder, metadata)
  const part = new FindPart(reads, builder, split)
  const rows = await rowsOf(builder)
  await part.take(rows)
  const entities = part.entitiesOf(rows)
  if (split.strategy === 'query') await part.tell(entities)
  await part.loadApart()
  if (split.strategy === 'join') await part.tell(entities)
  return { entities, builder }
}

/** Rows that are found by their keys. */
export interface KeyedFind {
  readonly metadata: EntityMetadata
  readonly split: SplitFind
  /** The primary key, and the shard key. */
  readonly columns: readonly ColumnMetadata[]
  /** Objects that have at least the primary keys. */
  readonly keys: readonly ObjectLiteral[]
}

/** The same of rows whose keys are known: an entity at the place of each, none where its row is gone. */
export async function findApartByKeys(
  reads: ApartReads,
  { metadata, split, columns, keys }: KeyedFind,
): Promise<Places> {
  const { where, skip: _skip, take: _take, ...options } = split.own
  const rows: Row[] = []
  let first: { readonly builder: SelectQueryBuilder<ObjectLiteral>; readonly part: FindPart } | undefined
  for (const some of chunksOf(keys, keysOfStatement)) {
    const builder = reads.manager.createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name)
    builder.setFindOptions(where === undefined ? options : { ...options, where: cloneWhere(metadata, where) })
    builder.andWhereInIds(some.map((key) => metadata.getEntityIdMap(key)))
    const part = new FindPart(reads, builder, split)
    pushAll(rows, await rowsOf(builder))
    first ??= { builder, part }
  }
  if (!first) return []
  const { builder, part } = first
  await part.take(rows)
  const known = columns.filter((column) => keys.every((key) => column.getEntityValue(key) !== undefined))
  const byKey = new Map<string, Row[]>()
  for (const row of rows) pushTo(byKey, columnsText(known, keyOfRow(row, builder, known)), row)
  const places = keys.map((key) => part.entitiesOf(byKey.get(columnsText(known, key)) ?? [])[0])
  if (split.strategy === 'query') await part.tell(present(places))
  await part.loadApart()
  if (split.strategy === 'join') await part.tell(present(places))
  return places
}

function keyOfRow(
  row: Row,
  builder: SelectQueryBuilder<ObjectLiteral>,
  columns: readonly ColumnMetadata[],
): ObjectLiteral {
  const { driver } = builder.dataSource
  const key: ObjectLiteral = {}
  for (const column of columns) {
    const value: unknown = row[DriverUtils.buildAlias(driver, undefined, builder.alias, column.databaseName)]
    column.setEntityValue(key, driver.prepareHydratedValue(value, column))
  }
  return key
}

/** TypeORM reads a page of joined entities in two statements. The entities that it makes of the rows are left, and nobody is told of them. */
const rowsOf = async (builder: SelectQueryBuilder<ObjectLiteral>): Promise<Row[]> =>
  (await builder.callListeners(false).getRawAndEntities<Row>()).raw

/** A page of joined entities TypeORM orders by the primary key last. */
function orderPage(builder: SelectQueryBuilder<ObjectLiteral>, metadata: EntityMetadata): void {
  const { skip, take, joinAttributes, allOrderBys } = builder.expressionMap
  if ((!skip && !take) || joinAttributes.length > 0) return
  for (const { propertyPath } of metadata.primaryColumns) {
    const path = `${builder.alias}.${propertyPath}`
    if (!(path in allOrderBys)) builder.addOrderBy(path, 'ASC')
  }
}

/** A relation that is loaded apart, at the entities that have it. */
interface PlacedLoad {
  readonly load: ApartLoad
  readonly alias: string
  /** To the rows themselves, or to those of a junction that lead to them. */
  readonly pairs: readonly KeyPair[]
  readonly links: Links | undefined
  /** The output columns of the keys. */
  readonly outputs: readonly string[]
}

/** One find of those that a find consists of. */
class FindPart {
  private readonly loads: readonly PlacedLoad[]
  private transformer: OriginTransformer
  private readonly rowsByKey = new Map<string, Row[]>()
  private places: ReadonlyMap<string, number> | undefined

  constructor(
    private readonly reads: ApartReads,
    private readonly builder: SelectQueryBuilder<ObjectLiteral>,
    private readonly split: SplitFind,
  ) {
    this.loads = split.apart.map((load, index) => placeLoad(builder, load, index))
    this.transformer = this.newTransformer([])
  }

  /** The rows are there; entities are made of them as often as something refers to them. */
  async take(rows: Row[]): Promise<void> {
    const { dataSource, expressionMap } = this.builder
    const { relationIdAttributes, withDeleted } = expressionMap
    if (relationIdAttributes.length === 0) return
    const { queryRunner } = this.reads.manager
    const loader = new RelationIdLoader(dataSource, queryRunner, relationIdAttributes, withDeleted)
    this.transformer = this.newTransformer(await loader.load(rows))
  }

  entitiesOf(rows: Row[]): ObjectLiteral[] {
    const { mainAlias } = this.builder.expressionMap
    if (!mainAlias || rows.length === 0) return []
    const entities: ObjectLiteral[] = this.transformer.transform(rows, mainAlias)
    for (const entity of entities) this.reads.remember(mainAlias.metadata, entity)
    return entities
  }

  /** Loads what is apart of all entities that were made, each level in its turn. */
  async loadApart(): Promise<void> {
    const { origins } = this.transformer
    const loaded = this.loads.map(async (placed) => {
      const { relation } = placed.load
      const parents = origins.filter(
        ({ alias, metadata }) => alias === placed.alias && metadata.relations.includes(relation),
      )
      const part = await this.findRelated(placed, parents)
      return part && (() => part.loadApart())
    })
    const settled = await Promise.allSettled(loaded)
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
    this.orderRelations()
    const next = await Promise.allSettled(settled.map((one) => one.status === 'fulfilled' && one.value?.()))
    const failedBelow = next.find((one) => one.status === 'rejected')
    if (failedBelow) throw failedBelow.reason
  }

  /** TypeORM sets relations one after the other, joined or not: here those that are apart came last. */
  private orderRelations(): void {
    const places = new Map(this.loads.map(({ alias, load }) => [alias, load.siblings]))
    for (const { entity, alias, metadata } of this.transformer.origins) {
      const siblings = places.get(alias)
      if (siblings && siblings.length > 1) orderProperties(entity, siblings, metadata)
    }
  }

  /** Tells listeners and subscribers of entities, and what hangs on them. */
  async tell(entities: ObjectLiteral[]): Promise<void> {
    const { queryRunner, dataSource } = this.reads.manager
    const { mainAlias } = this.builder.expressionMap
    if (!mainAlias || entities.length === 0) return
    const runner = queryRunner ?? dataSource.createQueryRunner('slave')
    try {
      await runner.broadcaster.broadcast('Load', mainAlias.metadata, entities)
    } finally {
      if (runner !== queryRunner) await runner.release()
    }
  }

  private newTransformer(relationIds: ConstructorParameters<typeof OriginTransformer>[2]): OriginTransformer {
    const { expressionMap, dataSource } = this.builder
    return new OriginTransformer(expressionMap, dataSource.driver, relationIds, this.reads.manager.queryRunner)
  }

  private async findRelated(placed: PlacedLoad, parents: readonly EntityOrigin[]): Promise<FindPart | undefined> {
    const { load, pairs, links, outputs } = placed
    const { relation } = load
    const keys = new Map<string, readonly string[]>()
    const keyOfParent = parents.map(({ row }) => {
      const texts = keyTexts(row, outputs)
      const key = texts && relationKey(texts, pairs)
      if (texts && key !== undefined) keys.set(key, texts)
      return key
    })
    const given = [...keys.values()]
    const linked = links && (await readLinks(this.reads.related, links, given))
    const far = links?.far ?? pairs
    const wanted = linked ? distinct([...linked.values()].flat(), far) : given
    const part = wanted.length > 0 ? await this.partOf(load, far, wanted) : undefined
    const isMany = relation.isOneToMany || relation.isManyToMany
    const shared = this.split.strategy === 'query' ? await part?.shared() : undefined
    for (const [index, { entity }] of parents.entries()) {
      const key = keyOfParent[index]
      const reached = key === undefined ? [] : linked ? part?.inOrder(linked.get(key) ?? [], far) : [key]
      const found = (reached ?? []).flatMap((one) =>
        shared ? (shared.get(one) ?? []) : (part?.entitiesOfKey(one) ?? []),
      )
      // Of several rows of a one-to-one relation TypeORM takes the last of a query, and the first of a join.
      const one = shared ? found.at(-1) : found[0]
      relation.setEntityValue(entity, isMany ? [...found] : (one ?? null))
    }
    return part
  }

  /** Finds the rows of keys. */
  private async partOf(
    load: ApartLoad,
    pairs: readonly KeyPair[],
    keys: readonly (readonly string[])[],
  ): Promise<FindPart> {
    const { related } = this.reads
    const metadata = load.relation.inverseEntityMetadata
    const reads = { ...this.reads, manager: related }
    const all: Row[] = []
    let first: FindPart | undefined
    for (const some of chunksOf(keys, keysOfStatement)) {
      const builder = related.createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name)
      builder.setFindOptions({ ...load.split.own })
      for (const [index, { far }] of pairs.entries())
        builder.addSelect(textOf(builder, far.databaseName, builder.alias), keyOutput(index))
      addKeyCondition(builder, { pairs, keys: some })
      const part = new FindPart(reads, builder, load.split)
      pushAll(all, await rowsOf(builder))
      first ??= part
    }
    if (!first) throw new RangeError('A relation is loaded by one key at least.')
    await first.take(all)
    const outputs = pairs.map((_, index) => keyOutput(index))
    for (const row of all) {
      const texts = keyTexts(row, outputs)
      if (texts) pushTo(first.rowsByKey, relationKey(texts, pairs), row)
    }
    return first
  }

  /** Of some keys those that rows have, in the order of the rows. */
  private inOrder(keys: readonly (readonly string[])[], pairs: readonly KeyPair[]): readonly string[] {
    this.places ??= new Map([...this.rowsByKey.keys()].map((key, place) => [key, place]))
    const placed = keys.flatMap((texts) => {
      const key = relationKey(texts, pairs)
      const place = this.places?.get(key)
      return place === undefined ? [] : [{ key, place }]
    })
    return placed.sort((a, b) => a.place - b.place).map(({ key }) => key)
  }

  private entitiesOfKey(key: string): readonly ObjectLiteral[] {
    return this.entitiesOf(this.rowsByKey.get(key) ?? [])
  }

  /** One entity of each row, by the keys; told of as TypeORM tells of each query. */
  private async shared(): Promise<ReadonlyMap<string, readonly ObjectLiteral[]>> {
    const entities = new Map([...this.rowsByKey].map(([key, rows]) => [key, this.entitiesOf(rows)]))
    await this.tell([...entities.values()].flat())
    return entities
  }
}

/** The properties that an object of a class has from the beginning, in an order that nothing changes. */
const ownFields = new WeakMap<EntityMetadata, ReadonlySet<string>>()

function fieldsOf(metadata: EntityMetadata): ReadonlySet<string> {
  const known = ownFields.get(metadata)
  if (known) return known
  const fields = new Set(Object.keys(metadata.create(undefined, { fromDeserializer: true })))
  ownFields.set(metadata, fields)
  return fields
}

/** Puts properties of an object into an order, after its others. */
function orderProperties(object: ObjectLiteral, names: readonly string[], metadata: EntityMetadata): void {
  const fields = fieldsOf(metadata)
  const wanted = names.filter((name) => Object.hasOwn(object, name) && !fields.has(name))
  const present = Object.keys(object).filter((name) => wanted.includes(name))
  if (present.every((name, index) => name === wanted[index])) return
  for (const name of wanted) {
    const value: unknown = object[name]
    delete object[name]
    object[name] = value
  }
}

/** Each key once. */
const distinct = (keys: readonly (readonly string[])[], pairs: readonly KeyPair[]) => [
  ...new Map(keys.map((texts) => [relationKey(texts, pairs), texts])).values(),
]

const keyOutput = (index: number): string => `__key${index}`

function placeLoad(builder: SelectQueryBuilder<ObjectLiteral>, load: ApartLoad, index: number): PlacedLoad {
  const links = linksOf(load.relation)
  const pairs = links?.near ?? keyPairs(load.relation) ?? []
  const alias = load.through.reduce((parent, relation) => {
    const join = builder.expressionMap.joinAttributes.find(
      (one) => one.parentAlias === parent && one.relation === relation,
    )
    if (!join) throw new RangeError(`${relation.propertyPath} is not joined.`)
    return join.alias.name
  }, builder.alias)
  const outputs = pairs.map(({ own }, place) => {
    const name = `__apart${index}_${place}`
    builder.addSelect(textOf(builder, own.databaseName, alias), name)
    return name
  })
  return { load, alias, pairs, links, outputs }
}

const textOf = (builder: SelectQueryBuilder<ObjectLiteral>, column: string, alias: string): string =>
  `${builder.escape(alias)}.${builder.escape(column)}::text`

/** The texts of a row's key; undefined where a part of it is null, which refers to nothing. */
function keyTexts(row: Row, outputs: readonly string[]): readonly string[] | undefined {
  const texts = outputs.map((name) => row[name])
  return texts.every((text) => typeof text === 'string') ? texts : undefined
}
