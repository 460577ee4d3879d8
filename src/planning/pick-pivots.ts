/** A value of an order term, found at the place of the range that its shard was asked for. */
export interface Candidate {
  readonly shard: number
  readonly value: string
}

/**
 * Which candidates are counted, as parts of the weight before them. The outer two most often have the page's start
 * between them, and the others one of them close to it where shards are alike; the middle one halves what is left where
 * they are not. One scan counts all of them.
 */
const quantiles = [1 / 8, 3 / 8, 1 / 2, 5 / 8, 7 / 8]

/**
 * Chooses pivots among the shards' candidates, each weighted by the rows of its shard that are in question. A shard
 * that was asked and gave none stands after all others.
 *
 * @param candidates in the order of their term
 * @returns distinct values, ascending; at least one where there is a candidate
 */
export function pickPivots(
  candidates: readonly Candidate[],
  { weights, shards }: { weights: ReadonlyMap<number, number>; shards: readonly number[] },
): readonly string[] {
  const weightOf = (shard: number): number => weights.get(shard) ?? 0
  const total = shards.reduce((sum, shard) => sum + weightOf(shard), 0)
  const pivots: string[] = []
  let before = 0
  let next = 0
  for (const [index, { shard, value }] of candidates.entries()) {
    before += weightOf(shard)
    const isLast = index === candidates.length - 1
    const reached = quantiles.findIndex((quantile) => quantile * total > before)
    const passed = reached < 0 ? quantiles.length : reached
    if (passed === next && !(isLast && next < quantiles.length)) continue
    next = passed
    if (pivots.at(-1) !== value) pivots.push(value)
  }
  return Object.freeze(pivots)
}
