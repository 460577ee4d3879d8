import { ShardedError } from '../errors/sharded-error'
import type { KeyConstraint } from '../functions/sharding-function'
import { shownName } from '../model/hidden-key-name'
import type { ShardedEntity } from '../model/sharded-entity'
import type { ShardIndexes, UnitOwners } from '../topology/unit-owners'
import { bothConstraints } from './constrain'
import type { Predicate } from './predicate'

/** The shards of one operation, and why these. */
export interface Route {
  /** Sorted indexes into the group's shards. */
  readonly shards: ShardIndexes
  readonly reason: string
}

/** An entity, and which shards own the units of its sharding function. */
export interface PlacedEntity {
  readonly entity: ShardedEntity
  readonly owners: UnitOwners
}

type Constraints = readonly (KeyConstraint | undefined)[]
type Pruned = ShardIndexes | 'all'

/**
 * Folds a predicate to the shards that can hold a matching row: AND intersects, OR unites, the unknown is all.
 * Every node is visited once and nothing is expanded, so the time is linear in the predicate.
 *
 * @throws ShardedError KEY_NOT_OWNED when a key is named that no shard owns
 */
export function routePredicate(placed: PlacedEntity, predicate: Predicate): Route {
  const { entity, owners } = placed
  const none: Constraints = entity.keyColumns.map(() => undefined)
  const pruned = fold(placed, predicate, none)
  const subject = mentionsSlots(predicate) ? `ids that carry the slot of ${keyText(entity)}` : keyText(entity)
  if (pruned === 'all')
    return { shards: owners.all, reason: `the condition says nothing that narrows ${keyText(entity)}` }
  if (pruned.length === 0)
    return {
      shards: [0],
      reason: `the condition on ${subject} contradicts itself: one shard gives the empty answer`,
    }
  return {
    shards: pruned,
    reason: `the condition on ${subject} leaves ${pruned.length} of ${owners.all.length} shards`,
  }
}

/** `User.id`, `Order.(tenantId, day)`: how messages name a shard key. */
export function keyText(entity: ShardedEntity): string {
  const paths = entity.keyColumns.map((column) => shownName(column.propertyPath))
  return paths.length === 1 ? `${entity.name}.${paths[0]}` : `${entity.name}.(${paths.join(', ')})`
}

/** The shard that owns a key. @throws ShardedError KEY_NOT_OWNED */
export function ownerOf({ entity, owners }: PlacedEntity, key: readonly string[]): number {
  const owner = owners.shardOf(entity.fn.unitOf(key))
  if (owner === undefined) throw keyNotOwned(entity, key)
  return owner
}

function keyNotOwned(entity: ShardedEntity, key: readonly string[]): ShardedError {
  return new ShardedError('KEY_NOT_OWNED', `No shard of ${entity.group} owns ${keyText(entity)} = ${key.join(', ')}.`, {
    details: { entity: entity.name, columns: entity.keyColumns.map((column) => column.propertyPath), key },
  })
}

function fold(placed: PlacedEntity, predicate: Predicate, known: Constraints): Pruned {
  switch (predicate.kind) {
    case 'unknown':
      return prune(placed, known)
    case 'slots':
      return foldAnd(placed, [predicate], known)
    case 'key':
      return ownersOf(placed, predicate.constraint, known) ?? foldAnd(placed, [predicate], known)
    case 'and':
      return foldAnd(placed, predicate.of, known)
    case 'or':
      return unite(predicate.of.map((branch) => fold(placed, branch, known)))
  }
}

/** The commonest condition: keys of a shard key of one column, and nothing known besides. Each is hashed once. */
function ownersOf(placed: PlacedEntity, constraint: KeyConstraint, known: Constraints): ShardIndexes | undefined {
  if (constraint.kind !== 'values' || placed.entity.keyColumns.length !== 1 || known[0] !== undefined) return undefined
  const owners = constraint.keys.map((key) => ownerOf(placed, [key]))
  return owners.length < 2 ? owners : [...new Set(owners)].sort((x, y) => x - y)
}

function foldAnd(placed: PlacedEntity, parts: readonly Predicate[], known: Constraints): Pruned {
  const constraints = [...known]
  let pruned: Pruned = 'all'
  for (const part of parts) {
    if (part.kind !== 'key') continue
    checkOwned(placed, part.constraint)
    const before = constraints[part.column]
    constraints[part.column] = before ? bothConstraints(before, part.constraint) : part.constraint
    // A range that `bothConstraints` dropped still counts by itself.
    if (before)
      pruned = intersect(
        pruned,
        prune(
          placed,
          known.map((one, column) => (column === part.column ? part.constraint : one)),
        ),
      )
  }
  pruned = intersect(pruned, prune(placed, constraints))
  for (const part of parts) {
    if (part.kind === 'slots') pruned = intersect(pruned, placed.owners.shardsOfSlots(part.slots))
    if (part.kind === 'and' || part.kind === 'or') pruned = intersect(pruned, fold(placed, part, constraints))
  }
  return pruned
}

const mentionsSlots = (predicate: Predicate): boolean =>
  predicate.kind === 'slots' ||
  ((predicate.kind === 'and' || predicate.kind === 'or') && predicate.of.some(mentionsSlots))

/** A key that no shard owns is refused where one column decides; with several, where all are known and none is owned. */
function checkOwned(placed: PlacedEntity, constraint: KeyConstraint): void {
  if (placed.entity.keyColumns.length !== 1 || constraint.kind !== 'values') return
  for (const key of constraint.keys) ownerOf(placed, [key])
}

function prune({ entity, owners }: PlacedEntity, constraints: Constraints): Pruned {
  if (constraints.every((one) => one === undefined)) return 'all'
  if (constraints.some((one) => one?.kind === 'values' && one.keys.length === 0)) return []
  const pruned = owners.shardsOf(entity.fn.prune(constraints))
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
