import { ShardedError } from '../errors/sharded-error'
import type { KeyConstraint, ShardIndexes } from '../functions/sharding-function'
import { shardIndexes } from '../functions/sharding-function'
import type { ShardedEntity } from '../model/sharded-entity'
import { bothConstraints } from './constrain'
import type { Predicate } from './predicate'

/** The shards of one operation, and why these. */
export interface Route {
  /** Sorted indexes into the group's shards. */
  readonly shards: ShardIndexes
  readonly reason: string
}

type Constraints = readonly (KeyConstraint | undefined)[]
type Pruned = ShardIndexes | 'all'

/**
 * Folds a predicate to the shards that can hold a matching row: AND intersects, OR unites, the unknown is all.
 * Every node is visited once and nothing is expanded, so the time is linear in the predicate.
 *
 * @throws ShardedError KEY_NOT_OWNED when a key is named that no shard owns
 */
export function routePredicate(entity: ShardedEntity, predicate: Predicate, shardCount: number): Route {
  const none: Constraints = entity.keyColumns.map(() => undefined)
  const pruned = fold(entity, predicate, none)
  const subject = mentionsSlots(predicate) ? `ids that carry the slot of ${keyText(entity)}` : keyText(entity)
  if (pruned === 'all')
    return { shards: range(shardCount), reason: `the condition says nothing that narrows ${keyText(entity)}` }
  if (pruned.length === 0)
    return {
      shards: [0],
      reason: `the condition on ${subject} contradicts itself: one shard gives the empty answer`,
    }
  return {
    shards: pruned,
    reason: `the condition on ${subject} leaves ${pruned.length} of ${shardCount} shards`,
  }
}

/** `User.id`, `Order.(tenantId, day)`: how messages name a shard key. */
export function keyText(entity: ShardedEntity): string {
  const paths = entity.keyColumns.map((column) => column.propertyPath)
  return paths.length === 1 ? `${entity.name}.${paths[0]}` : `${entity.name}.(${paths.join(', ')})`
}

/** The shard that owns a key. @throws ShardedError KEY_NOT_OWNED */
export function ownerOf(entity: ShardedEntity, key: readonly string[]): number {
  const owner = entity.fn.owner(key)
  if (owner === undefined) throw keyNotOwned(entity, key)
  return owner
}

function keyNotOwned(entity: ShardedEntity, key: readonly string[]): ShardedError {
  return new ShardedError('KEY_NOT_OWNED', `No shard of ${entity.group} owns ${keyText(entity)} = ${key.join(', ')}.`, {
    details: { entity: entity.name, columns: entity.keyColumns.map((column) => column.propertyPath), key },
  })
}

function fold(entity: ShardedEntity, predicate: Predicate, known: Constraints): Pruned {
  switch (predicate.kind) {
    case 'unknown':
      return prune(entity, known)
    case 'slots':
      return foldAnd(entity, [predicate], known)
    case 'key':
      return ownersOf(entity, predicate.constraint, known) ?? foldAnd(entity, [predicate], known)
    case 'and':
      return foldAnd(entity, predicate.of, known)
    case 'or':
      return unite(predicate.of.map((branch) => fold(entity, branch, known)))
  }
}

/** The commonest condition: keys of a shard key of one column, and nothing known besides. Each is hashed once. */
function ownersOf(entity: ShardedEntity, constraint: KeyConstraint, known: Constraints): ShardIndexes | undefined {
  if (constraint.kind !== 'values' || entity.keyColumns.length !== 1 || known[0] !== undefined) return undefined
  const owners = constraint.keys.map((key) => ownerOf(entity, [key]))
  return owners.length < 2 ? owners : [...new Set(owners)].sort((x, y) => x - y)
}

function foldAnd(entity: ShardedEntity, parts: readonly Predicate[], known: Constraints): Pruned {
  const constraints = [...known]
  let pruned: Pruned = 'all'
  for (const part of parts) {
    if (part.kind !== 'key') continue
    checkOwned(entity, part.constraint)
    const before = constraints[part.column]
    constraints[part.column] = before ? bothConstraints(before, part.constraint) : part.constraint
    // A range that `bothConstraints` dropped still counts by itself.
    if (before)
      pruned = intersect(
        pruned,
        prune(
          entity,
          known.map((one, column) => (column === part.column ? part.constraint : one)),
        ),
      )
  }
  pruned = intersect(pruned, prune(entity, constraints))
  for (const part of parts) {
    if (part.kind === 'slots') pruned = intersect(pruned, shardsOfSlots(entity, part.slots))
    if (part.kind === 'and' || part.kind === 'or') pruned = intersect(pruned, fold(entity, part, constraints))
  }
  return pruned
}

function shardsOfSlots({ fn: { shardsOfSlot } }: ShardedEntity, slots: readonly number[]): Pruned {
  return shardsOfSlot ? shardIndexes(slots.flatMap(shardsOfSlot)) : 'all'
}

const mentionsSlots = (predicate: Predicate): boolean =>
  predicate.kind === 'slots' ||
  ((predicate.kind === 'and' || predicate.kind === 'or') && predicate.of.some(mentionsSlots))

/** A key that no shard owns is refused where one column decides; with several, where all are known and none is owned. */
function checkOwned(entity: ShardedEntity, constraint: KeyConstraint): void {
  if (entity.keyColumns.length !== 1 || constraint.kind !== 'values') return
  for (const key of constraint.keys) ownerOf(entity, [key])
}

function prune(entity: ShardedEntity, constraints: Constraints): Pruned {
  if (constraints.every((one) => one === undefined)) return 'all'
  if (constraints.some((one) => one?.kind === 'values' && one.keys.length === 0)) return []
  const pruned = entity.fn.prune(constraints)
  if (pruned !== 'all' && pruned.length === 0 && isOneKey(constraints)) {
    throw keyNotOwned(
      entity,
      constraints.flatMap((one) => (one?.kind === 'values' ? one.keys : [])),
    )
  }
  return pruned
}

const isOneKey = (constraints: Constraints): boolean =>
  constraints.every((one) => one?.kind === 'values' && one.keys.length === 1)

function intersect(a: Pruned, b: Pruned): Pruned {
  if (a === 'all') return b
  if (b === 'all') return a
  const other = new Set(b)
  return a.filter((shard) => other.has(shard))
}

function unite(branches: readonly Pruned[]): Pruned {
  const united = new Set<number>()
  let isAll = false
  for (const branch of branches) {
    if (branch === 'all') isAll = true
    else for (const shard of branch) united.add(shard)
  }
  return isAll ? 'all' : [...united].sort((x, y) => x - y)
}

/** Every read without a key asks for it: a loop takes a tenth of what `Array.from` does. */
function range(count: number): ShardIndexes {
  const indexes: number[] = []
  for (let index = 0; index < count; index++) indexes.push(index)
  return indexes
}
