import type { CanonicalKey } from '../values/canonical-key'
import type { KeyConstraint } from './sharding-function'

/** IN lists of a composite key multiply; beyond this many keys asking all shards is cheaper than looking. */
export const MAX_COMBINATIONS = 10_000

/** Every key that equality constraints on all columns leave; `undefined` where they do not, or leave too many. */
export const keyCombinations = (
  constraints: readonly (KeyConstraint | undefined)[],
): readonly (readonly CanonicalKey[])[] | undefined => {
  let count = 1
  const lists: (readonly CanonicalKey[])[] = []
  for (const constraint of constraints) {
    if (constraint?.kind !== 'values') return undefined
    lists.push(constraint.keys)
    count *= constraint.keys.length
  }
  if (lists.length === 0 || count > MAX_COMBINATIONS) return undefined
  return lists.reduce<readonly (readonly CanonicalKey[])[]>(
    (keys, list) => keys.flatMap((key) => list.map((next) => [...key, next])),
    [[]],
  )
}
