import type { DataSource, EntityMetadata } from 'typeorm'
import type { Catalog } from '../../catalog/catalog'
import type { NodePool } from '../../endpoints/node-pool'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { startOperation } from '../../execution/operation'
import { countingKeys } from '../../functions/counting-keys'
import { isolating } from '../../functions/isolated-keys'
import type { LookupModel } from '../../model/lookup'
import { type ModelEntity, type ShardedEntity, shardedEntity } from '../../model/sharded-entity'
import type { LoadStatistics } from '../../rebalancing/load-statistics'
import type { Shard } from '../../topology/shard'
import { isSameMap, ownersOf, type ShardMap } from '../../topology/shard-map'
import { defaultCluster, ownSchemaOf } from '../../values/own-schema'
import { bindApartKeys } from '../binding/apart-keys'
import { markGenerated } from '../binding/bind-metadata'
import { checkPhysicalNames } from '../binding/check-tables'
import { groupsOf } from '../binding/colocation-group'
import type { EntityBinding } from '../binding/entity-binding'
import { EntityShards } from '../binding/entity-shards'
import { IdMakers } from '../binding/id-makers'
import { bindLookups } from '../binding/lookups'
import { postgresDriver } from '../binding/postgres-driver'
import { bindReferences, isReferenceTable, referenceName } from '../binding/references'
import { slotColumnsOf } from '../binding/slot-columns'
import { buildTableCatalog } from '../binding/table-catalog'
import { LookupAdministration } from '../lookups/lookup-administration'
import { openRunner } from '../operations/open-runner'
import { locateRow } from '../reads/locate-rows'
import { ReferenceAdministration } from '../references/reference-administration'
import { seedsOf } from '../references/seed-reference'
import { KeyGuard } from '../runners/key-guard'
import { ShardAccess } from '../runners/shard-access'
import { ShardDataSource } from '../runners/shard-data-source'
import type { ShardTemplate } from '../runners/shard-query-runner'
import { createRuntime, type ShardHandle, type ShardRuntime, shardBinder } from '../runners/shard-runtime'
import { ClockDefaults } from '../statements/clock-defaults'
import { StatementWords } from '../statements/statement-words'
import { Statements } from '../statements/statements'
import { bindViews } from './build-model'
import { eachNode, type NodePools } from './node-pools'
import { gatherBudgetOf, limitsOf } from './resolve-options'
import { ShardSchemas } from './shard-schemas'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'
import { StoredTopology } from './stored-topology'

interface DataSourceParts extends Omit<RuntimeParts, 'map' | 'ids' | 'shardNow'> {
  readonly catalog: Catalog
}

/** What an initialised data source is made of, and where the databases have stored that its rows are. */
export interface ComposedDataSource extends ReturnType<typeof composeRuntime> {
  readonly topology: StoredTopology
  /**
   * The same of another map of the same shards, and of other pools where they are given: what is remembered of entities, ids and reference
   * tables stays.
   */
  readonly over: (map: ShardMap, pools?: NodePools) => Promise<ComposedDataSource>
  /** What groups would be with more labels, by the name of the group. Nothing is made or stored yet. */
  readonly grown: (labels: ReadonlyMap<string, readonly string[]>) => Promise<GrownGroups>
}

/** Groups that are to have more shards. */
interface GrownGroups {
  readonly schemas: ShardSchemas
  /** Those that are new. */
  readonly shards: readonly Shard[]
  /** Stores them: from here on, routes lead there. @throws ShardedError TOPOLOGY_MISMATCH, CATALOG_UNAVAILABLE */
  readonly store: () => Promise<void>
}

/**
 * Composes a data source of its model and of what its databases have stored. Where another process stores its topology first,
 * the data source is of that one. What is refused of the declarations is thrown before anything is stored.
 *
 * @throws ShardedError TOPOLOGY_MISMATCH, CATALOG_UNAVAILABLE, OBJECT_NOT_OURS, and what `refusals` holds
 */
