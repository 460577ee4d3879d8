import type { RowComparator } from './comparator'
import { mergeSorted, type SortedSource } from './merge-sorted'
import type { Row } from './row'

export interface MergeAtAGlanceOptions {
  readonly sources: readonly SortedSource[]
  readonly compare: RowComparator
  /** How many rows each source was asked for: one that has as many may have more. */
  readonly asked: number
  readonly offset: number
  readonly limit: number
}

/**
 * Merges sources of which each was asked for about its share of the page, by an order that may hold different rows equal.
 * A page is the true one where no two rows up to its end, and the row after it, are equal, and no source ended before it.
 *
 * @returns undefined where that cannot be told
 * @throws ShardedError MERGE_ORDER where a source is not sorted under `compare`
 * @example mergeAtAGlance({ sources, compare: byTime, asked: 14, offset: 0, limit: 20 }) ?? askForAll()
 */
export function mergeAtAGlance(options: MergeAtAGlanceOptions): readonly Row[] | undefined {
  const { sources, compare, asked, offset, limit } = options
  const end = offset + limit
  const rows = mergeSorted({ sources, compare, limit: end + 1, verify: 'all' })
  for (let place = 1; place < rows.length; place++) {
    const [before, row] = [rows[place - 1], rows[place]]
    if (before && row && compare(before, row) === 0) return undefined
  }
  const last = rows[end - 1]
  const isCut = ({ rows: own }: SortedSource): boolean => {
    const cut = own.length >= asked ? own.at(-1) : undefined
    return cut !== undefined && (last === undefined || compare(cut, last) <= 0)
  }
  return sources.some(isCut) ? undefined : rows.slice(offset, end)
}
