import { physicalName } from '../planning/bind-shard-names'
import { columnTypesText, typesOf } from '../planning/describe-query'
import type { NodeSortFacts } from '../query/node-sort-facts'
import type { OrderTerm } from '../query/order-term'
import { asText, sortForm, type ValueType } from '../query/sort-form'
import type { Shard } from '../topology/shard'
import type { AskDatabase } from './rank-values'

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
