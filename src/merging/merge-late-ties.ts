import type { RowComparator } from './comparator'
import { checkSorted, mergeSorted, type SortedSource } from './merge-sorted'
import type { Row } from './row'

export interface MergeLateTiesOptions {
  /** Each source sorted by `compare`, ties in any order, and cut after `offset + limit + 1` rows. */
  readonly sources: readonly SortedSource[]
  readonly compare: RowComparator
  /** The total order: `compare`, and what settles its ties. */
  readonly compareTotal: RowComparator
  readonly offset: number
  readonly limit: number
}

/**
 * Merges sources whose ties nobody has settled yet into a page of the total order: what the databases need not sort by
 * is settled here. One row more than the page holds tells whether a cut went through a tie: the rows beyond it, which
 * no source has sent, might then belong on the page.
 *
 * @returns undefined where a cut went through a tie
 * @throws ShardedError MERGE_ORDER where a source is not sorted under `compare`
 * @example mergeLateTies({ sources, compare: byTime, compareTotal: byTimeAndId, offset: 0, limit: 20 }) ?? askAgain()
 */
export const mergeLateTies = (options: MergeLateTiesOptions): readonly Row[] | undefined => {
  const { sources, compare, compareTotal, offset, limit } = options
  for (const [index, source] of sources.entries()) checkSorted(source, index, compare)
  const settled = sources.map(({ rows }) => ({ rows: [...rows].sort(compareTotal) }))
  const page = mergeSorted({ sources: settled, compare: compareTotal, offset, limit })
  const end = page.at(-1)
  const wasCut = sources.some(({ rows }) => {
    const last = rows.length > offset + limit ? rows.at(-1) : undefined
    return last !== undefined && end !== undefined && compare(last, end) === 0
  })
  return wasCut ? undefined : page
}