export async function composeDataSource({ catalog, ...parts }: DataSourceParts): Promise<ComposedDataSource> {
  const { dataSource, model, options, refusals } = parts
  const topology = new StoredTopology(options, catalog, model)
  let now: ShardMap = topology.map()
  // The home node may be known only when another process has stored its topology first.
  const makeIds = (home: string): IdMakers =>
    new IdMakers({
      // A node that did not answer at the start has another pool once it does.
      home: {
        name: home,
        ownSchema: parts.pool(home).ownSchema,
        query: (...asked) => parts.pool(home).background.query(...asked),
      },
      nodeOf: (name) => parts.pool(name).background,
      shardsOf: (group) => now.groups.get(group) ?? [],
      parseInt8: options.parseInt8 ?? false,
    })
  const shardNow = (name: string): Shard | undefined => now.shards.get(name)
  const compose = async (map: ShardMap, before?: Before, ofModel: LookupModel = topology.model) => {
    const ids = before?.ids ?? makeIds(map.home)
    const pools = before?.pools ?? parts.pools
    const composed = composeRuntime({ ...parts, model: ofModel, pools, map, ids, shardNow }, before?.runtime)
    await bindViews(dataSource, { ...composed, refusals })
    return composed
  }
  const wanted = await refusals.require(() => compose(now))
  refusals.throwAny()
  const { synchronize, dropSchema } = dataSource.options
  // What schema work will refuse is not stored: the next start with the options of before is to be accepted.
  const refuse = async (): Promise<void> => {
    await wanted.schemas.refuseForeignObjects()
    await wanted.schemas.refuseKeyRewrite()
  }
  const beforeGrowth = synchronize && !dropSchema ? refuse : undefined
  await topology.reconcile(dataSource.entityMetadatas, { mapOf: () => topology.map(), beforeGrowth })
  const stored = topology.map()
  const isWanted = isSameMap(now, stored)
  now = stored
  const composed = isWanted ? wanted : await compose(now)
  refusals.throwAny()
  const over = async (map: ShardMap, before: Before): Promise<ComposedDataSource> => {
    const next = await compose(map, before)
    await next.lookups.load()
    now = map
    return { ...next, topology, over: overOf(next, before.pools), grown: grownOf(next, before.pools) }
  }
  const grownOf =
    (before: Omit<Before, 'pools'>, pools: NodePools): ComposedDataSource['grown'] =>
    async (labels) => {
      const wanted = topology.grown(labels)
      const { map: known } = before.runtime
      const map = wanted.map(known)
      const { schemas } = await compose(map, { ...before, pools }, wanted.model)
      const shards = [...map.shards.values()].filter(({ name }) => !known.shards.has(name))
      const store = () => wanted.reconcile(dataSource.entityMetadatas, { mapOf: () => wanted.map(known) })
      return { schemas, shards, store }
    }
  const overOf =
    (before: Omit<Before, 'pools'>, known: NodePools): ComposedDataSource['over'] =>
    (map, pools = known) =>
      over(map, { ...before, pools })
  return { ...composed, topology, over: overOf(composed, parts.pools), grown: grownOf(composed, parts.pools) }
}

/** What is composed anew. */
interface Before extends Pick<ComposedDataSource, 'runtime' | 'ids'> {
  readonly pools: NodePools
}

interface RuntimeParts {
  readonly dataSource: DataSource
  readonly options: ShardedDataSourceOptions
  readonly pools: NodePools
  /** The pool of a node. @throws CannotExecuteNotConnectedError after the data source was destroyed */
  readonly pool: (node: string) => NodePool
  readonly transactions: ShardRuntime['transactions']
  readonly model: LookupModel
  /** Takes what is refused of names, ids and lookups. */
  readonly refusals: Refusals
  readonly map: ShardMap
  readonly ids: IdMakers
  /** A shard where it lies by now, whatever the map was that a data source of it was made of. */
  readonly shardNow: (name: string) => Shard | undefined
  readonly warn: (text: string) => void
  /** What counts the keys that are asked for; undefined: nobody does. */
  readonly loads: LoadStatistics | undefined
}

