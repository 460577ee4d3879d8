import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { ShardedError } from '../../errors/sharded-error'
import type { Predicate } from '../../routing/predicate'
import { unknownPredicate } from '../../routing/predicate'
import { type Route, routePredicate } from '../../routing/route'
import { checkScatter } from '../../routing/scatter-policy'
import type { Shard } from '../../topology/shard'
import { canonicalValue, type EntityBinding } from '../binding/entity-binding'
import { shardAt, shardOfKey } from '../binding/entity-shards'
import { asKey } from '../binding/lookups'
import { findPredicate } from '../find/find-predicate'
import type { WholeReads } from '../find/whole-reads'
import { keyValues, withKeyPredicate } from '../find/with-key'
import { inBoth, lookupRoute } from '../lookups/lookup-route'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import type { Hint } from './hint'

/** One operation on one sharded entity, with what the caller hinted. */
export interface OperationContext {
  readonly access: ShardAccess
  readonly binding: EntityBinding
  readonly hint: Hint | undefined
  readonly openRunner: () => ShardTransaction
  readonly whole: WholeReads
}

export interface RoutedOperation<Where> {
  readonly shards: readonly Shard[]
  readonly reason: string
  /** The caller's condition, with the shard key of `withShardKey` in it. */
  readonly where: Where
  readonly predicate: Predicate
}

export interface OperationKind {
  readonly name: string
  readonly writes: boolean
}

/**
 * Finds the shards of an operation from its condition and hint, and asks the scatter policy. A condition without the shard
 * key may find them by a lookup, which is read first.
 *
 * @throws ShardedError KEY_NOT_OWNED, SCATTER_FORBIDDEN, SCATTER_TOO_WIDE, NOT_SHARDED
 */
export function routeOperation<Where>(
  context: OperationContext,
  operation: OperationKind,
  given: Where,
): RoutedOperation<Where> | Promise<RoutedOperation<Where>> {
  const { access, binding, hint } = context
  if (hint?.kind === 'shard') {
    return {
      shards: [hintedShard(binding, hint.shard)],
      reason: `onShard('${hint.shard.name}') says so`,
      where: given,
      predicate: unknownPredicate,
    }
  }
  const where = hint?.kind === 'key' ? withKeyPredicate(binding, given, keyValues(binding, hint.value)) : given
  const predicate = findPredicate(binding, where, (target) => access.runtime.bindingOf(target))
  if (hint?.kind === 'key')
    return { shards: [shardOfHint(binding, hint.value)], reason: 'withShardKey(…) says so', where, predicate }
  const route = routePredicate(binding, predicate)
  const routed = ({ shards, reason }: Route): RoutedOperation<Where> => {
    checkWidth(context, operation, shards.length)
    return { shards: shards.map((index) => shardAt(binding, index)), reason, where, predicate }
  }
  if (route.shards.length === 1 || !access.runtime.lookups.anyReady()) return routed(route)
  return narrowed(context, route, where).then(routed)
}

/** The route of a read, and its options with the shard key of `withShardKey` in them. */
export async function routeRead(context: OperationContext, name: string, options: FindManyOptions<ObjectLiteral>) {
  const { shards, reason, where } = await routeOperation(context, { name, writes: false }, options.where)
  const isGiven = where === undefined || where === options.where
  return { shards, reason, routed: isGiven ? options : copyWith(options, { where }) }
}

/** The route as a lookup leaves it. */
async function narrowed({ access, binding }: OperationContext, route: Route, where: unknown): Promise<Route> {
  const lookups = access.runtime.lookups.readyOf(binding.metadata)
  if (lookups.length === 0) return route
  const found = await lookupRoute(access, lookups, (lookup) => {
    const keyed = asKey(lookup, binding)
    // A condition on related rows is no condition on the values of this row.
    return keyed && findPredicate(keyed, where, () => undefined)
  })
  return found ? { shards: inBoth(route.shards, found), reason: found.reason } : route
}

/** Asks the scatter policy whether an operation may reach so many shards. @throws ShardedError SCATTER_FORBIDDEN, SCATTER_TOO_WIDE */
export function checkWidth(
  { access, binding, hint }: OperationContext,
  { name, writes }: OperationKind,
  width: number,
): void {
  const warning = checkScatter(binding.entity, { name, writes, width, explicit: hint?.kind === 'across' })
  if (warning) access.runtime.warn(warning)
}

/** The shard of `onShard`, which must be one of the entity's. @throws ShardedError SHARD_UNKNOWN */
export function hintedShard(binding: EntityBinding, shard: Shard): Shard {
  // The hint may be older than the shard's place.
  const known = binding.shards.find(({ name }) => name === shard.name)
  if (known) return known
  throw new ShardedError(
    'SHARD_UNKNOWN',
    `${binding.entity.name} has no shard "${shard.name}": its group is ${binding.entity.group}.`,
    { details: { entity: binding.entity.name, shard: shard.name } },
  )
}

/** For a hint on what has no shards. */
export const notSharded = (name: string): ShardedError =>
  new ShardedError('NOT_SHARDED', `onShard and withShardKey need a sharded entity, and ${name} is not sharded.`, {
    details: { entity: name },
  })

/** The shard of `withShardKey`. @throws ShardedError KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED */
export function shardOfHint(binding: EntityBinding, value: unknown): Shard {
  const values = keyValues(binding, value)
  const key = binding.keyColumns.map((column, index) => {
    const one = values[index]
    if (one === undefined || one === null) {
      throw new ShardedError(
        'KEY_MISSING',
        `withShardKey was given no value for ${binding.entity.name}.${column.propertyPath}.`,
        {
          details: { entity: binding.entity.name, column: column.propertyPath },
          fix: 'Give withShardKey a value for each column of the shard key.',
        },
      )
    }
    return canonicalValue(binding, index, one)
  })
  return shardOfKey(binding, key)
}

/** The place of a row that a narrowed repository may write. @throws ShardedError WRONG_SHARD */
export function checkHintedPlace({ binding, hint }: OperationContext, shard: Shard): void {
  if (!hint || hint.kind === 'across') return
  const expected = hint.kind === 'shard' ? hintedShard(binding, hint.shard) : shardOfHint(binding, hint.value)
  if (expected === shard) return
  throw new ShardedError(
    'WRONG_SHARD',
    `The row belongs to shard ${shard.name}, the repository is narrowed to ${expected.name}.`,
    { details: { entity: binding.entity.name, shard: shard.name, narrowedTo: expected.name } },
  )
}
