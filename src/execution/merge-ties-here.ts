import { ShardedError } from '../errors/sharded-error'
import { compareRows } from '../merging/comparator'
import { mergeLateTies } from '../merging/merge-late-ties'
import type { Row } from '../merging/row'
import { isAsAssumed, type MergeTerm, testimonies } from './merge-term'

/**
 * Merges answers that were sorted by the terms but those that break ties, with one row more than the page needs.
 *
 * @param terms none of them `ranked`
 * @returns undefined where that does not tell the page: a cut went through a tie, or the answers are not sorted as was
 * assumed. Statements that sort by all terms, and `mergeInOrder`, then do.
 */
export function mergeTiesHere(
  answers: readonly (readonly Row[])[],
  terms: readonly MergeTerm[],
  { offset, limit }: { readonly offset: number; readonly limit: number },
): readonly Row[] | undefined {
  const sources = answers.filter((rows) => rows.length > 0).map((rows) => ({ rows }))
  for (const term of terms) {
    const found = testimonies(sources, term)
    if (found.size > 1 || [...found].some((one) => !isAsAssumed(term, one))) return undefined
  }
  const order = terms.map((term) => term.merge)
  const compare = compareRows(terms.filter((term) => !term.isTiebreak).map((term) => term.merge))
  try {
    return mergeLateTies({ sources, compare, compareTotal: compareRows(order), offset, limit })
  } catch (error) {
    if (error instanceof ShardedError && error.code === 'MERGE_ORDER') return undefined
    throw error
  }
}
