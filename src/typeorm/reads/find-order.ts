import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { numericIsText } from '../../endpoints/driver-values'
import { ShardedError } from '../../errors/sharded-error'
import { armTag } from '../../planning/bind-shard-names'
import { checked } from '../../planning/schema-check'
import type { NodeSortFacts } from '../../query/node-sort-facts'
import type { OrderTerm } from '../../query/order-term'
import type { SortForm } from '../../query/sort-form'
import { knownType, sortColumn, subjectOf } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'

type Builder = ArmQueryBuilder<ObjectLiteral>

/** One term of an order that is by columns of entities. */
export interface SortedColumn {
  readonly alias: string
  readonly column: ColumnMetadata
  readonly descending: boolean
  readonly nullsFirst: boolean
}

/** A term, and the expression that an arm is sorted by. */
export interface FindTerm {
  readonly term: OrderTerm
  readonly column: ColumnMetadata
  /** The column in SQL, qualified and quoted. */
  readonly plain: string
  /** By what an arm is sorted: the column, so that an index serves, or the column by another collation. */
  readonly sortBy: (column: string) => string
  /** The order is that of the type, and not of its text alone. */
  readonly isOfType: boolean
}

/**
 * Tells of a row from which arm it is. PostgreSQL checks with it that the columns have the types that the order was planned for:
 * nodes sort by the types that the columns have, and the merge by those that are known.
 */
export const orderedTag = (terms: readonly Pick<FindTerm, 'term' | 'plain' | 'isOfType'>[]): string =>
  checked(armTag, 'integer', {
    expressions: terms.filter(({ isOfType }) => isOfType).map(({ plain, term }) => [plain, term.type] as const),
    tables: [],
  })

/**
 * Reads the builder's ORDER BY and sees to it that the rows have the columns that a merge needs: what a node sorts its arms
 * by, what is compared in the application where the column itself will not do, and the witness of a collation. An output
 * column that is there anyway is used; the others are hidden columns: `__o0 …`, `__k0 …`, `__w0 …`.
 *
 * @param ties `primary-key` ends the order with the primary key, so that all pages cut ties alike
 * @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS
 */
export function addSortColumns(
  builder: Builder,
  { facts, ties }: { facts: readonly NodeSortFacts[]; ties: 'any' | 'primary-key' },
): readonly FindTerm[] {
  const wanted = wantedOrder(builder)
  const terms = wanted.map((one, index) => findTerm(builder, one, { index, form: sortColumn(one.column, facts) }))
  if (ties === 'primary-key' && terms.length > 0) terms.push(...tiebreak(builder, { wanted, facts }))
  return terms
}

/** Sorts the builder by the terms. DISTINCT asks for ORDER BY over selected columns: over those that have the order then. */
export function sortArms(builder: Builder, terms: readonly FindTerm[]): void {
  if (terms.length === 0) return
  const isDistinct = builder.expressionMap.selectDistinct
  builder.orderBy()
  for (const { term, plain, sortBy } of terms) {
    const { descending, nullsFirst, nodeColumn } = term
    const nulls = nullsFirst ? 'NULLS FIRST' : 'NULLS LAST'
    builder.addOrderBy(isDistinct ? builder.escape(nodeColumn) : sortBy(plain), descending ? 'DESC' : 'ASC', nulls)
  }
}

/**
 * The builder's order by the values that the driver gives of the columns, without hidden columns for it, and the primary key
 * where its values are selected: it settles ties in the application. Sorts the builder by the wanted terms alone.
 *
 * @returns undefined where the driver's values do not tell the order, or where ties are likely: each page would then be asked
 * for twice
 * @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS
 */
export function addDriverOrder(
  builder: Builder,
  facts: readonly NodeSortFacts[],
): { readonly order: readonly OrderTerm[]; readonly tag: string } | undefined {
  const wanted = wantedOrder(builder)
  const chosen = wanted.map((order) => {
    const form = driverForm(order.column, facts)
    return form && { order, form }
  })
  if (chosen.includes(undefined) || wanted.every(({ column }) => hasFewValues(column))) return undefined
  const terms = allOrNone(chosen).map(({ order, form }, index) => findTerm(builder, order, { index, form }))
  sortArms(builder, terms)
  const order = [...terms.map(({ term }) => term), ...selectedKey(builder, wanted, facts)]
  return { order, tag: orderedTag(terms) }
}

/** How a column compares by the driver's values; undefined where they do not keep its order. */
function driverForm(column: ColumnMetadata, facts: readonly NodeSortFacts[]): SortForm | undefined {
  const { driverKind, rankBy } = sortColumn(column, facts)
  if (driverKind === 'numeric' && !numericIsText()) return undefined
  return driverKind && { kind: driverKind, rankBy }
}

const hasFewValues = (column: ColumnMetadata): boolean => ['boolean', 'smallint'].includes(knownType(column).name)

/** The primary key as far as the order does not name it, where all of it is selected and exact as the driver gives it. */
function selectedKey(
  builder: Builder,
  wanted: readonly SortedColumn[],
  facts: readonly NodeSortFacts[],
): readonly OrderTerm[] {
  const keys = missingKeys(builder, wanted).map((order) => {
    const { column, alias } = order
    const form = isPlainText(column, facts) ? byCodePoint : driverForm(column, facts)
    const output = builder.outputOf(alias, column.entityMetadata, builder.sqlOf(column, alias))
    if (!form || form.kind === 'instant' || output === undefined) return undefined
    return { ...termOf(order, { form, column: output, nodeColumn: output }), isTiebreak: true }
  })
  return allOrNone(keys)
}

