import { ShardedError } from '../errors/sharded-error'
import { compareRows } from '../merging/comparator'
import { distinctValues } from '../merging/distinct-values'
import { mergeSorted, type SortedSource } from '../merging/merge-sorted'
import type { Row } from '../merging/row'
import type { Cut } from '../planning/read-plan'
import { collationKey } from '../query/node-sort-facts'
import type { OrderTerm } from '../query/order-term'
import type { SortWitness } from '../query/sort-form'
import { asTheCatalogSays, type OrderQuestions, termFor } from './actual-order'
import { type AskDatabase, rankValues } from './rank-values'

/**
 * Merges the answers of several statements in order. What only the database can order it ranks first. Nothing is taken for
 * granted: the rows say by which collation they were sorted, and every source is checked to be sorted as it is merged. A
 * source that is not sorted under its comparator makes the database tell the true type, and rank by it: the order
 * is never wrong.
 *
 * @throws ShardedError MERGE_ORDER where the sources fit no order; COLLATION_DIFFERS where they were sorted by different ones
 */
export async function mergeInOrder(
  answers: readonly (readonly Row[])[],
  terms: readonly OrderTerm[],
  cut: Cut,
  questions: OrderQuestions,
): Promise<readonly Row[]> {
  const sources = answers.filter((rows) => rows.length > 0).map((rows) => ({ rows }))
  const end = cut.limit === undefined ? undefined : cut.offset + cut.limit
  const seen = await Promise.all(terms.map((term) => believeWitness(sources, term, questions)))
  const [only, another] = sources
  if (!another) return only?.rows.slice(cut.offset, end) ?? []
  try {
    return await merge(sources, seen, cut, questions.ask)
  } catch (error) {
    if (!(error instanceof ShardedError) || error.code !== 'MERGE_ORDER') throw error
    const actual = await Promise.all(seen.map((term) => asTheCatalogSays(questions, term)))
    if (actual.every((term, index) => term === seen[index])) throw error
    return merge(sources, actual, cut, questions.ask)
  }
}

async function merge(
  sources: readonly SortedSource[],
  terms: readonly OrderTerm[],
  cut: Cut,
  ask: AskDatabase,
): Promise<Row[]> {
  const ranks = await Promise.all(
    terms.map(({ kind, column, form }) =>
      kind === 'ranked' ? rankValues(ask, form.rankBy, distinctValues(sources, column)) : undefined,
    ),
  )
  const compare = compareRows(terms, ranks)
  return mergeSorted({ sources, compare, offset: cut.offset, limit: cut.limit, verify: 'all' })
}

/** The term by the collation that the rows were sorted by, which need not be the declared one. */
async function believeWitness(
  sources: readonly SortedSource[],
  term: OrderTerm,
  questions: OrderQuestions,
): Promise<OrderTerm> {
  const found = testimonies(sources, term)
  if (term.form.witness && found.size > 1) throw disagreeing(term, term.form.witness.of, [...found].map(String))
  const [collation] = found
  if (typeof collation !== 'string' || isAsPlanned(term, collation) || sources.length < 2) return term
  const believed = await termFor(questions, term, { ...term.type, collation })
  if (believed) return believed
  throw new ShardedError('MERGE_ORDER', `${term.name} sorts by ${collation}, not by ${term.type.collation}.`, {
    details: { order: term.name, collation },
  })
}

function disagreeing({ name }: OrderTerm, of: SortWitness['of'], found: readonly string[]): ShardedError {
  const text = found.join(' and ')
  return of === 'collation'
    ? new ShardedError('COLLATION_DIFFERS', `${name} has different collations on the shards: ${text}.`, {
        details: { order: name, collations: found },
      })
    : new ShardedError('MERGE_ORDER', `The enum of ${name} has not the same labels on all shards, but ${text}.`, {
        details: { order: name, labels: found },
      })
}

/** What the rows say of how they were sorted: one value where they agree; none without rows or a witness. */
export function testimonies(sources: readonly SortedSource[], { witness }: OrderTerm): ReadonlySet<unknown> {
  const found = new Set<unknown>()
  if (witness !== undefined) for (const { rows } of sources) for (const row of rows) found.add(row[witness])
  return found
}

/** True where the rows were sorted by the collation that the term was planned for. */
const isAsPlanned = ({ type, form }: OrderTerm, found: unknown): boolean => {
  if (form.witness?.of === 'labels' || typeof found !== 'string') return true
  return type.collation !== undefined && collationKey(type.collation) === collationKey(found)
}

/** True where all rows say that they were sorted as the term was planned, or say nothing. */
export function areSortedBy(sources: readonly SortedSource[], term: OrderTerm): boolean {
  const found = testimonies(sources, term)
  return found.size <= 1 && [...found].every((one) => isAsPlanned(term, one))
}
