import type { Node, SelectStmt, SortBy } from '@pgsql/types'
import { ShardedError, unsupported } from '../errors/sharded-error'
import type { NodeSortFacts } from '../query/node-sort-facts'
import type { OrderTerm } from '../query/order-term'
import { sortForm, type ValueType } from '../query/sort-form'
import { bareName, clauseTerm, outputWritten, type ScopedQuery } from '../routing/clause-term'
import { aggregatedParts, hasAggregate, starColumns } from '../routing/query-shape'
import { valuesColumns } from '../routing/range-columns'
import type { Scope } from '../routing/scope'
import type { StatementAnalysis } from '../routing/statement-analysis'
import { columnNode, integerConstant, selectNode, sortNode, targetNode } from '../sql/nodes'
import { isStar, outputName } from '../sql/output-name'
import { allOf, treeText } from '../sql/tree'
import { quoted } from '../values/quoted'
import { armTag } from './bind-shard-names'
import { namesOnWire } from './own-names'
import { checked, type HeldTable } from './schema-check'
import { type ShippedColumn, shippedText } from './shipped-rows'
import type { Template } from './statement-template'

/** One shard's part of a query, with a place for its own LIMIT. */
export interface ArmTemplate {
  readonly before: string
  readonly after: string
  readonly parameters: readonly number[]
}

/** The text of an arm that gives `limit` rows at the most. */
export const armText = ({ before, after }: ArmTemplate, limit: number | undefined): string =>
  limit === undefined ? `${before}${after}` : `${before} LIMIT ${limit}${after}`

/** A query whose answer is the shards' answers put together, in order: planned for all values of its parameters. */
export interface RowsTemplate {
  readonly kind: 'rows'
  readonly arm: ArmTemplate
  readonly outputs: readonly ShippedColumn[]
  readonly order: readonly OrderTerm[]
  readonly limit: Node | undefined
  readonly offset: Node | undefined
}

/** A query prepared for `rowsTemplate`: what it needs to know is the types of the columns of `select`. */
export interface RowsDraft {
  /** The query with an explicit list of outputs, and hidden ones for its order behind them. */
  readonly select: SelectStmt
  readonly outputs: readonly string[]
  readonly sorts: readonly { readonly name: string; readonly descending: boolean; readonly nullsFirst: boolean }[]
  readonly limit: Node | undefined
  readonly offset: Node | undefined
}

/** Drafts the plan of a local query. @throws ShardedError STATEMENT_UNSUPPORTED, ORDER_UNSUPPORTED */
export function draftRows(select: SelectStmt, { scope, main }: Pick<StatementAnalysis, 'scope' | 'main'>): RowsDraft {
  const targets = expandedTargets(select, scope)
  const isWhole =
    !select.distinctClause && !select.groupClause && !hasAggregate(aggregatedParts(select), scope.functions)
  const query = { select: { ...select, targetList: targets }, scope }
  const sorts = allOf(select.sortClause, 'SortBy').map((sort) => sortOf(sort, query))
  const isPaged = select.limitCount !== undefined || select.limitOffset !== undefined
  // Ties at the border of a page fall alike on every page.
  if (isPaged && isWhole && sorts.length > 0) sorts.push(...tieBreak(main, sorts, scope))
  // What all rows share orders none of them.
  const merged = sorts.filter(({ constant }) => !constant)
  const hidden = merged.map(({ expression }, index) => targetNode(expression, `__ro${index}`))
  const { limitCount, limitOffset, limitOption: _option, ...rest } = select
  const targetList = [...targets, ...hidden]
  return {
    select: selectNode({
      ...rest,
      limitOption: 'LIMIT_OPTION_DEFAULT',
      ...(targetList.length > 0 && { targetList }),
      ...(sorts.length > 0 && {
        sortClause: sorts.map(({ constant, expression, like }) =>
          sortNode(constant ?? writtenTerm(expression, targetList), like),
        ),
      }),
    }),
    outputs: namesOfTargets(targets),
    sorts: merged,
    limit: limitCount && isNullConstant(limitCount) ? undefined : limitCount,
    offset: limitOffset,
  }
}

