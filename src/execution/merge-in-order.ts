import { ShardedError } from '../errors/sharded-error'
import { compareRows } from '../merging/comparator'
import { distinctValues } from '../merging/distinct-values'
import { mergeSorted } from '../merging/merge-sorted'
import type { Row } from '../merging/row'
import type { SortWitness, ValueType } from '../planning/sort-form'
import { isAsAssumed, type MergeSources, type MergeTerm, testimonies } from './merge-term'
import { type AskDatabase, maxRankedValues, rankValues } from './rank-values'

/** How a merge learns what its plan did not know. */
export interface MergeHelp<Term extends MergeTerm> {
  /** Sends a statement to a node of the scatter, always the same one. */
  readonly ask: AskDatabase
  /**
   * The term as it has to be for another type than was assumed; undefined where what the rows carry does not tell the
   * order of that type.
   * @throws ShardedError COLLATION_DIFFERS, ORDER_UNSUPPORTED
   */
  readonly termFor: (term: Term, type: ValueType) => Promise<Term | undefined>
  /** The type that the term's expression has in the database; undefined where it cannot be told. */
  readonly actualType: (term: Term) => Promise<ValueType | undefined>
}

interface Page {
  readonly offset: number
  readonly limit: number | undefined
}

/**
 * Merges the answers of several statements in order. What only the database can order it ranks first. Nothing is taken for
 * granted: the rows say by which collation they were sorted, and every source is checked to be sorted as it is merged. A
 * source that is not sorted under its comparator makes the database tell the true type, and rank by it: the order
 * is never wrong.
 *
 * @throws ShardedError MERGE_ORDER where the sources fit no order; COLLATION_DIFFERS where they were sorted by different ones
 */
export async function mergeInOrder<Term extends MergeTerm>(
  answers: readonly (readonly Row[])[],
  terms: readonly Term[],
  page: Page,
  help: MergeHelp<Term>,
): Promise<readonly Row[]> {
  const sources = answers.filter((rows) => rows.length > 0).map((rows) => ({ rows }))
  const end = page.limit === undefined ? undefined : page.offset + page.limit
  const seen = await Promise.all(terms.map((term) => believeWitness(sources, term, help)))
  const [only, another] = sources
  if (!another) return only?.rows.slice(page.offset, end) ?? []
  try {
    return await merge(sources, seen, page, help.ask)
  } catch (error) {
    if (!(error instanceof ShardedError) || error.code !== 'MERGE_ORDER') throw error
    const actual = await Promise.all(seen.map((term) => asTheCatalogSays(term, help)))
    if (actual.every((term, index) => term === seen[index])) throw error
    return merge(sources, actual, page, help.ask)
  }
}

async function merge(sources: MergeSources, terms: readonly MergeTerm[], page: Page, ask: AskDatabase): Promise<Row[]> {
  const ranks = await Promise.all(
    terms.map(({ merge: { kind, column }, rankBy }) =>
      kind === 'ranked' ? rankValues(ask, rankBy, distinctValues(sources, column, maxRankedValues)) : undefined,
    ),
  )
  const compare = compareRows(
    terms.map((term) => term.merge),
    ranks,
  )
  return mergeSorted({ sources, compare, offset: page.offset, limit: page.limit, verify: 'all' })
}

/** The term by the collation that the rows were sorted by, which need not be the declared one. */
async function believeWitness<Term extends MergeTerm>(
  sources: MergeSources,
  term: Term,
  help: MergeHelp<Term>,
): Promise<Term> {
  const found = testimonies(sources, term)
  if (term.witness && found.size > 1) throw disagreeing(term, term.witness.of, [...found].map(String))
  const [collation] = found
  if (typeof collation !== 'string' || isAsAssumed(term, collation) || sources.length < 2) return term
  const believed = await help.termFor(term, { ...term.type, collation })
  if (believed) return believed
  throw new ShardedError('MERGE_ORDER', `${term.name} sorts by ${collation}, not by ${term.type.collation}.`, {
    details: { order: term.name, collation },
  })
}

async function asTheCatalogSays<Term extends MergeTerm>(term: Term, help: MergeHelp<Term>): Promise<Term> {
  const actual = await help.actualType(term)
  if (!actual || (actual.name === term.type.name && actual.kind === term.type.kind)) return term
  return (await help.termFor(term, actual)) ?? term
}

function disagreeing({ name }: MergeTerm, of: SortWitness['of'], found: readonly string[]): ShardedError {
  const text = found.join(' and ')
  return of === 'collation'
    ? new ShardedError('COLLATION_DIFFERS', `${name} has not one collation on all shards, but ${text}.`, {
        details: { order: name, collations: found },
      })
    : new ShardedError('MERGE_ORDER', `The enum of ${name} has not the same labels on all shards, but ${text}.`, {
        details: { order: name, labels: found },
      })
}
