import type { Node, SelectStmt, SortBy } from '@pgsql/types'
import { unsupported } from '../errors/sharded-error'
import type { ValueType } from '../query/sort-form'
import { type ClauseTerm, distinctOnOf, groupExpression } from '../routing/clause-term'
import { aggregatedParts, hasAggregate } from '../routing/query-shape'
import type { Scope } from '../routing/scope'
import { distinctRows, selectNode, sortNode, targetNode } from '../sql/nodes'
import { outputName } from '../sql/output-name'
import { allOf, parametersOf, someNode } from '../sql/tree'
import { GroupedHalves } from './grouped-halves'
import { bareShipped, hasWindow, type Late, PlainHalves, type QueryHalves, shipped } from './query-halves'
import { type ArmTemplate, expandedTargets, type MeantTerm, meantTerm, unknownType } from './rows-template'
import type { HeldTable } from './schema-check'
import { refuseNameless, type ShippedRows, tableNamed, withShippedRows } from './shipped-rows'
import { type Template, templateOf } from './statement-template'
import { textNames, textOutputs } from './text-query'

/**
 * A query that PostgreSQL finishes on one node: the shards give partial rows, which go back to one node as arrays, and the
 * outer half of the query runs over them. Types, scale, collation, NULLs, HAVING, ORDER BY and LIMIT are PostgreSQL's own.
 */
export interface FinishTemplate {
  readonly kind: 'finish'
  /** One shard's part: columns `c0 …` as text. */
  readonly arm: ArmTemplate
  /** How many columns an arm gives. */
  readonly width: number
  /** The outer half; the arrays are its parameters numbered from `firstArray`. */
  readonly final: Template
  readonly firstArray: number
  readonly outputs: readonly string[]
  /** LIMIT and OFFSET of the whole, where each shard needs to give no more rows than both. */
  readonly armPage: { readonly limit: Node; readonly offset: Node | undefined } | undefined
  /** In one line, for `explain`. */
  readonly step: string
}

/** What the shards are asked for, before its types are known. */
export interface FinishDraft {
  /** The shards' half. Its columns are described before the plan is made. */
  readonly inner: SelectStmt
  readonly width: number
  /** The outer half, over the shipped columns. */
  readonly outer: (types: readonly ValueType[]) => SelectStmt
  readonly outputs: readonly string[]
  readonly armPage: FinishTemplate['armPage']
  readonly step: string
}

/**
 * Drafts the halves of a local query that groups, aggregates, or makes rows distinct or ranked over all shards. Where
 * every aggregate can be finished from partial results, the shards group; else they give the rows.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function draftFinish(select: SelectStmt, scope: Scope): FinishDraft {
  const clauses = clausesOf(select, scope)
  const { groups, aggregated, isGrouped } = clauses
  const halves = isGrouped ? new GroupedHalves(groups, aggregated, scope) : new PlainHalves(scope.functions)
  const outer = outerClauses(select, clauses, halves)
  const isDistinct =
    select.distinctClause !== undefined && outer.distinctOn.length === 0 && !isGrouped && !hasWindow(clauses.values)
  const armPage =
    isDistinct && select.limitCount && select.limitOption !== 'LIMIT_OPTION_WITH_TIES'
      ? { limit: select.limitCount, offset: select.limitOffset }
      : undefined
  // By the name of the shipped column: what is volatile would be asked anew.
  const armSorts = (armPage ? outer.order : []).flatMap(({ make, like }) => {
    const column = bareShipped(make([]))
    return column ? [sortNode(column, like)] : []
  })
  return {
    inner: selectNode({
      ...(select.withClause && { withClause: select.withClause }),
      ...((isDistinct || halves.dedupes) && { distinctClause: distinctRows() }),
      targetList: halves.targets(),
      ...(select.fromClause && { fromClause: select.fromClause }),
      ...(select.whereClause && { whereClause: select.whereClause }),
      ...(halves.innerGroups.length > 0 && { groupClause: [...halves.innerGroups] }),
      ...(armSorts.length > 0 && { sortClause: armSorts }),
    }),
    width: halves.targets().length,
    outputs: outer.targets.map((target) => target.name),
    armPage,
    step: isGrouped
      ? halves.isPartial
        ? 'let one node finish the groups of the shards'
        : 'let one node group the rows of the shards'
      : 'let one node finish the rows of the shards',
    outer: (types) => outerHalf(select, outer, types),
  }
}

/** The clauses of a query, with their names resolved. */
interface Clauses {
  readonly targets: readonly Node[]
  readonly groups: readonly Node[]
  readonly sorts: readonly (MeantTerm & { readonly like: SortBy })[]
  readonly distinctOn: readonly MeantTerm[]
  /** All that is computed of a row that the query gives. */
  readonly values: readonly Node[]
  /** All that an aggregate may be in. */
  readonly aggregated: readonly unknown[]
  readonly isGrouped: boolean
}