/** A part of a key settles no ties. */
const allOrNone = <T>(parts: readonly (T | undefined)[]): readonly T[] =>
  parts.flatMap((part) => (part === undefined || parts.includes(undefined) ? [] : [part]))

/** The builder's order, as the columns that it is by. @throws ShardedError ORDER_UNSUPPORTED where it is by anything else */
export function wantedOrder(builder: Builder): readonly SortedColumn[] {
  return Object.entries(builder.expressionMap.allOrderBys).map(([path, value]) => {
    const dot = path.indexOf('.')
    const aliasName = path.slice(0, dot)
    const alias = builder.expressionMap.aliases.find((one) => one.name === aliasName && one.hasMetadata)
    const column = alias?.metadata.findColumnWithPropertyPath(path.slice(dot + 1))
    if (!alias || !column || column.isVirtualProperty || isToMany(builder, aliasName)) {
      throw new ShardedError('ORDER_UNSUPPORTED', `Order by ${path} is not by a column of each row.`, {
        details: { order: path },
      })
    }
    const direction = typeof value === 'string' ? value : value.order
    const nulls = typeof value === 'string' ? undefined : value.nulls
    const descending = direction === 'DESC'
    return {
      alias: alias.name,
      column,
      descending,
      nullsFirst: nulls === undefined ? descending : nulls === 'NULLS FIRST',
    }
  })
}

/** True where the alias, or one that it hangs on, joins several rows to one: the order then is of pairs, not of entities. */
const isToMany = (builder: Builder, aliasName: string): boolean =>
  builder.joinsTo(aliasName).some(({ relation }) => !relation || relation.isOneToMany || relation.isManyToMany)

/** The primary key's columns that the order does not name yet. */
export function missingKeys(builder: Builder, wanted: readonly SortedColumn[]): readonly SortedColumn[] {
  const main = builder.expressionMap.mainAlias
  if (!main) return []
  return main.metadata.primaryColumns
    .filter((column) => !wanted.some((one) => one.column === column && one.alias === main.name))
    .map((column) => ({ alias: main.name, column, descending: false, nullsFirst: false }))
}

/**
 * The terms that settle ties. Any order of the primary key will do: texts are ordered by code points, which asks for no
 * ranks. None where a column's type has no order that is known here.
 */
function tiebreak(
  builder: Builder,
  { wanted, facts }: { wanted: readonly SortedColumn[]; facts: readonly NodeSortFacts[] },
): readonly FindTerm[] {
  const chosen = missingKeys(builder, wanted).map((order) => {
    const form = tiebreakForm(order.column, facts)
    return form && { order, form }
  })
  return allOrNone(chosen).map(({ order, form }, offset) => {
    const made = findTerm(builder, order, { index: wanted.length + offset, ...form })
    return { ...made, term: { ...made.term, isTiebreak: true } }
  })
}

interface ChosenForm {
  readonly form: SortForm
  readonly collate?: string
}

const byCodePoint: SortForm = Object.freeze({ kind: 'codepoints', rankBy: 'v COLLATE "C"' })

/** Text whose code points are in the order of its bytes in the databases. */
function isPlainText(column: ColumnMetadata, facts: readonly NodeSortFacts[]): boolean {
  const { collation, name } = knownType(column)
  const isText = collation !== undefined && !column.isArray && name !== 'citext'
  return isText && facts.every(({ encoding }) => encoding === 'UTF8')
}

function tiebreakForm(column: ColumnMetadata, facts: readonly NodeSortFacts[]): ChosenForm | undefined {
  if (isPlainText(column, facts)) return { form: byCodePoint, collate: '"C"' }
  const form = sortColumn(column, facts)
  return form.kind === 'ranked' ? undefined : { form }
}

/** Adds the output columns of a term, those that are not there yet. */
function findTerm(
  builder: Builder,
  order: SortedColumn,
  { index, form, collate }: ChosenForm & { readonly index: number },
): FindTerm {
  const { alias, column } = order
  const plain = builder.sqlOf(column, alias)
  const sortBy = (value: string): string => (collate ? `${value}::text COLLATE ${collate}` : value)
  const expression = sortBy(plain)
  const add = (name: string, sql: string): string => {
    builder.addSelect(sql, name)
    return name
  }
  const { comparable, nodeOrder, witness } = form
  const compared = comparable && add(`__k${index}`, comparable(expression))
  const own = () =>
    (collate ? undefined : builder.outputOf(alias, column.entityMetadata, expression)) ?? add(`__o${index}`, expression)
  const ordered =
    nodeOrder === undefined
      ? own()
      : nodeOrder === comparable && compared
        ? compared
        : add(`__o${index}`, nodeOrder(expression))
  const term = termOf(order, {
    form,
    column: compared ?? ordered,
    nodeColumn: ordered,
    witness: witness && add(`__w${index}`, witness.sql(expression)),
  })
  return { term, column, plain, sortBy, isOfType: collate === undefined }
}

const termOf = (
  { column, descending, nullsFirst }: Pick<SortedColumn, 'column' | 'descending' | 'nullsFirst'>,
  outputs: { form: SortForm; column: string; nodeColumn: string; witness?: string | undefined },
): OrderTerm => {
  const { entityMetadata, databaseName } = column
  return {
    ...subjectOf(column),
    kind: outputs.form.kind,
    descending,
    nullsFirst,
    type: knownType(column),
    form: outputs.form,
    column: outputs.column,
    nodeColumn: outputs.nodeColumn,
    witness: outputs.witness,
    base: { table: entityMetadata.tableName, column: databaseName },
  }
}
