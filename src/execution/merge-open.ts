import { ShardedError } from '../errors/sharded-error'
import { compareRows } from '../merging/comparator'
import { mergeAtAGlance } from '../merging/merge-at-a-glance'
import { mergeLateTies } from '../merging/merge-late-ties'
import type { Row } from '../merging/row'
import type { SortTerm } from '../merging/sort-term'
import { isAsAssumed, type MergeTerm, testimonies } from './merge-term'

/** How much of the order was left open, and the page. */
export interface OpenPage {
  readonly tactic: 'glance' | 'late'
  /** Rows that each statement was asked for. */
  readonly asked: number
  readonly offset: number
  readonly limit: number
}

/** The terms up to the first that may hold different values equal: what follows must not decide between these. */
function whileExact(order: readonly SortTerm[]): readonly SortTerm[] {
  const lossy = order.findIndex(({ kind }) => kind === 'instant')
  return lossy < 0 ? order : order.slice(0, lossy + 1)
}

/**
 * Merges answers whose ties no database has settled.
 *
 * @param terms none of them `ranked`
 * @returns undefined where that does not tell the page: a cut went through a tie, or through the page, or the answers are not
 * sorted as was assumed, or have values of another form. Statements that ask for more tell it.
 */
export function mergeOpen(
  answers: readonly (readonly Row[])[],
  terms: readonly MergeTerm[],
  { tactic, asked, offset, limit }: OpenPage,
): readonly Row[] | undefined {
  const sources = answers.filter((rows) => rows.length > 0).map((rows) => ({ rows }))
  for (const term of terms) {
    const found = testimonies(sources, term)
    if (found.size > 1 || [...found].some((one) => !isAsAssumed(term, one))) return undefined
  }
  const order = terms.map((term) => term.merge)
  try {
    if (tactic === 'glance')
      return mergeAtAGlance({ sources, compare: compareRows(whileExact(order)), asked, offset, limit })
    const compare = compareRows(terms.filter((term) => !term.isTiebreak).map((term) => term.merge))
    return mergeLateTies({ sources, compare, compareTotal: compareRows(order), offset, limit })
  } catch (error) {
    // Text that is no number (TypeError) is of a parser that the program gave to `pg`: the next statements bring their own.
    if (error instanceof TypeError || (error instanceof ShardedError && error.code === 'MERGE_ORDER')) return undefined
    throw error
  }
}
