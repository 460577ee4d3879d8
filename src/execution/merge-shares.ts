import { ShardedError } from '../errors/sharded-error'
import { compareRows } from '../merging/comparator'
import { mergeShares as merge } from '../merging/merge-shares'
import type { Row } from '../merging/row'
import type { SharesPlan } from '../planning/read-plan'
import type { OrderTerm } from '../query/order-term'
import { isAsAssumed, testimonies } from './merge-witness'

/**
 * Merges answers of which each was asked for about its share of the page.
 *
 * @returns undefined where they do not tell the page: a share was too small, a cut went through a tie, or the answers are not
 * sorted as was assumed, or have values of another form
 */
export function mergeShares(
  answers: readonly (readonly Row[])[],
  { order, asked, offset, limit }: SharesPlan,
): readonly Row[] | undefined {
  const sources = answers.filter((rows) => rows.length > 0).map((rows) => ({ rows }))
  for (const term of order) {
    const found = testimonies(sources, term)
    if (found.size > 1 || [...found].some((one) => !isAsAssumed(term, one))) return undefined
  }
  const exact = whileExact(order)
  const compare = compareRows(exact.filter(({ isTiebreak }) => !isTiebreak))
  // Values that are equal here may differ in the database below the driver's precision: nothing else may decide between them.
  const settle = exact.some(({ isTiebreak }) => isTiebreak) ? compareRows(exact) : undefined
  try {
    return merge({ sources, compare, settle, asked, offset, limit })
  } catch (error) {
    // Text that is no number (TypeError) is of a parser that the program gave to `pg`: the next statements bring their own.
    if (error instanceof TypeError || (error instanceof ShardedError && error.code === 'MERGE_ORDER')) return undefined
    throw error
  }
}

/** The terms up to the first that may hold different values equal. */
function whileExact(order: readonly OrderTerm[]): readonly OrderTerm[] {
  const lossy = order.findIndex(({ kind }) => kind === 'instant')
  return lossy < 0 ? order : order.slice(0, lossy + 1)
}
