import { type CanonicalKey, canonicalTuple } from '../values/canonical-key'
import { type BoundFunction, keyCombinations } from './sharding-function'

/**
 * A function of slots in which some keys have units of their own, behind those of the slots. The slot of such a key stays what it was:
 * ids carry it.
 *
 * @param keys the canonical texts of all key columns of each; their units follow each other in this order
 */
export const isolating = (fn: BoundFunction, keys: readonly (readonly CanonicalKey[])[]): BoundFunction => {
  if (keys.length === 0) return fn
  const [space] = fn.spaces
  const own = new Map(keys.map((key, index) => [canonicalTuple(key), space.size + index]))
  const unitOf = (key: readonly CanonicalKey[]): number | undefined => own.get(canonicalTuple(key)) ?? fn.unitOf(key)
  return Object.freeze<BoundFunction>({
    spaces: Object.freeze([Object.freeze({ ...space, size: space.size + keys.length })] as const),
    unitOf,
    slotOf: fn.slotOf,
    prune: (constraints) => {
      const units = keyCombinations(constraints)?.map(unitOf)
      return [units ? units.filter((unit) => unit !== undefined) : 'all']
    },
    print: fn.print,
  })
}