function clausesOf(select: SelectStmt, scope: Scope): Clauses {
  const targets = expandedTargets(select, scope)
  const query = { select: { ...select, targetList: targets }, scope }
  const groups = (select.groupClause ?? []).map((node) => groupExpression(node, query, knownTerm))
  const sorts = allOf(select.sortClause, 'SortBy').map((like) => ({ ...meantTerm(like.node, query), like }))
  const distinctOn = distinctOnOf(select).map((node) => meantTerm(node, query))
  const aggregated = [aggregatedParts(query.select), select.havingClause]
  return {
    targets,
    groups,
    sorts,
    distinctOn,
    values: [...targets, ...[...sorts, ...distinctOn].map(({ expression }) => expression)],
    aggregated,
    isGrouped: groups.length > 0 || select.havingClause !== undefined || hasAggregate(aggregated, scope.functions),
  }
}

/** The clauses of the outer half. */
interface OuterClauses {
  readonly targets: readonly { readonly name: string; readonly make: Late }[]
  readonly having: Late | undefined
  readonly order: readonly { readonly make: Late; readonly like: SortBy }[]
  readonly windows: readonly Late[]
  readonly distinctOn: readonly Late[]
  readonly grouping: readonly Node[]
}

function outerClauses(select: SelectStmt, { targets, sorts, distinctOn }: Clauses, halves: QueryHalves): OuterClauses {
  const late = (node: Node): Late => halves.late(node)
  const lateTerm = ({ expression, constant }: MeantTerm): Late => (constant ? () => constant : late(expression))
  return {
    targets: allOf(targets, 'ResTarget').flatMap(({ name = '', val }) => (val ? [{ name, make: late(val) }] : [])),
    having: select.havingClause && late(select.havingClause),
    order: sorts.map((sort) => ({ make: lateTerm(sort), like: sort.like })),
    windows: (select.windowClause ?? []).map(late),
    distinctOn: distinctOn.map(lateTerm),
    grouping: halves.grouping(),
  }
}

function outerHalf(select: SelectStmt, outer: OuterClauses, types: readonly ValueType[]): SelectStmt {
  const { targets, distinctOn, grouping, having, windows, order } = outer
  const made = (clauses: readonly Late[]): Node[] => clauses.map((make) => make(types))
  return selectNode({
    targetList: targets.map(({ make, name }) => targetNode(make(types), name)),
    fromClause: [{ RangeVar: tableNamed(shipped) }],
    ...(select.distinctClause && { distinctClause: distinctOn.length > 0 ? made(distinctOn) : distinctRows() }),
    ...(grouping.length > 0 && { groupClause: [...grouping] }),
    ...(select.groupDistinct && { groupDistinct: true }),
    ...(having && { havingClause: having(types) }),
    ...(windows.length > 0 && { windowClause: made(windows) }),
    ...(order.length > 0 && { sortClause: order.map(({ make, like }) => sortNode(make(types), like)) }),
    ...(select.limitCount && { limitCount: select.limitCount }),
    ...(select.limitOffset && { limitOffset: select.limitOffset }),
    ...(select.limitOption && { limitOption: select.limitOption }),
  })
}

function knownTerm({ expression, isUnknown }: ClauseTerm): Node {
  if (!isUnknown) return expression
  throw unsupported(
    `GROUP BY ${outputName(expression)} names an output, and may name a column of a part of FROM whose columns are not known: give the output another name, or name the columns of that part in its alias.`,
    { term: outputName(expression) },
  )
}

/**
 * A query that one node finishes cannot lock rows of shards: only with ties PostgreSQL allows a lock there.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseFinishedLock({ lockingClause = [] }: SelectStmt): void {
  if (lockingClause.length === 0) return
  throw unsupported(
    'A lock beside FETCH FIRST … WITH TIES would lock no row: one node picks among the rows that the shards return. Lock the rows by their keys in a second query.',
  )
}

/** What the shards' half was described to give, and what the outer half reads beside it. */
interface FinishFacts {
  /** Of the columns that the shards give. */
  readonly types: readonly ValueType[]
  readonly rowsOfParts: readonly ShippedRows[]
  /** Tables of which the query names all columns. */
  readonly tables: readonly HeldTable[]
}

export function finishTemplate(
  draft: FinishDraft,
  inner: Template,
  { types, rowsOfParts, tables }: FinishFacts,
): FinishTemplate {
  const names = textNames(draft.width)
  for (const type of types) refuseNameless(type)
  const outer: Node = { SelectStmt: draft.outer(types) }
  // Subqueries that say the same of every row are asked beside the outer half.
  const parts = rowsOfParts.filter(({ cte }) => namesTable(outer, cte))
  const last = parts.map(({ firstParameter, columns }) => firstParameter + columns.length - 1)
  const firstArray = Math.max(0, ...parametersOf(outer), ...last) + 1
  const columns = names.map((name, index) => ({ name, type: types[index] ?? unknownType }))
  const final = withShippedRows(templateOf(outer), [...parts, { cte: shipped, columns, firstParameter: firstArray }])
  return Object.freeze({
    kind: 'finish',
    arm: {
      before: `SELECT ${textOutputs(names, types, tables)} FROM (${inner.text}`,
      after: `) AS q(${names.join(', ')})`,
      parameters: inner.parameters,
    },
    width: draft.width,
    final,
    firstArray,
    outputs: draft.outputs,
    armPage: draft.armPage,
    step: draft.step,
  })
}

const namesTable = (tree: Node, name: string): boolean => someNode(tree, ({ relname }) => relname === name)
