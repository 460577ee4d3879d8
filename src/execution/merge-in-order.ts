import { ShardedError } from '../errors/sharded-error'
import { compareRows } from '../merging/comparator'
import { distinctValues } from '../merging/distinct-values'
import { mergeSorted, type SortedSource } from '../merging/merge-sorted'
import type { Row } from '../merging/row'
import { physicalName } from '../planning/bind-shard-names'
import { columnTypesText, typesOf } from '../planning/describe-query'
import type { Cut } from '../planning/read-plan'
import { collationKey, type NodeSortFacts } from '../query/node-sort-facts'
import type { OrderTerm } from '../query/order-term'
import { asText, type SortWitness, sortForm, type ValueType } from '../query/sort-form'
import type { Shard } from '../topology/shard'
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

/** Where a merge asks what its plan did not know. */
export interface OrderQuestions {
  /** Sends a statement to the node of the shard. */
  readonly ask: AskDatabase
  /** A shard of the route. */
  readonly shard: Shard
  /** How the nodes of the route sort, with what they say of these collations. */
  readonly factsWith: (collations: readonly string[]) => Promise<readonly NodeSortFacts[]>
}

/**
 * The term for another type than it was planned for; undefined where what the rows carry does not tell the order of that type.
 *
 * @throws ShardedError COLLATION_DIFFERS, ORDER_UNSUPPORTED
 */
export async function termFor(
  { factsWith }: OrderQuestions,
  term: OrderTerm,
  type: ValueType,
): Promise<OrderTerm | undefined> {
  const { comparable } = term.form
  const facts = await factsWith(type.collation === undefined ? [] : [type.collation])
  const form = sortForm(type, facts, term)
  const isText = comparable === undefined || comparable === asText
  // What the rows carry was made for the planned type: it serves this one too, or is a text of the value, or is of no use.
  if (comparable !== form.comparable && !isText) return undefined
  const kind = comparable === form.comparable ? form.kind : 'ranked'
  return { ...term, type, form: { ...form, ...(term.form.witness && { witness: term.form.witness }) }, kind }
}

/** The term for the type that its column has in the catalog; the term itself where that is the planned one, or not known. */
export async function asTheCatalogSays(questions: OrderQuestions, term: OrderTerm): Promise<OrderTerm> {
  const actual = await actualType(questions, term)
  if (!actual || (actual.name === term.type.name && actual.kind === term.type.kind)) return term
  return (await termFor(questions, term, actual)) ?? term
}

async function actualType({ ask, shard }: OrderQuestions, { base }: OrderTerm): Promise<ValueType | undefined> {
  if (!base) return undefined
  const { schema, name } = physicalName(base.table, shard)
  const rows = await ask(columnTypesText, [[`${schema}.${name}`]])
  return typesOf(rows.filter(({ column }) => column === base.column))[0]
}
