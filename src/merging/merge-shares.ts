import type { RowComparator } from './comparator'
import { checkSorted, mergeSorted, type SortedSource } from './merge-sorted'
import type { Row } from './row'

export interface MergeSharesOptions {
  /** Each sorted by `compare`, ties in any order, and cut after `asked` rows. */
  readonly sources: readonly SortedSource[]
  readonly compare: RowComparator
  /** `compare`, and what settles its ties; undefined where nothing may settle them. */
  readonly settle: RowComparator | undefined
  /** How many rows each source was asked for: one that has as many may have more. */
  readonly asked: number
  readonly offset: number
  readonly limit: number
}

/**
 * Merges sources of which each was asked for about its share of a page. The page is the true one where no source was cut
 * before its end, or in a tie with its end. Where nothing settles ties, no two rows up to the end may be equal.
 *
 * @returns undefined where the sources do not tell the page
 * @throws ShardedError MERGE_ORDER where a source is not sorted under `compare`
 * @example mergeShares({ sources, compare: byTime, settle: byTimeAndId, asked: 14, offset: 0, limit: 20 }) ?? askForAll()
 */
export function mergeShares({
  sources,
  compare,
  settle,
  asked,
  offset,
  limit,
}: MergeSharesOptions): readonly Row[] | undefined {
  for (const [index, source] of sources.entries()) checkSorted(source, index, compare)
  const end = offset + limit
  const settled = settle ? sources.map(({ rows }) => ({ rows: settledTies(rows, compare, settle) })) : sources
  const rows = mergeSorted({ sources: settled, compare: settle ?? compare, limit: end + 1 })
  if (!settle && hasTie(rows, compare)) return undefined
  const last = rows[end - 1]
  const isCut = ({ rows: own }: SortedSource): boolean => {
    const cut = own.length >= asked ? own.at(-1) : undefined
    return cut !== undefined && (last === undefined || compare(cut, last) <= 0)
  }
  return sources.some(isCut) ? undefined : rows.slice(offset, end)
}

const hasTie = (rows: readonly Row[], compare: RowComparator): boolean =>
  rows.some((row, place) => {
    const before = rows[place - 1]
    return before !== undefined && compare(before, row) === 0
  })

/** The rows with their ties in order; most often there are none, and the rows are as they came. */
const settledTies = (rows: readonly Row[], compare: RowComparator, settle: RowComparator): readonly Row[] =>
  hasTie(rows, compare) ? [...rows].sort(settle) : rows
