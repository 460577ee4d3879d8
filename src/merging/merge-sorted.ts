import { ShardedError } from '../errors/sharded-error'
import type { RowComparator } from './comparator'
import type { Row } from './row'

/** A source as the tournament sees it: the one row that it offers next, undefined once it is exhausted. */
interface Contender {
  readonly source: number
  row: Row | undefined
  position: number
  /** The match its row plays first; undefined for the only contender. */
  entry: Match | undefined
}

/** An inner node of the tree of losers: it remembers who lost, and the winner plays on in `next`. */
interface Match {
  loser: Contender
  readonly next: Match | undefined
}

/**
 * Says that a source broke its promise to be sorted.
 *
 * @example throw outOfOrder(3, 17) // row 17 of source 3 sorts before row 16
 */
export const outOfOrder = (source: number, position: number): ShardedError =>
  new ShardedError('MERGE_ORDER', `Row ${position} of source ${source} sorts before the row it follows.`, {
    details: { source, position },
  })

/**
 * Picks the least of the rows that k sorted sources offer, with log2 k comparisons a row and no allocation.
 * Ties go to the source that comes first, so a merge over it is stable.
 *
 * The caller reads `row`, takes the row at `position + 1` of `source` (undefined at its end), and hands it to `advance`,
 * until `row` is undefined.
 *
 * Algorithm: tree of losers, Knuth, The Art of Computer Programming 3, section 5.4.1.
 *
 * @example
 * const tournament = new Tournament(compare, sources.map((source) => source.rows[0]))
 */
export class Tournament {
  readonly #compare: RowComparator
  #winner: Contender

  constructor(compare: RowComparator, firstRows: readonly (Row | undefined)[]) {
    this.#compare = compare
    const contenders = firstRows.map((row, source): Contender => ({ source, row, position: 0, entry: undefined }))
    this.#winner = this.#seed(contenders, undefined) ?? { source: 0, row: undefined, position: 0, entry: undefined }
  }

  /** The least row that is left, undefined where none is. */
  get row(): Row | undefined {
    return this.#winner.row
  }

  /** The index of the source that offers `row`. */
  get source(): number {
    return this.#winner.source
  }

  /** The index of `row` in its source. */
  get position(): number {
    return this.#winner.position
  }

  /**
   * Replaces `row` by the next one of the same source.
   * @throws ShardedError MERGE_ORDER where it sorts before the row it follows
   */
  advance(next: Row | undefined): void {
    let winner = this.#winner
    if (winner.row !== undefined && next !== undefined && this.#compare(winner.row, next) > 0) {
      throw outOfOrder(winner.source, winner.position + 1)
    }
    winner.row = next
    winner.position++
    for (let match = winner.entry; match !== undefined; match = match.next) {
      const rival = match.loser
      if (this.#beats(rival, winner)) {
        match.loser = winner
        winner = rival
      }
    }
    this.#winner = winner
  }

  #beats(a: Contender, b: Contender): boolean {
    if (a.row === undefined) return false
    if (b.row === undefined) return true
    const order = this.#compare(a.row, b.row)
    return order < 0 || (order === 0 && a.source < b.source)
  }

  /** Plays the first round among some sources and returns its winner; undefined where there are none. */
  #seed(contenders: readonly Contender[], next: Match | undefined): Contender | undefined {
    const [first] = contenders
    if (!first) return undefined
    if (contenders.length === 1) {
      first.entry = next
      return first
    }
    const middle = contenders.length >>> 1
    const match: Match = { loser: first, next }
    const left = this.#seed(contenders.slice(0, middle), match)
    const right = this.#seed(contenders.slice(middle), match)
    if (!left || !right) return left ?? right
    const rightWins = this.#beats(right, left)
    match.loser = rightWins ? left : right
    return rightWins ? right : left
  }
}

/** What one statement gave: its rows, sorted by the database. */
export interface SortedSource {
  readonly rows: readonly Row[]
}

export interface MergeSortedOptions {
  readonly sources: readonly SortedSource[]
  readonly compare: RowComparator
  /** How many of the least rows to leave out; default 0. */
  readonly offset?: number | undefined
  /** How many rows to return at most; default all. */
  readonly limit?: number | undefined
  /**
   * Which rows must be seen to be sorted: those that the merge takes and the one that follows each (`visited`, the
   * default), or all (`all`). A row that is out of place beyond the visited ones could belong on the page.
   */
  readonly verify?: 'visited' | 'all' | undefined
}

const checkCount = (name: string, count: number): void => {
  if (count !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(count) && count >= 0)) {
    throw new RangeError(`The ${name} of a merge must be a whole number, not ${count}.`)
  }
}

/** @throws ShardedError MERGE_ORDER where the rows of the source are not sorted; `index` is the source's, for the message */
export const checkSorted = (source: SortedSource, index: number, compare: RowComparator): void => {
  let previous: Row | undefined
  for (const [position, row] of source.rows.entries()) {
    if (previous !== undefined && compare(previous, row) > 0) throw outOfOrder(index, position)
    previous = row
  }
}

/**
 * Merges sorted sources into one sorted page. Stable: equal rows keep the order of their sources and, in one source,
 * their own. Takes `offset + limit` rows and leaves the rest unread, unless all are to be verified.
 *
 * @throws ShardedError MERGE_ORDER where a source is not sorted under `compare`; RangeError where `offset` or `limit` is
 * negative or no whole number
 * @example mergeSorted({ sources, compare: compareRows(terms), offset: 40, limit: 20 })
 */
export const mergeSorted = (options: MergeSortedOptions): Row[] => {
  const { sources, compare, offset = 0, limit = Number.POSITIVE_INFINITY, verify = 'visited' } = options
  checkCount('offset', offset)
  checkCount('limit', limit)
  if (verify === 'all') {
    for (const [index, source] of sources.entries()) checkSorted(source, index, compare)
  }
  const end = offset + limit
  const page: Row[] = []
  if (limit === 0) return page
  const tournament = new Tournament(
    compare,
    sources.map((source) => source.rows[0]),
  )
  let taken = 0
  for (let row = tournament.row; row !== undefined; row = tournament.row) {
    if (taken >= offset) page.push(row)
    taken++
    if (taken >= end) break
    tournament.advance(sources[tournament.source]?.rows[tournament.position + 1])
  }
  return page
}

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