/** Makes what a data source consists of once its model and its shard map are known, and wires it together. */
function composeRuntime(parts: RuntimeParts, before?: ShardRuntime) {
  const { dataSource, options, pools, pool, map, warn, refusals, ids, shardNow } = parts
  const model = placedModel(parts.model, map)
  const groupOf = groupsOf(model)
  checkNames(dataSource.entityMetadatas, parts)
  const bindings = new Map<unknown, EntityBinding>()
  for (const entity of model.entities.values()) {
    const binding = entity.kind === 'sharded' && refusals.attempt(() => bindEntity(entity, { ...parts, model }))
    if (binding) bindings.set(entity.target, binding)
  }
  const bindingOf = (target: unknown): EntityBinding | undefined => bindings.get(target)
  const entityShards = new EntityShards(bindingOf, (name) => map.shards.get(name), before?.entityShards)
  const handles = new Map<string, ShardHandle>()
  const bound = bindLookups(model, {
    map,
    bindings,
    pools: [...pools.values()],
    askReady: async () => lookups.askReady(),
    refusals,
    apartKeys: bindApartKeys(options.onDelete === 'application' ? dataSource.entityMetadatas : [], bindings, refusals),
  })
  const { transactions } = parts
  const open = () => openRunner(dataSource)
  const limits = limitsOf(options)
  const { searchSchema: searched } = poolOf(pools, map.home).facts
  const metadatas = dataSource.entityMetadatas
  const tables = before?.references ?? bindReferences(metadatas, { model, groupOf, searched })
  const kept = { lookups: bound, references: tables }
  const places = {
    map,
    pools,
    handles,
    bindings,
    entityShards,
    warn,
    limits,
    gatherBudget: gatherBudgetOf(options),
    transactions,
    ...kept,
  }
  const runtime = createRuntime(places)
  const statements = statementsOf(runtime, { ...parts, model })
  const lookups = new LookupAdministration({
    runtime,
    openRunner: open,
    eachNode: (work) => eachNode(pools, work),
  })
  const isReference = isReferenceTable(model)
  const unsharded = metadatas.filter((metadata) => groupOf(metadata) === undefined && !isReference(metadata))
  const references = new ReferenceAdministration({
    runtime,
    openRunner: open,
    unsharded: new Set(unsharded.map(referenceName)),
    seeds: seedsOf(metadatas.filter(isReference)),
  })
  const adoptsShards = options.adoptShards ?? false
  const schemas = new ShardSchemas({
    dataSource,
    pools,
    runtime,
    groupOf,
    isReference,
    lookups,
    statements,
    adoptsShards,
  })
  const template: ShardTemplate = {
    dataSource,
    bindingOf,
    openRunner: open,
    guard: guardOf(runtime),
    words: new StatementWords(() => statements, open),
    synchronizeShard: (shard, drop) => schemas.synchronizeShard(shard, drop),
    dropShard: (shard) => schemas.dropShard(shard),
  }
  for (const shard of map.shards.values()) {
    const bind = shardBinder(shard, map.shards.size)
    const source = new ShardDataSource(template, shard, () => pool(shardNow(shard.name)?.node ?? shard.node), bind)
    handles.set(shard.name, { shard, bind, dataSource: source })
  }
  return { model, runtime, statements, lookups, references, schemas, ids }
}

function poolOf(pools: NodePools, name: string): NodePool {
  const found = pools.get(name)
  if (!found) throw new RangeError(`There is no node ${name}.`)
  return found
}

