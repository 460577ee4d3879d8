import type { BoundFunction } from '../../../src/functions/sharding-function'
import { evenOwners } from '../../../src/topology/unit-owners'

/** What a function says of keys, and the first map of the units: by indexes of shards. */
export const owned = (bound: BoundFunction) => {
  const owners = evenOwners(bound.spaces)
  return {
    ...bound,
    owner: (key: readonly string[]) => owners.shardOf(bound.unitOf(key)),
    prune: (constraints: Parameters<BoundFunction['prune']>[0]) => owners.shardsOf(bound.prune(constraints)),
  }
}
