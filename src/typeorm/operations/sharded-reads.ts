import type { EntityManager, EntityMetadata, FindManyOptions, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { ShardedError } from '../../errors/sharded-error'
import { bindShardNames } from '../../planning/bind-shard-names'
import { type Explanation, explain } from '../../planning/explanation'
import type { AggregateFunction } from '../../planning/finish-aggregate'
import { routePredicate } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { numberKind } from '../binding/sort-column'
import { checkRelations } from '../find/check-relations'
import { findPredicate, isLiteral } from '../find/find-predicate'
import { optionsAtCall } from '../find/options-at-call'
import type { Page } from '../find/page'
import { needsParsing, needsWhole, type WholeReads } from '../find/whole-reads'
import { isRefusedPage, type WrittenPage } from '../reads/builder-page'
import { explainPage } from '../reads/explain-page'
import { type PageWork, pageOfOne, pageOverShards } from '../reads/find-page'
import type { ReadScope } from '../reads/find-query'
import { findShape } from '../reads/find-shape'
import {
  countsAreDisjoint,
  explainFind,
  scatterAggregate,
  scatterCount,
  scatterExists,
  scatterFind,
  scatterFindAgain,
  scatterFindAndCount,
} from '../reads/read-operations'
import { findAgain, rememberedFind } from '../reads/remembered-find'
import { type StreamSource, streamEntities } from '../reads/stream-entities'
import { readInTurn } from '../runners/read-cursors'
import type { ShardAccess } from '../runners/shard-access'
import { checkWidth, type OperationContext, routeOperation } from './operation-context'

export type Options = FindManyOptions<ObjectLiteral>

/** A read in its two forms: TypeORM's own on one shard, ours over several. */
interface ReadForms<T> {
  readonly name: string
  readonly single: (manager: EntityManager, options: Options) => Promise<T>
  readonly scatter: (read: ReadScope, options: Options) => Promise<T>
  /** TypeORM's own over all shards, where it has this read. */
  readonly whole?: (reads: WholeReads, options: Options) => Promise<T>
  /** Besides what all reads leave to TypeORM. */
  readonly needsWhole?: boolean
  /** The page that TypeORM writes into the statement of this read; the others have none, whatever the options say. */
  readonly page?: (options: Options) => WrittenPage
  /** The result of a find of whole entities, which may be sent by the SQL of one before. */
  readonly ofEntities?: (entities: ObjectLiteral[]) => T
  /** The entities in the result, to be remembered with their shard. */
  readonly entities?: (result: T) => readonly (ObjectLiteral | null)[]
}

export function find(context: OperationContext, options: Options): Promise<ObjectLiteral[]> {
  const { target } = context.binding.metadata
  return read(context, options, {
    name: 'find',
    single: (manager, routed) => manager.find(target as never, routed),
    ofEntities: (entities) => entities,
    scatter: scatterFind,
    page: (routed) => routed,
    whole: (reads, routed) => reads.find(target, routed),
    entities: (result) => result,
  })
}

export function findPage(context: OperationContext, work: PageWork): Promise<Page<ObjectLiteral>> {
  return read(context, work.request.find, {
    name: 'findPage',
    single: (manager, routed) => pageOfOne(manager, context.binding.metadata, { options: routed, work }),
    scatter: (scatter, routed) => pageOverShards(scatter, routed, work),
    whole: ({ manager }, routed) => pageOfOne(manager, context.binding.metadata, { options: routed, work }),
    entities: (page) => page.rows,
  })
}

export function findAndCount(context: OperationContext, options: Options): Promise<[ObjectLiteral[], number]> {
  const { target } = context.binding.metadata
  return read(context, options, {
    name: 'findAndCount',
    single: (manager, routed) => manager.findAndCount<ObjectLiteral>(target as never, routed),
    scatter: scatterFindAndCount,
    page: (routed) => routed,
    whole: (reads, routed) => reads.findAndCount(target, routed),
    needsWhole: !countsAreDisjoint(context.binding, options.select),
    entities: ([result]) => result,
  })
}

export function findOne(context: OperationContext, given: Options): Promise<ObjectLiteral | null> {
  const { target } = context.binding.metadata
  // TypeORM makes a copy here, as in no other read: what is inherited it does not have.
  const options: Options = Object.assign({}, given, { take: 1 })
  return read<ObjectLiteral | null>(context, options, {
    name: 'findOne',
    // An absent condition is TypeORM's error of findOne; findOneBy allows it, and takes the first row.
    single: (manager, routed) =>
      manager.findOne<ObjectLiteral>(target as never, copyWith(routed, { where: routed.where ?? {} })),
    ofEntities: ([first]) => first ?? null,
    scatter: async (scatter, routed) => (await scatterFind(scatter, routed))[0] ?? null,
    page: (routed) => routed,
    whole: (reads, routed) => reads.findOne(target, copyWith(routed, { where: routed.where ?? {} })),
    entities: (result) => [result],
  })
}

export function count(context: OperationContext, options: Options): Promise<number> {
  const { target } = context.binding.metadata
  return read(context, options, {
    name: 'count',
    single: (manager, routed) => manager.count(target as never, routed),
    scatter: scatterCount,
    whole: (reads, routed) => reads.count(target, routed),
    needsWhole: !countsAreDisjoint(context.binding, options.select),
  })
}

export function exists(context: OperationContext, options: Options): Promise<boolean> {
  const { target } = context.binding.metadata
  return read(context, options, {
    name: 'exists',
    single: (manager, routed) => manager.exists(target as never, routed),
    scatter: scatterExists,
    whole: (reads, routed) => reads.exists(target, routed),
  })
}

const aggregateMethods = { SUM: 'sum', AVG: 'average', MIN: 'minimum', MAX: 'maximum' } as const

export function aggregate(
  context: OperationContext,
  { fn, propertyPath, where }: { fn: AggregateFunction; propertyPath: string; where: Options['where'] },
): Promise<number | null> {
  const { target, columns } = context.binding.metadata
  const method = aggregateMethods[fn]
  const single = (manager: EntityManager, routed: Options) =>
    manager[method](target as never, propertyPath as never, routed.where as never)
  return read(context, where === undefined ? {} : { where }, {
    name: method,
    single,
    whole: (reads, routed) => reads.aggregate(method, target, { property: propertyPath, where: routed.where }),
    needsWhole: columns.some((column) => column.propertyPath === propertyPath && numberKind(column) === undefined),
    scatter: async (scatter, routed) => {
      const [first] = scatter.shards
      // An unknown column is TypeORM's error, made before it asks the database.
      if (first && !columns.some((column) => column.propertyPath === propertyPath))
        return context.access.onShard(first, (manager) => single(manager, routed))
      const value = await scatterAggregate(scatter, { fn, propertyPath, where: routed.where })
      return value === undefined
        ? context.whole.aggregate(method, target, { property: propertyPath, where: routed.where })
        : value
    },
  })
}

type Entities = AsyncGenerator<ObjectLiteral, void, undefined>

/** The entities of a find as they are asked for; on the shard of a hint by that shard's own data source. */
export function stream(
  context: OperationContext,
  given: Options,
  sourceOf: (access: ShardAccess) => StreamSource,
): Entities {
  return streamRouted(context, optionsAtCall(context.binding.metadata, given), sourceOf)
}

/** The same of an unsharded entity. */
export function streamAtHome(metadata: EntityMetadata, given: Options, source: StreamSource): Entities {
  const options = optionsAtCall(metadata, given)
  return (async function* () {
    yield* streamEntities(source, metadata, await options)
  })()
}

async function* streamRouted(
  context: OperationContext,
  given: Options | Promise<Options>,
  sourceOf: (access: ShardAccess) => StreamSource,
): Entities {
  const { access, binding, hint } = context
  const options = await given
  checkLocal(context, options)
  const { shards, where } = await routeOperation(context, { name: 'stream', writes: false }, options.where)
  const routed = where === options.where ? options : { ...options, where: where as never }
  const source = sourceOf(access)
  const [shard] = shards
  if (hint?.kind !== 'shard' || !shard) {
    yield* streamEntities(source, binding.metadata, routed)
    return
  }
  const rows = (text: string, parameters: readonly unknown[]) =>
    readInTurn(access, [{ node: shard.node, shards: [shard.name], text: bindShardNames(text, shard), parameters }])
  const manager = await (access.transaction?.participant(shard) ?? access.runtime.managerOf(shard))
  yield* streamEntities({ ...source, manager, rows }, binding.metadata, routed)
}

export async function explainRead(context: OperationContext, given: Options): Promise<Explanation> {
  const options = await optionsAtCall(context.binding.metadata, given)
  const leaves = goesHome(context, options)
  const { shards, reason, where } = await routeOperation(context, { name: 'find', writes: false }, options.where)
  const routed = { ...options, where: where as never }
  const { metadata } = context.binding
  if (leaves || isWhole(context, routed, shards)) {
    const explained = await context.whole.explain(metadata.target, routed)
    return explain({ ...explained, operation: 'find' })
  }
  return explainFind({ ...context, shards }, routed, reason)
}

/** The plan of a page, without running it. */
export async function explainPageRead(context: OperationContext, work: PageWork): Promise<Explanation> {
  const options = await optionsAtCall(context.binding.metadata, work.request.find)
  checkLocal(context, options)
  const { shards, reason, where } = await routeOperation(context, { name: 'findPage', writes: false }, options.where)
  const routed = { ...options, where: where as never }
  return explainPage({ ...context, shards }, { options: routed, work, reason })
}

/** True for reads that TypeORM does over all shards as over one database. */
const isWhole = ({ binding }: OperationContext, options: Options, shards: readonly Shard[]): boolean =>
  needsParsing(binding.metadata, options) || (shards.length > 1 && needsWhole(binding.metadata, options))

async function read<T>(context: OperationContext, given: Options, forms: ReadForms<T>): Promise<T> {
  const { access, binding } = context
  if (forms.ofEntities) {
    const found = readAgain(context, given, forms.name)
    if (found) return forms.ofEntities(await found)
  }
  const atCall = optionsAtCall(binding.metadata, given)
  // Conditions seldom have objects as values: a find by key waits for nothing here.
  const options = atCall instanceof Promise ? await atCall : atCall
  const leaves = goesHome(context, options)
  if (leaves && !forms.whole) checkLocal(context, options)
  const { shards, where } = await routeOperation(context, { name: forms.name, writes: false }, options.where)
  const routed = where === options.where ? options : copyWith(options, { where: where as never })
  const [first, another] = shards
  const { whole } = forms
  if (whole && (leaves || (another && forms.needsWhole) || isWhole(context, routed, shards)))
    return whole(context.whole, routed)
  if (first && (!another || (forms.page && isRefusedPage(forms.page(options))))) {
    const found = forms.ofEntities && rememberedFind({ access, binding, shard: first }, routed)
    const result =
      forms.ofEntities && found
        ? forms.ofEntities(await found)
        : await access.onShard(first, (manager) => forms.single(manager, routed))
    if (forms.entities) remember(context, forms.entities(result), first)
    return result
  }
  return forms.scatter({ access, binding, shards }, routed)
}

/**
 * A find of options of a known shape: what `read` decides by the options is decided, and but their values are read, at the call.
 *
 * @returns undefined where the shape is not known, or a value is an object, which is read a turn later
 */
function readAgain(context: OperationContext, given: Options, name: string): Promise<ObjectLiteral[]> | undefined {
  const { access, binding, hint } = context
  const { runtime } = access
  if (hint || !isLiteral(given) || binding.metadata.dataSource.options.cache) return undefined
  const shape = findShape(binding, given)
  if (!shape || shape.values.some(isObject)) return undefined
  const predicate = findPredicate(binding, given.where, (target) => runtime.bindingOf(target))
  const route = routePredicate(binding.entity, predicate, binding.shards.length)
  const shards = route.shards.flatMap((index) => binding.shards[index] ?? [])
  const [shard, another] = shards
  if (shard && !another) {
    const found = findAgain({ access, binding, shard }, shape)
    return found?.then((entities) => {
      remember(context, entities, shard)
      return entities
    })
  }
  const find = runtime.lookups.anyReady() ? undefined : scatterFindAgain({ access, binding, shards }, shape)
  if (find) checkWidth(context, { name, writes: false }, shards.length)
  return find?.()
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

function remember(
  { access, binding }: OperationContext,
  entities: readonly (ObjectLiteral | null)[],
  shard: Shard,
): void {
  for (const entity of entities) if (entity) access.runtime.entityShards.remember(binding, entity, shard)
}

/** @returns true if a relation leads to an unsharded entity @throws ShardedError CROSS_SHARD_RELATION */
function goesHome({ binding, access }: OperationContext, options: Options): boolean {
  if (binding.metadata.relations.length === 0) return false
  return checkRelations(binding.metadata, options, groupOf(access))
}

const groupOf =
  ({ runtime }: ShardAccess) =>
  (metadata: EntityMetadata) =>
    runtime.bindingOf(metadata.target)?.entity.group

/** Refuses what a read that only the shards answer cannot do. @throws ShardedError CROSS_SHARD_RELATION */
function checkLocal(context: OperationContext, options: Options): void {
  if (!goesHome(context, options)) return
  const { metadata } = context.binding
  throw new ShardedError(
    'CROSS_SHARD_RELATION',
    `A page or a stream of ${metadata.name} follows a relation to an unsharded entity.`,
    { details: { entity: metadata.name } },
  )
}
