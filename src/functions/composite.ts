import { checkLabels, functionInvalid, SLOTS } from './declaration'
import type { BoundFunction, ShardingFunction } from './sharding-function'

const combine = (a: BoundFunction, b: BoundFunction): BoundFunction => {
  const [spaceA] = a.spaces
  const [spaceB] = b.spaces
  return Object.freeze<BoundFunction>({
    spaces: Object.freeze([spaceA, spaceB] as const),
    unitOf: ([first, second]) => {
      if (first === undefined || second === undefined) return undefined
      const unitA = a.unitOf([first])
      const unitB = b.unitOf([second])
      return unitA === undefined || unitB === undefined ? undefined : unitA * spaceB.size + unitB
    },
    slotOf: ([first, second]) =>
      first === undefined || second === undefined ? undefined : (a.slotOf([first]) ?? b.slotOf([second])),
    prune: ([first, second]) => [...a.prune([first]), ...b.prune([second])],
    print: Object.freeze({
      rule: `(${a.print.rule}) × (${b.print.rule})`,
      owns: Object.freeze(a.print.owns.flatMap((first) => b.print.owns.map((second) => `${first} × ${second}`))),
    }),
  })
}

/**
 * Crosses two functions: the first over the first key column, the second over the second. A condition on either column
 * prunes. Shards of one value of the first function stay together on a node: they are one unit of placement.
 *
 * @throws ShardedError FUNCTION_INVALID
 * @example
 * composite(hash({ shards: 4 }), time({ every: 'month', from: '2024-01', to: '2025-01' })) // order_00_2024_01 …
 */
export const composite = (a: ShardingFunction, b: ShardingFunction): ShardingFunction => {
  for (const part of [a, b]) {
    if (part.arity !== 1 && part.arity !== 'any') {
      throw functionInvalid('composite', `a function over one key column is needed, ${part.kind} takes ${part.arity}.`)
    }
  }
  if (a.rolling || b.rolling) throw functionInvalid('composite', 'time without an end cannot be crossed; give it "to".')
  const count = a.labels.length * b.labels.length
  if (count > SLOTS) throw functionInvalid('composite', `${count} shards are more than ${SLOTS}.`)
  const labels = a.labels.flatMap((first) => b.labels.map((second) => `${first}_${second}`))
  return Object.freeze<ShardingFunction>({
    kind: 'composite',
    labels: checkLabels('composite', labels),
    arity: 2,
    bind: (types) => {
      const [first, second] = types
      if (first === undefined || second === undefined || types.length !== 2) {
        throw functionInvalid('composite', `it takes two shard key columns, not ${types.length}.`)
      }
      return combine(a.bind([first]), b.bind([second]))
    },
  })
}
