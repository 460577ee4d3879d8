import type { CanonicalKey } from '../values/canonical-key'
import type { BoundFunction } from './sharding-function'
import { keyCombinations } from './sharding-function'

/**
 * The same function, which tells of every key that it is asked for. Routes ask for each key of a function of one column; conditions on
 * several columns are told when they leave one key of each.
 */
export const countingKeys = (fn: BoundFunction, count: (key: readonly CanonicalKey[]) => void): BoundFunction =>
  Object.freeze<BoundFunction>({
    ...fn,
    unitOf: (key) => {
      count(key)
      return fn.unitOf(key)
    },
    prune: (constraints) => {
      if (constraints.length > 1) for (const key of keyCombinations(constraints) ?? []) count(key)
      return fn.prune(constraints)
    },
  })
