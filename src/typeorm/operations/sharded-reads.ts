import type { DataSource, EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { RawSqlResultsToEntityTransformer } from 'typeorm/query-builder/transformer/RawSqlResultsToEntityTransformer'
import { copyWith } from '../../collections/copy-with'
import type { Row } from '../../merging/row'
import type { AggregateFunction } from '../../planning/finish-aggregate'
import { isRefusedPage } from '../../query/page'
import { routePredicate } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { numberKind } from '../binding/sort-column'
import { type SplitFind, splitFind } from '../find/apart-loads'
import { followsApart } from '../find/check-relations'
import { findPredicate, isLiteral } from '../find/find-predicate'
import { loadsIdsApart } from '../find/ids-apart'
import { optionsAtCall } from '../find/options-at-call'
import type { Page } from '../find/page'
import { isWholeRead, type WholeReads } from '../find/whole-reads'
import { type PageWork, pageOfOne, pageOverShards } from '../reads/find-page'
import type { FindOptions as Options, ReadScope } from '../reads/find-scope'
import { fillSlots, findShape } from '../reads/find-shape'
import {
  countsAreDisjoint,
  scatterAggregate,
  scatterCount,
  scatterExists,
  scatterFind,
  scatterFindAgain,
  scatterFindAndCount,
} from '../reads/read-operations'
import { findBy, type RememberedStatement, remembered, rememberedStatement } from '../reads/remembered-find'
import { type ApartContext, findAndCountInParts, findInParts, keyedLoad } from './apart-reads'
import { checkWidth, type OperationContext, routeRead } from './operation-context'

/** A read in its forms. */
interface ReadForms<T> {
  readonly name: string
  /** TypeORM's own, on one shard. */
  readonly single: (manager: EntityManager, options: Options, metadata: EntityMetadata) => Promise<T>
  /** TypeORM's own, over all shards as over one database. */
  readonly whole: (reads: WholeReads, options: Options, metadata: EntityMetadata) => Promise<T>
  /** Ours, over several shards. */
  readonly scatter: (read: ReadScope, options: Options) => Promise<T>
  /** In parts, where the options load what lies elsewhere; without it these loads say nothing of the result. */
  readonly inParts?: (context: OperationContext, split: SplitFind) => Promise<T>
  /** Of a read over several shards: besides what all reads leave to TypeORM. */
  readonly needsWhole?: (binding: EntityBinding, options: Options) => boolean
  /** TypeORM writes the page of the options into the statement of this read; the others have none, whatever the options say. */
  readonly isPaged?: boolean
  /** The result of a find of whole entities, which may be sent by the SQL of one before. */
  readonly ofEntities?: (entities: ObjectLiteral[]) => T
  /** The entities in the result, to be remembered with their shard. */
  readonly entities?: (result: T) => readonly (ObjectLiteral | null)[]
}

/** The reads that a manager has under the names of `WholeReads`. */
type OwnReads = Pick<WholeReads, 'find' | 'findAndCount' | 'findOne' | 'count' | 'exists'>

const byTypeOrm = <T>(own: (reads: OwnReads, options: Options, metadata: EntityMetadata) => Promise<T>) => ({
  single: own,
  whole: own,
})

const partsOf = ({ access, whole }: OperationContext) => ({ runtime: access.runtime, whole })

/** A read that its options say all of. */
const reading =
  <T>(forms: ReadForms<T>) =>
  (context: OperationContext, options: Options): Promise<T> =>
    read(context, options, forms)

export const find = reading<ObjectLiteral[]>({
  name: 'find',
  ...byTypeOrm((reads, options, { target }) => reads.find(target, options)),
  scatter: scatterFind,
  inParts: (context, split) => findInParts(partsOf(context), { metadata: context.binding.metadata, split }),
  isPaged: true,
  ofEntities: (entities) => entities,
  entities: (result) => result,
})

export const findPage = (context: OperationContext, work: PageWork): Promise<Page<ObjectLiteral>> =>
  read(context, work.request.find, {
    name: 'findPage',
    single: (manager, options, metadata) => pageOfOne(manager, metadata, { options, work }),
    whole: ({ manager }, options, metadata) => pageOfOne(manager, metadata, { options, work }),
    scatter: (scope, options) => pageOverShards(scope, options, work),
    inParts: (within, split) => {
      const { metadata } = within.binding
      const load = keyedLoad(partsOf(within), { metadata, split })
      if (load) return findPage(within, { ...work, load, request: { ...work.request, find: split.own } })
      return pageOfOne(within.whole.manager, metadata, { options: work.request.find, work })
    },
    entities: (page) => page.rows,
  })

/** A page of an unsharded entity. */
export async function pageAtHome(
  parts: ApartContext,
  metadata: EntityMetadata,
  work: PageWork,
): Promise<Page<ObjectLiteral>> {
  const { manager } = parts.whole
  const options = await optionsAtCall(metadata, work.request.find)
  const split = splitFind(metadata, options)
  const load = split && keyedLoad(parts, { metadata, split })
  return pageOfOne(
    manager,
    metadata,
    split && load ? { options: split.own, work: { ...work, load } } : { options, work },
  )
}

export const findAndCount = reading<[ObjectLiteral[], number]>({
  name: 'findAndCount',
  ...byTypeOrm((reads, options, { target }) => reads.findAndCount(target, options)),
  scatter: scatterFindAndCount,
  inParts: (context, split) => findAndCountInParts(partsOf(context), { metadata: context.binding.metadata, split }),
  needsWhole: (binding, { select }) => !countsAreDisjoint(binding, select),
  isPaged: true,
  entities: ([result]) => result,
})

const findFirst = reading<ObjectLiteral | null>({
  name: 'findOne',
  // An absent condition is TypeORM's error of findOne; findOneBy allows it, and takes the first row.
  ...byTypeOrm((reads, options, { target }) =>
    reads.findOne(target, copyWith(options, { where: options.where ?? {} })),
  ),
  scatter: async (scope, options) => (await scatterFind(scope, options))[0] ?? null,
  inParts: async (context, split) =>
    (await findInParts(partsOf(context), { metadata: context.binding.metadata, split }))[0] ?? null,
  isPaged: true,
  ofEntities: ([first]) => first ?? null,
  entities: (result) => [result],
})

/** TypeORM makes a copy here, as in no other read: what is inherited it does not have. */
export const findOne = (context: OperationContext, given: Options): Promise<ObjectLiteral | null> =>
  findFirst(context, Object.assign({}, given, { take: 1 }))

export const count = reading<number>({
  name: 'count',
  ...byTypeOrm((reads, options, { target }) => reads.count(target, options)),
  scatter: scatterCount,
  needsWhole: (binding, { select }) => !countsAreDisjoint(binding, select),
})

export const exists = reading<boolean>({
  name: 'exists',
  ...byTypeOrm((reads, options, { target }) => reads.exists(target, options)),
  scatter: scatterExists,
})

const aggregateMethods = { SUM: 'sum', AVG: 'average', MIN: 'minimum', MAX: 'maximum' } as const

export function aggregate(
  context: OperationContext,
  { fn, propertyPath, where }: { fn: AggregateFunction; propertyPath: string; where: Options['where'] },
): Promise<number | null> {
  const { metadata } = context.binding
  const method = aggregateMethods[fn]
  const column = metadata.columns.find((one) => one.propertyPath === propertyPath)
  const single = (manager: EntityManager, options: Options) =>
    manager[method]<ObjectLiteral>(metadata.target, propertyPath, options.where)
  const whole = (reads: WholeReads, options: Options) =>
    reads.aggregate(method, metadata.target, { property: propertyPath, where: options.where })
  return read(context, where === undefined ? {} : { where }, {
    name: method,
    single,
    whole,
    needsWhole: () => column !== undefined && numberKind(column) === undefined,
    scatter: async (scope, options) => {
      const [first] = scope.shards
      // An unknown column is TypeORM's error, made before it asks the database.
      if (first && !column) return context.access.onShard(first, (manager) => single(manager, options))
      const value = await scatterAggregate(scope, { fn, propertyPath, where: options.where })
      return value === undefined ? whole(context.whole, options) : value
    },
  })
}

async function read<T>(context: OperationContext, given: Options, forms: ReadForms<T>): Promise<T> {
  const { access, binding } = context
  const { metadata } = binding
  if (forms.ofEntities) {
    const found = readAgain(context, given, forms.name)
    if (found) return forms.ofEntities(await found)
  }
  const atCall = optionsAtCall(metadata, given)
  // Conditions seldom have objects as values: a find by key waits for nothing here.
  const asked = atCall instanceof Promise ? await atCall : atCall
  const split = splitFind(metadata, asked)
  const options = (forms.name === 'count' ? split?.counted : split?.own) ?? asked
  const leaves = followsApart(binding, options) || (forms.entities !== undefined && loadsIdsApart(metadata, options))
  const { shards, routed } = await routeRead(context, forms.name, options)
  if (split && forms.inParts) {
    const { own, counted } = split
    const routedCount = counted === own ? routed : (await routeRead(context, forms.name, counted)).routed
    return forms.inParts(context, { ...split, own: routed, counted: routedCount })
  }
  const [first, another] = shards
  if (leaves || (another && forms.needsWhole?.(binding, options)) || isWholeRead(metadata, routed, shards.length))
    return forms.whole(context.whole, routed, metadata)
  if (!first || (another && !(forms.isPaged && isRefusedPage(options))))
    return forms.scatter({ access, binding, shards }, routed)
  const known = forms.ofEntities && rememberedStatement(binding, access.runtime.managerOf(first), routed)
  if (forms.ofEntities && known) return forms.ofEntities(await findOn(context, first, known))
  const result = await access.onShard(first, (manager) => forms.single(manager, routed, metadata))
  if (forms.entities) remember(context, forms.entities(result), first)
  return result
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
  if (!shape || shape.values.some((value) => typeof value === 'object')) return undefined
  const predicate = findPredicate(binding, given.where, (target) => runtime.bindingOf(target))
  const route = routePredicate(binding, predicate)
  const shards = route.shards.flatMap((index) => binding.shards[index] ?? [])
  const [shard, another] = shards
  if (shard && !another) {
    const statement = remembered.of(binding).get(shape.key)
    if (statement === undefined || statement === 'joined') return undefined
    return findOn(context, shard, { statement, values: shape.values })
  }
  const again = runtime.lookups.anyReady() ? undefined : scatterFindAgain({ access, binding, shards }, shape)
  if (again) checkWidth(context, { name, writes: false }, shards.length)
  return again?.()
}

/** Finds on one shard by a statement that was made for a find of the same shape. @throws what `EntityManager.find` throws */
async function findOn(
  context: OperationContext,
  shard: Shard,
  { statement, values }: { readonly statement: RememberedStatement; readonly values: readonly unknown[] },
): Promise<ObjectLiteral[]> {
  const { access, binding } = context
  const parameters = fillSlots(statement.parameters, values)
  const entities =
    statement.needsRunner || access.needsRunner(shard)
      ? await access.onShard(shard, (manager) => findBy(manager, binding, { ...statement, parameters }))
      : entitiesOf(
          statement,
          (await access.sendTo(shard, { text: statement.text, parameters })).records,
          access.runtime.handle(shard),
        )
  remember(context, entities, shard)
  return entities
}

function entitiesOf(
  { expressionMap }: RememberedStatement,
  rows: Row[],
  { dataSource }: { readonly dataSource: DataSource },
): ObjectLiteral[] {
  const { mainAlias } = expressionMap
  if (!mainAlias || rows.length === 0) return []
  return new RawSqlResultsToEntityTransformer(expressionMap, dataSource.driver, []).transform(rows, mainAlias)
}

function remember(
  { access, binding }: OperationContext,
  entities: readonly (ObjectLiteral | null)[],
  shard: Shard,
): void {
  for (const entity of entities) if (entity) access.runtime.entityShards.remember(binding, entity, shard)
}
