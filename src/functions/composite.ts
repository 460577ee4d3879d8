import { checkLabels, functionInvalid, SLOTS } from './declaration'
import type { BoundFunction, ShardIndexes, ShardingFunction } from './sharding-function'
import { shardIndexes } from './sharding-function'

const allOf = (count: number): ShardIndexes => Array.from({ length: count }, (_, index) => index)

/** A function with the number of its shards. */
interface Factor {
  readonly bound: BoundFunction
  readonly size: number
}

const combine = ({ bound: a, size: sizeA }: Factor, { bound: b, size: sizeB }: Factor): BoundFunction => {
  const cross = (rows: ShardIndexes, columns: ShardIndexes): ShardIndexes =>
    shardIndexes(rows.flatMap((row) => columns.map((column) => row * sizeB + column)))
  const shardsOfSlot = (slot: number): ShardIndexes =>
    a.shardsOfSlot
      ? cross(a.shardsOfSlot(slot), allOf(sizeB))
      : cross(allOf(sizeA), b.shardsOfSlot?.(slot) ?? allOf(sizeB))
  return Object.freeze<BoundFunction>({
    owner: ([first, second]) => {
      if (first === undefined || second === undefined) return undefined
      const indexA = a.owner([first])
      const indexB = b.owner([second])
      return indexA === undefined || indexB === undefined ? undefined : indexA * sizeB + indexB
    },
    slotOf: ([first, second]) =>
      first === undefined || second === undefined ? undefined : (a.slotOf([first]) ?? b.slotOf([second])),
    ...((a.shardsOfSlot ?? b.shardsOfSlot) && { shardsOfSlot }),
    prune: ([first, second]) => {
      const prunedA = a.prune([first])
      const prunedB = b.prune([second])
      if (prunedA === 'all' && prunedB === 'all') return 'all'
      const columns = prunedB === 'all' ? allOf(sizeB) : prunedB
      const rows = prunedA === 'all' ? allOf(sizeA) : prunedA
      return cross(rows, columns)
    },
    print: Object.freeze({
      rule: `(${a.print.rule}) × (${b.print.rule})`,
      owns: Object.freeze(a.print.owns.flatMap((first) => b.print.owns.map((second) => `${first} × ${second}`))),
    }),
    placementUnit: (shard) => Math.floor(shard / sizeB),
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
      return combine(
        { bound: a.bind([first]), size: a.labels.length },
        { bound: b.bind([second]), size: b.labels.length },
      )
    },
  })
}
