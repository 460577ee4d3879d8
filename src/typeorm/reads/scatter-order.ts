import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import type { MergeTerm } from '../../execution/merge-term'
import type { NodeSortFacts } from '../../planning/node-sort-facts'
import type { ArmOrder } from '../../planning/scatter-statement'
import type { SortForm } from '../../planning/sort-form'
import { declaredType, sortColumn, subjectOf } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'

/** One term of the ORDER BY, with the output columns that carry it. */
export interface OrderTerm extends MergeTerm {
  readonly node: ArmOrder
  readonly column: ColumnMetadata
  /** The column in SQL, qualified and quoted. */
  readonly expression: string
  readonly form: SortForm
}

/** One term of an order that is by columns of entities. */
export interface SortedColumn {
  readonly alias: string
  readonly column: ColumnMetadata
  readonly descending: boolean
  readonly nullsFirst: boolean
}

/**
 * Reads the builder's ORDER BY and sees to it that the rows carry what the merges need: what a node orders its arms by
 * (the column itself, so that an index on it serves), what is compared here where the column itself will not do, and the
 * witness of a collation. An output column that is there anyway is used; the others are hidden ones: `__o0 …`, `__k0 …`,
 * `__w0 …`. With `ties`, the primary key ends the order, so that pages cut ties alike; with `'late'` the databases do not
 * sort by it, and the merge settles the ties. For a `'glance'` nothing settles them, and no column is hidden that the
 * driver's own values can stand for: see `canGlance`.
 *
 * @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS
 */
export function addHiddenOrder<Entity extends ObjectLiteral>(
  builder: ArmQueryBuilder<Entity>,
  { facts, ties }: { facts: readonly NodeSortFacts[]; ties: 'any' | 'sorted' | 'late' | 'glance' },
): readonly OrderTerm[] {
  const wanted = wantedOrder(builder)
  const terms = wanted.map((one, index) => {
    const form = sortColumn(one.column, facts)
    return orderTerm(builder, one, { index, form: ties === 'glance' ? atAGlance(form) : form })
  })
  if ((ties === 'sorted' || ties === 'late') && terms.length > 0) terms.push(...tiebreak(builder, { wanted, facts }))
  if (terms.length > 0) orderArms(builder, ties === 'late' ? terms.filter((term) => !term.isTiebreak) : terms)
  return terms
}

/** Whether the driver's values tell the builder's order, but for ties. @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS */
export const canGlance = <Entity extends ObjectLiteral>(
  builder: ArmQueryBuilder<Entity>,
  facts: readonly NodeSortFacts[],
): boolean => wantedOrder(builder).every(({ column }) => sortColumn(column, facts).glance !== undefined)

function atAGlance({ glance, rankBy }: SortForm): SortForm {
  if (glance === undefined) throw new RangeError('Values of this type are not ordered as the driver gives them.')
  return { kind: glance, rankBy }
}

/** The builder's order, as the columns that it is by. @throws ShardedError ORDER_UNSUPPORTED where it is by anything else */
export function wantedOrder<Entity extends ObjectLiteral>(builder: ArmQueryBuilder<Entity>): readonly SortedColumn[] {
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
function isToMany<Entity extends ObjectLiteral>(builder: ArmQueryBuilder<Entity>, aliasName: string): boolean {
  const join = builder.expressionMap.joinAttributes.find((one) => one.alias.name === aliasName)
  if (!join) return false
  if (!join.relation || join.relation.isOneToMany || join.relation.isManyToMany) return true
  return join.parentAlias !== undefined && isToMany(builder, join.parentAlias)
}

/**
 * The primary key's columns that the order does not name yet. Any order of them will do: texts are ordered by code
 * points, which asks for no ranks. None where a column's type has no order that is known here.
 */
function tiebreak<Entity extends ObjectLiteral>(
  builder: ArmQueryBuilder<Entity>,
  { wanted, facts }: { wanted: readonly SortedColumn[]; facts: readonly NodeSortFacts[] },
): readonly OrderTerm[] {
  const main = builder.expressionMap.mainAlias
  if (!main) return []
  const missing = main.metadata.primaryColumns.filter(
    (column) => !wanted.some((one) => one.column === column && one.alias === main.name),
  )
  const forms = missing.map((column) => tiebreakForm(column, facts))
  return forms.flatMap((tie, offset) => {
    const column = missing[offset]
    if (!column || forms.includes(undefined) || !tie) return []
    const index = wanted.length + offset
    const order = { alias: main.name, column, descending: false, nullsFirst: false }
    return [{ ...orderTerm(builder, order, { index, ...tie }), isTiebreak: true }]
  })
}

interface ChosenForm {
  readonly form: SortForm
  readonly collate?: string
}

const byCodePoint: SortForm = Object.freeze({ kind: 'codepoints', rankBy: 'v COLLATE "C"' })

function tiebreakForm(column: ColumnMetadata, facts: readonly NodeSortFacts[]): ChosenForm | undefined {
  const { collation, name } = declaredType(column)
  const isText = collation !== undefined && !column.isArray && name !== 'citext'
  if (isText && facts.every(({ encoding }) => encoding === 'UTF8')) return { form: byCodePoint, collate: '"C"' }
  const form = sortColumn(column, facts)
  return form.kind === 'ranked' ? undefined : { form }
}

/** Adds the output columns of a term, those that are not there yet. */
function orderTerm<Entity extends ObjectLiteral>(
  builder: ArmQueryBuilder<Entity>,
  { alias, column, descending, nullsFirst }: SortedColumn,
  { index, form, collate }: ChosenForm & { readonly index: number },
): OrderTerm {
  const plain = `${builder.escape(alias)}.${builder.escape(column.databaseName)}`
  const expression = collate ? `${plain}::text COLLATE ${collate}` : plain
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
  return {
    merge: { column: compared ?? ordered, kind: form.kind, descending, nullsFirst },
    node: { column: ordered, descending, nullsFirst },
    rankBy: form.rankBy,
    name: subjectOf(column).name,
    type: declaredType(column),
    witness: witness && { column: add(`__w${index}`, witness.sql(expression)), of: witness.of },
    column,
    expression,
    form,
  }
}

/**
 * Each arm is ordered by the expressions themselves: an output column of the same name may be a text of them. DISTINCT asks
 * for ORDER BY over selected columns: over those that carry the order then.
 */
function orderArms<Entity extends ObjectLiteral>(builder: ArmQueryBuilder<Entity>, terms: readonly OrderTerm[]): void {
  const isDistinct = builder.expressionMap.selectDistinct
  builder.orderBy()
  for (const { node, expression } of terms) {
    const { descending, nullsFirst } = node
    const nulls = nullsFirst ? 'NULLS FIRST' : 'NULLS LAST'
    builder.addOrderBy(isDistinct ? builder.escape(node.column) : expression, descending ? 'DESC' : 'ASC', nulls)
  }
}
