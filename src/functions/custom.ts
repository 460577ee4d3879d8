import { ShardedError } from '../errors/sharded-error'
import type { CanonicalKey } from '../values/canonical-key'
import { ordersAsDatabase } from '../values/compare-keys'
import type { KeyType } from '../values/key-type'
import { checkLabels, functionInvalid } from './declaration'
import type { BoundFunction, KeyBound, ShardingFunction } from './sharding-function'
import { keyCombinations, labelUnits, unitsOf } from './sharding-function'

/** The options of `custom`. */
export interface CustomOptions {
  /** The labels of all shards, in their order. */
  readonly shards: readonly string[]
  /** The shard of a key, given the canonical text of each key column; `undefined`: no shard owns it. Must be pure. */
  readonly shardOf: (...key: CanonicalKey[]) => string | undefined
  /**
   * The shards that can hold keys of a range, for a key of one column of numbers, dates or times; too many is fine,
   * too few loses rows. Without it, ranges reach all shards. Is never asked about types that the database orders by a
   * collation or that have no order here.
   */
  readonly prune?: (range: { readonly from?: KeyBound; readonly to?: KeyBound }) => readonly string[]
}

const bindCustom = (
  { shardOf, prune }: CustomOptions,
  indexes: ReadonlyMap<string, number>,
  types: readonly KeyType[],
): BoundFunction => {
  const [type] = types
  if (type === undefined) throw functionInvalid('custom', 'it takes at least one shard key column.')
  const indexOf = (name: string): number => {
    const index = indexes.get(name)
    if (index !== undefined) return index
    throw new ShardedError(
      'SHARD_UNKNOWN',
      `custom(…) answered with the shard ${JSON.stringify(name)}, which it does not declare.`,
      { details: { shard: name, shards: [...indexes.keys()] } },
    )
  }
  const unitOf: BoundFunction['unitOf'] = (key) => {
    const name = answerOf('shardOf', key, () => shardOf(...key))
    return name === undefined ? undefined : indexOf(name)
  }
  const pruneRange = types.length === 1 && ordersAsDatabase(type) ? prune : undefined
  return Object.freeze<BoundFunction>({
    ...labelUnits(indexes.size),
    unitOf,
    prune: (constraints) => {
      const keys = keyCombinations(constraints)
      if (keys !== undefined) return unitsOf(keys.map(unitOf))
      const [constraint] = constraints
      if (pruneRange === undefined || constraint?.kind !== 'range') return ['all']
      const { kind: _, ...bounds } = constraint
      const known = [bounds.from?.key, bounds.to?.key].filter((key) => key !== undefined)
      return [answerOf('prune', known, () => pruneRange(bounds)).map(indexOf)]
    },
    // What a function of the user's does with another list of shards is not known: every label is a part of the rule.
    print: Object.freeze({
      rule: `custom over ${[...indexes.keys()].sort().join(', ')}`,
      owns: Object.freeze([...indexes].map(() => '')),
    }),
  })
}

/** What a function of the user's answers: an error of its own is not to be taken for one of the database. */
function answerOf<T>(name: 'shardOf' | 'prune', key: readonly unknown[], ask: () => T): T {
  try {
    return ask()
  } catch (cause) {
    throw new ShardedError('KEY_NOT_OWNED', `${name} of custom(…) failed for ${key.join(', ')}: ${String(cause)}.`, {
      details: { key, function: name },
      cause,
    })
  }
}

/**
 * Places keys by a function of yours. It must give the same shard for the same key at all times and in all processes.
 *
 * @throws ShardedError FUNCTION_INVALID; later SHARD_UNKNOWN when `shardOf` answers with a name that `shards` lacks, KEY_NOT_OWNED
 *   when it throws
 * @example
 * custom({ shards: ['even', 'odd'], shardOf: (id) => (BigInt(id) % 2n === 0n ? 'even' : 'odd') })
 */
export const custom = (options: CustomOptions): ShardingFunction => {
  if (typeof options.shardOf !== 'function') throw functionInvalid('custom', 'shardOf must be a function.')
  const labels = checkLabels('custom', options.shards)
  const indexes = new Map(labels.map((label, index) => [label, index]))
  const kept = Object.freeze({ ...options })
  return Object.freeze<ShardingFunction>({
    kind: 'custom',
    labels,
    arity: 'any',
    bind: (types) => bindCustom(kept, indexes, types),
  })
}