/**
 * A term of ORDER BY that means an expression. A bare name would be that of an output, if one has it; the ordinal of an output
 * that is the expression is nothing else.
 */
function writtenTerm(expression: Node, targetList: Node[]): Node {
  const name = bareName(expression)
  const text = treeText(expression)
  const isOther = (target: Node): boolean =>
    'ResTarget' in target && target.ResTarget.name === name && treeText(target.ResTarget.val) !== text
  if (name === undefined || !targetList.some(isOther)) return expression
  return integerConstant(outputWritten(expression, { targetList }))
}

interface PlanFacts {
  /** Of the columns of the draft's query. */
  readonly types: readonly ValueType[]
  readonly facts: readonly NodeSortFacts[]
  readonly asText: boolean
  /** Those of which it names all columns. */
  readonly tables: readonly HeldTable[]
}

export function rowsTemplate(
  draft: RowsDraft,
  template: Template,
  { types, facts, asText, tables }: PlanFacts,
): RowsTemplate {
  const { outputs, sorts } = draft
  const order = sorts.map((sort, index): OrderTerm => {
    const type = types[outputs.length + index] ?? unknownType
    if (type.kind === 'composite')
      throw new ShardedError(
        'ORDER_UNSUPPORTED',
        `${sort.name} orders by a whole row, whose type each shard defines for itself.`,
        { details: { order: sort.name } },
      )
    const form = sortForm(type, facts, { name: sort.name, details: { order: sort.name } })
    return {
      name: sort.name,
      details: { order: sort.name },
      descending: sort.descending,
      nullsFirst: sort.nullsFirst,
      kind: form.kind,
      type,
      form,
      column: form.comparable ? `__rk${index}` : `__ro${index}`,
      nodeColumn: form.nodeOrder ? `__rn${index}` : `__ro${index}`,
      witness: form.witness ? `__rw${index}` : undefined,
    }
  })
  return Object.freeze({
    kind: 'rows',
    arm: wrapArm(template, { outputs, order }, { types, asText, tables }),
    outputs: outputs.map((name, index) => ({ name, type: types[index] ?? unknownType })),
    order,
    limit: draft.limit,
    offset: draft.offset,
  })
}

export const unknownType: ValueType = { name: 'text', kind: 'base', collation: undefined }

/**
 * Puts an arm into a query of its own that adds the forms to compare. Types that each shard declares for itself (enums)
 * become text: several shards then fit one UNION, and the driver gives text either way.
 */
function wrapArm(
  arm: Template,
  { outputs, order }: { readonly outputs: readonly string[]; readonly order: readonly OrderTerm[] },
  { types, asText, tables }: Omit<PlanFacts, 'facts'>,
): ArmTemplate {
  const columns = [...outputs.map((_, index) => `c${index}`), ...order.map((_, index) => `o${index}`)]
  const selected = namesOnWire(outputs).map((name, index) => {
    const value = `q.c${index}`
    if (asText) return `${shippedText(value, types[index])} AS c${index}`
    const isOwnType = types[index]?.kind === 'enum' || types[index]?.kind === 'composite'
    return `${value}${isOwnType ? '::text' : ''} AS ${quoted(name)}`
  })
  for (const [index, { form, column, nodeColumn, witness }] of order.entries()) {
    const value = `q.o${index}`
    if (column === `__ro${index}` || nodeColumn === `__ro${index}`) selected.push(`${value} AS "__ro${index}"`)
    if (form.comparable) selected.push(`${form.comparable(value)} AS "__rk${index}"`)
    if (form.nodeOrder) selected.push(`${form.nodeOrder(value)} AS "__rn${index}"`)
    if (form.witness) selected.push(`${form.witness.sql(value)} AS "${witness}"`)
  }
  // What goes to the driver as it is tells its own type.
  const isTyped = (index: number) => asText || types[index]?.kind === 'enum'
  const expressions = [
    ...outputs.flatMap((_, index) => (isTyped(index) ? [[`q.c${index}`, types[index]] as const] : [])),
    ...order.map(({ type }, index) => [`q.o${index}`, type] as const),
  ]
  const tag = checked(armTag, 'integer', { expressions, tables })
  return Object.freeze({
    before: `SELECT ${[...selected, `${tag} AS "__arm"`].join(', ')} FROM (${arm.text}`,
    after: `) AS q${columns.length > 0 ? `(${columns.join(', ')})` : ''}`,
    parameters: arm.parameters,
  })
}

