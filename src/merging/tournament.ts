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
