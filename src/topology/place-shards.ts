import { ShardedError } from '../errors/sharded-error'
import type { BoundFunction } from '../functions/sharding-function'

/** A node as placement sees it. */
export interface WeightedNode {
  readonly name: string
  /** Its part of the load, in relation to the other weights: 1 unless said; 0 takes only what is pinned to it. */
  readonly weight?: number
}

interface Load {
  readonly name: string
  /** The part of all units that is due to this node. */
  readonly due: number
  placed: number
}

/** Sums of weights are not exact in floating point. */
const TOLERANCE = 1e-9

const loadsOf = (nodes: readonly WeightedNode[]): readonly Load[] => {
  const total = nodes.reduce((sum, { weight = 1 }) => sum + weight, 0)
  const isBad = nodes.some(({ weight = 1 }) => !Number.isFinite(weight) || weight < 0)
  if (isBad || !Number.isFinite(total) || total <= 0) {
    throw new ShardedError(
      'OPTIONS_INVALID',
      'The weights of nodes must be numbers of 0 or more, and not all of them 0.',
      { details: { nodes: nodes.map(({ name, weight = 1 }) => ({ name, weight })) } },
    )
  }
  return nodes
    .filter(({ weight = 1 }) => weight > 0)
    .map(({ name, weight = 1 }) => ({ name, due: weight / total, placed: 0 }))
}

/** The unit of placement that a shard is of: itself, or of a `composite` all shards of one shard of its first part. */
export const placementUnitOf = ([, second]: BoundFunction['spaces'], shard: number): number =>
  Math.floor(shard / (second?.shards ?? 1))

/**
 * Spreads units over nodes: the node of each unit, in order. It is Tijdeman's chairman assignment: of the nodes
 * whose due part is sufficiently ahead of what they have, the one whose next unit is the most urgent.
 *
 * Neighbours (the months of a year, say) land on different nodes as far as the weights allow. Every beginning of the
 * sequence is proportional to the weights to within one unit, so more units at the end leave the places of the others.
 *
 * @throws ShardedError OPTIONS_INVALID
 * @example
 * placeShards([{ name: 'a', weight: 2 }, { name: 'b' }], 6) // ['a', 'b', 'a', 'a', 'b', 'a']
 */
export const placeShards = (nodes: readonly WeightedNode[], units: number): readonly string[] => {
  const loads = loadsOf(nodes)
  const slack = loads.length > 1 ? 1 / (2 * loads.length - 2) : 0
  const placed = Array.from({ length: units }, (_, unit) => {
    const isDue = ({ due, placed }: Load): boolean => due * (unit + 1) - placed >= slack - TOLERANCE
    const deadline = ({ due, placed }: Load): number => (placed + 1 - slack) / due
    const next = loads
      .filter(isDue)
      .reduce<Load | undefined>(
        (best, load) => (best && deadline(best) <= deadline(load) + TOLERANCE ? best : load),
        undefined,
      )
    if (next === undefined) throw new Error('Some node is always due: the parts add up to one.')
    next.placed += 1
    return next.name
  })
  return Object.freeze(placed)
}
