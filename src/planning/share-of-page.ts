import type { Shard } from '../topology/shard'

/**
 * How many rows a node is asked for as its share of a page that ends after `end` rows spread over the shards by chance: two
 * standard deviations more than the mean of the node with the most shards, and one more for each doubling of the nodes. By
 * the binomial distribution one page of 20 rows in a hundred has more on one node, and one of 500 in fourteen at most.
 *
 * @example shareOf(20, shardsOfTwoNodes) // 16
 */
export function shareOf(end: number, shards: readonly Shard[]): number {
  const share = greatestShare(shards)
  const mean = end * share
  const deviation = Math.sqrt(mean * (1 - share))
  return Math.min(end + 1, Math.ceil(mean + 2 * deviation) + Math.ceil(Math.log2(1 / share)))
}

/** Of the shards, on the node that has most of them. */
function greatestShare(shards: readonly Shard[]): number {
  const counts = new Map<string, number>()
  for (const { node } of shards) counts.set(node, (counts.get(node) ?? 0) + 1)
  return Math.max(...counts.values()) / shards.length
}