/** The outputs with every name said, and stars written out. @throws ShardedError STATEMENT_UNSUPPORTED */
export function expandedTargets(select: SelectStmt, scope: Scope): Node[] {
  if (select.valuesLists) return (valuesColumns(select) ?? []).map(({ name }) => targetNode(columnNode(name), name))
  return (select.targetList ?? []).flatMap((node): Node[] => {
    if (!('ResTarget' in node)) return [node]
    const { val, name } = node.ResTarget
    if (isStar(val)) return writtenOut(val, scope)
    return val ? [targetNode(val, name ?? outputName(val))] : []
  })
}

function writtenOut(star: Node, scope: Scope): Node[] {
  const columns = starColumns(star, scope)
  if (columns) return columns.map(({ expression, name }) => targetNode(expression, name))
  throw unsupported('The columns of a * are not known here, or two have one name.', { star: outputName(star) })
}

/** The names of outputs that all are said. */
export const namesOfTargets = (targets: readonly Node[]): readonly string[] =>
  allOf(targets, 'ResTarget').map(({ name = '' }) => name)

interface Sort extends MeantTerm {
  readonly name: string
  readonly like?: SortBy
  readonly descending: boolean
  readonly nullsFirst: boolean
}

function sortOf(sort: SortBy, query: ScopedQuery & { readonly scope: Scope }): Sort {
  if (sort.sortby_dir === 'SORTBY_USING')
    throw new ShardedError('ORDER_UNSUPPORTED', 'ORDER BY … USING an operator cannot be merged over shards.')
  const term = meantTerm(sort.node, query)
  const { expression } = term
  const descending = sort.sortby_dir === 'SORTBY_DESC'
  return {
    ...term,
    name: query.scope.column(expression)?.name ?? outputName(expression),
    like: sort,
    descending,
    nullsFirst: sort.sortby_nulls === 'SORTBY_NULLS_FIRST' || (sort.sortby_nulls !== 'SORTBY_NULLS_LAST' && descending),
  }
}

/** What a term of ORDER BY or DISTINCT ON means. */
export interface MeantTerm {
  readonly expression: Node
  /**
   * The ordinal of the output that it means, where that output is a constant, which all rows share: written out, the constant
   * would be an ordinal itself, or no term at all.
   */
  readonly constant?: Node | undefined
}

export function meantTerm(node: Node | undefined, query: ScopedQuery): MeantTerm {
  const { expression, ordinal } = clauseTerm(node ?? { A_Const: { isnull: true } }, query, 'sql92')
  const isConstant = ordinal !== undefined && 'A_Const' in expression
  return { expression, constant: isConstant ? integerConstant(ordinal) : undefined }
}

function tieBreak(main: StatementAnalysis['main'], sorts: readonly Sort[], scope: Scope): readonly Sort[] {
  const [use] = main?.uses ?? []
  const item = scope.items.find((one) => one.use === use)
  if (!use || !item) return []
  const columns = sorts.map(({ expression }) => scope.column(expression))
  return use.table.primaryKey
    .filter((name) => !columns.some((column) => column?.use === use && column.name === name))
    .flatMap((key) => {
      // An alias may give the columns other names.
      const name = item.columns?.find(({ base }) => base?.name === key)?.name
      const expression = name !== undefined && columnNode(item.alias, name)
      if (!expression || scope.column(expression)?.name !== key) return []
      return [{ name, expression, descending: false, nullsFirst: false }]
    })
}

const isNullConstant = (node: Node): boolean => 'A_Const' in node && node.A_Const.isnull === true
