import type { EntityMetadata, FindManyOptions, ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import { keyOf } from '../binding/entity-binding'
import { shardOfKey } from '../binding/entity-shards'
import { reachesApart } from '../binding/relation-apart'
import { type SplitFind, splitFind } from '../find/apart-loads'
import { isPlain } from '../find/find-predicate'
import { keysOfRelations } from '../find/keys-of-relations'
import { optionsAtCall } from '../find/options-at-call'
import type { WholeReads } from '../find/whole-reads'
import type { KeyedLoad } from '../hydration/hydrate'
import { type ApartReads, type FoundApart, findApart, findApartByKeys } from '../reads/find-apart'
import type { ShardRuntime } from '../runners/shard-runtime'

/** TypeORM's reads of a manager, and what is known of the shards. */
export interface ApartContext {
  readonly runtime: ShardRuntime
  readonly whole: WholeReads
}

export interface ApartFind {
  readonly metadata: EntityMetadata
  readonly split: SplitFind
}

export async function findInParts(context: ApartContext, { metadata, split }: ApartFind): Promise<ObjectLiteral[]> {
  return (await find(context, metadata, split)).entities
}

/** Like TypeORM it counts only where the page does not tell. */
export async function findAndCountInParts(
  context: ApartContext,
  { metadata, split }: ApartFind,
): Promise<[ObjectLiteral[], number]> {
  const { entities, builder } = await find(context, metadata, split)
  return [entities, lazyCount(builder, entities) ?? (await context.whole.count(metadata.target, split.counted))]
}

/**
 * Loads the entities of a find in parts by the keys of their rows: for a page by cursor, and a stream.
 *
 * @returns undefined where the find does not select the keys
 */
export function keyedLoad({ runtime, whole }: ApartContext, { metadata, split }: ApartFind): KeyedLoad | undefined {
  const shardKey = runtime.bindingOf(metadata.target)?.keyColumns ?? []
  const columns = [...new Set([...metadata.primaryColumns, ...shardKey])]
  const select: unknown = split.own.select
  const isSelected = columns.every(
    ({ propertyPath, propertyName, isVirtual }) =>
      propertyPath === propertyName && !isVirtual && (!select || (isPlain(select) && select[propertyPath] === true)),
  )
  if (!isSelected) return undefined
  return (keys) => findApartByKeys(readsOf(runtime, whole), { metadata, split, columns, keys })
}

const find = ({ runtime, whole }: ApartContext, metadata: EntityMetadata, split: SplitFind): Promise<FoundApart> =>
  findApart(readsOf(runtime, whole), metadata, split)

const readsOf = (runtime: ShardRuntime, { manager, related }: WholeReads): ApartReads => ({
  manager,
  related: related(),
  remember: rememberPlaced(runtime),
})

/** Remembers the shard of an entity that has its whole shard key: rows of a key are on no other one. */
const rememberPlaced =
  (runtime: ShardRuntime): ApartReads['remember'] =>
  (metadata, entity) => {
    const binding = runtime.bindingOf(entity.constructor) ?? runtime.bindingOf(metadata.target)
    const key = binding && keyOf(binding, entity)
    if (binding && key) runtime.entityShards.remember(binding, entity, shardOfKey(binding, key))
  }

/** What a page tells of how many rows there are, by a private method of TypeORM's builder. */
function lazyCount(builder: SelectQueryBuilder<ObjectLiteral>, entities: ObjectLiteral[]): number | undefined {
  const counter = builder as unknown as { lazyCount(result: object): number | undefined }
  return counter.lazyCount({ entities })
}

/** What TypeORM's reads of these names are given after the entity: options, or a condition. */
const optionsOf: Readonly<Record<string, (given: unknown) => unknown>> = {
  find: (options) => options,
  findBy: (where) => ({ where }),
  findAndCount: (options) => options,
  findAndCountBy: (where) => ({ where }),
  findOne: (options) => options,
  findOneBy: (where) => ({ where }),
  count: (options) => options,
  exists: (options) => options,
}

interface HomeRead {
  readonly name: string
  readonly metadata: EntityMetadata
  /** What the caller gave after the entity. */
  readonly given: unknown
}

/**
 * A read of an unsharded entity that loads rows of shards.
 *
 * @returns undefined for any other one, which is TypeORM's: at once where no option can say it, since TypeORM reads them at the call
 */
export function readHomeInParts(context: ApartContext, read: HomeRead): Promise<InParts | undefined> | undefined {
  const { name, metadata, given } = read
  if (!reachesApart(metadata)) return undefined
  const asked: unknown = optionsOf[name]?.(given)
  if (!isPlain(asked) || (name === 'findOne' && !asked['where'])) return undefined
  return readSplit(context, read, asked)
}

interface InParts {
  readonly result: unknown
}

async function readSplit(
  context: ApartContext,
  { name, metadata }: HomeRead,
  asked: Readonly<Record<string, unknown>>,
): Promise<InParts | undefined> {
  const options = await optionsAtCall(metadata, asked)
  const { whole } = context
  const split = splitFind(metadata, name.startsWith('findOne') ? { ...options, take: 1 } : options)
  if (!split)
    return keysOfRelations(metadata, asked) === asked ? undefined : readWhole(whole, { name, metadata }, options)
  switch (name) {
    case 'count':
      return { result: await whole.count(metadata.target, split.counted) }
    case 'exists':
      return { result: await whole.exists(metadata.target, split.own) }
    case 'findAndCount':
    case 'findAndCountBy':
      return { result: await findAndCountInParts(context, { metadata, split }) }
    default: {
      const entities = await findInParts(context, { metadata, split })
      return { result: name.startsWith('findOne') ? (entities[0] ?? null) : entities }
    }
  }
}

/** The same read of TypeORM's, of other options. */
async function readWhole(
  whole: WholeReads,
  { name, metadata: { target } }: Omit<HomeRead, 'given'>,
  options: FindManyOptions<ObjectLiteral>,
): Promise<InParts> {
  switch (name) {
    case 'count':
      return { result: await whole.count(target, options) }
    case 'exists':
      return { result: await whole.exists(target, options) }
    case 'findAndCount':
    case 'findAndCountBy':
      return { result: await whole.findAndCount(target, options) }
    case 'findOne':
    case 'findOneBy':
      return { result: await whole.findOne(target, options) }
    default:
      return { result: await whole.find(target, options) }
  }
}