/** The model as the map has it: entities of groups with isolated keys find these by a function that knows them. */
function placedModel(model: LookupModel, { assigned }: ShardMap): LookupModel {
  const isolated = new Map([...assigned].flatMap(([group, { keys }]) => (keys.length > 0 ? [[group, keys]] : [])))
  if (isolated.size === 0) return model
  const placed = <Entity extends ModelEntity>(entity: Entity): Entity => {
    const keys = entity.kind === 'sharded' ? isolated.get(entity.group) : undefined
    if (entity.kind !== 'sharded' || !keys) return entity
    return Object.freeze({
      ...entity,
      fn: isolating(
        entity.fn,
        keys.map(([key]) => key),
      ),
    })
  }
  return Object.freeze({
    ...model,
    entities: new Map([...model.entities].map(([target, entity]) => [target, placed(entity)])),
    lookups: model.lookups.map((lookup) => Object.freeze({ ...lookup, entity: placed(lookup.entity) })),
  })
}

function checkNames(metadatas: readonly EntityMetadata[], { model, map, refusals, options }: RuntimeParts): void {
  const own = ownSchemaOf(options.cluster ?? defaultCluster)
  for (const { name, layout } of map.shards.values())
    if (layout === 'schema' && name === own)
      refusals.attempt(() => {
        throw new ShardedError(
          'NAME_INVALID',
          `The schema "${own}" of shard ${name} is that of the cluster's own tables.`,
        )
      })
  const groupOf = groupsOf(model)
  const tablesOf = (group: string | undefined) => metadatas.filter((metadata) => groupOf(metadata) === group)
  checkPhysicalNames(
    [...map.groups].map(([group, shards]) => ({ shards, metadatas: tablesOf(group) })),
    tablesOf(undefined),
    refusals,
  )
}

function bindEntity(entity: ShardedEntity, { dataSource, map, model, ids, loads }: RuntimeParts): EntityBinding {
  const metadata = dataSource.entityMetadatas.find(({ target }) => target === entity.target)
  if (!metadata) throw new RangeError(`The data source has no entity ${entity.name}.`)
  const keyColumns = entity.keyColumns.map(({ propertyPath }) => {
    const column = metadata.findColumnWithPropertyPath(propertyPath)
    if (!column) throw new RangeError(`${entity.name} has no column ${propertyPath}`)
    return column
  })
  const shards = map.groups.get(entity.group) ?? []
  const id = ids.idOf(entity, metadata)
  if (id) markGenerated(id.column)
  const count = loads?.counterOf(entity.group)
  return Object.freeze({
    entity: count ? Object.freeze({ ...entity, fn: countingKeys(entity.fn, count) }) : entity,
    metadata,
    shards,
    owners: ownersOf(map, entity.group),
    keyColumns: Object.freeze(keyColumns),
    id,
    slotColumns: slotColumnsOf(metadata, (target) => shardedEntity(model, target)),
  })
}

function statementsOf(runtime: ShardRuntime, { dataSource, model }: RuntimeParts): Statements {
  const { entityMetadatas } = dataSource
  const { searchSchema: searched } = runtime.pool(runtime.map.home).facts
  const schemas = { searched, sharded: postgresDriver(dataSource).options.schema ?? searched }
  const catalog = buildTableCatalog(entityMetadatas, {
    schemas,
    groupOf: groupsOf(model),
    isReference: isReferenceTable(model),
    bindingOf: (target) => runtime.bindingOf(target),
    map: runtime.map,
  })
  return new Statements(runtime, catalog, new ClockDefaults(entityMetadatas))
}

/** Guards the keys of entities that TypeORM writes on a shard. */
const guardOf = (runtime: ShardRuntime): KeyGuard =>
  new KeyGuard({
    bindingOf: (target) => runtime.bindingOf(target),
    isLoaded: (entity) => runtime.entityShards.of(entity) !== undefined,
    locate: async (binding, entity, transaction) => {
      const access = new ShardAccess(runtime, startOperation({ kind: 'entity', defaults: runtime.limits, transaction }))
      const located = await locateRow(access, binding, entity)
      return located?.shard
    },
  })
