import type { Node, SelectStmt } from '@pgsql/types'
import { ShardedError } from '../errors/sharded-error'
import type { ValueType } from '../query/sort-form'
import { type ClauseTerm, distinctOnOf, groupExpression, groupTerms } from '../routing/clause-term'
import type { KnownFunctions } from '../routing/known-functions'
import { aggregatedParts, hasAggregate, isAggregateNode } from '../routing/query-shape'
import type { Scope } from '../routing/scope'
import { hasVolatile, isVolatileNode } from '../routing/volatile-calls'
import { columnNode, integerConstant, selectNode, sortNode, targetNode, typeCast } from '../sql/nodes'
import { outputName } from '../sql/output-name'
import {
  isSubquery,
  isTreeObject,
  namesOf,
  parametersOf,
  replaceNodes,
  someNode,
  type TreeObject,
  treeText,
  visit,
  visitOwn,
} from '../sql/tree'
import { type AggregateNode, withParts } from './aggregate-parts'
import { isConstantLink } from './constant-link'
import { type PartialAggregate, partialAggregate } from './partial-aggregate'
import { type ArmTemplate, constantOutput, expandedTargets, sortTerm } from './rows-template'
import type { HeldTable } from './schema-check'
import { refuseNameless, type ShippedRows, withShippedRows } from './shipped-rows'
import { type Template, templateOf } from './statement-template'
import { textOutputs } from './text-query'

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

/** The CTE of the shipped rows. */
const shipped = '__shipped__'

type Late = (types: readonly ValueType[]) => Node

/**
 * Drafts the halves of a local query that groups, aggregates, or makes rows distinct or ranked over all shards. Where
 * every aggregate can be finished from partial results, the shards group; else they give the rows.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function draftFinish(select: SelectStmt, scope: Scope, functions: KnownFunctions): FinishDraft {
  const targets = expandedTargets(select, scope)
  const whole: SelectStmt = { ...select, targetList: [...targets] }
  const groups = (select.groupClause ?? []).map((node) => groupExpression(node, whole, scope, knownTerm))
  const meant = (node: Node | undefined) => {
    const term = sortTerm(node, whole, scope)
    return { expression: term.expression, constant: constantOutput(term) }
  }
  const sorts = (select.sortClause ?? []).flatMap((node) =>
    'SortBy' in node ? [{ ...meant(node.SortBy.node), like: node.SortBy }] : [],
  )
  const distinctOn = distinctOnOf(select).map(meant)
  const values = [...targets, ...[...sorts, ...distinctOn].map(({ expression }) => expression)]
  const aggregated = [aggregatedParts(whole), select.havingClause]
  const isGrouped = groups.length > 0 || select.havingClause !== undefined || hasAggregate(aggregated, functions)
  const halves = isGrouped ? new GroupedHalves(groups, aggregated, { functions, scope }) : new PlainHalves(functions)
  const late = (node: Node): Late => halves.late(node)
  const outerTargets = targets.flatMap((node) =>
    'ResTarget' in node && node.ResTarget.val
      ? [{ name: node.ResTarget.name ?? '', make: late(node.ResTarget.val) }]
      : [],
  )
  const having = select.havingClause && late(select.havingClause)
  // A constant by itself would be an ordinal: the ordinal of its own output says what is meant.
  const lateOrOrdinal = ({ expression, constant }: { expression: Node; constant: Node | undefined }): Late =>
    constant ? () => constant : late(expression)
  const order = sorts.map(({ like, ...sort }) => ({ make: lateOrOrdinal(sort), like }))
  const windows = (select.windowClause ?? []).map(late)
  const on = distinctOn.map(lateOrOrdinal)
  const grouping = halves.grouping()
  const isDistinct = select.distinctClause !== undefined && on.length === 0 && !isGrouped && !hasWindow(values)
  const isPageOfDistinct =
    isDistinct && select.limitCount !== undefined && select.limitOption !== 'LIMIT_OPTION_WITH_TIES'
  // By the name of the shipped column: what is volatile would be asked anew.
  const armSorts = order.flatMap(({ make, like }) => {
    const column = isPageOfDistinct ? bareShipped(make([])) : undefined
    return column ? [sortNode(column, like)] : []
  })
  const inner: SelectStmt = selectNode({
    ...(select.withClause && { withClause: select.withClause }),
    ...((isDistinct || halves.dedupes) && { distinctClause: [{} as Node] }),
    targetList: halves.targets(),
    ...(select.fromClause && { fromClause: select.fromClause }),
    ...(select.whereClause && { whereClause: select.whereClause }),
    ...(halves.innerGroups.length > 0 && { groupClause: [...halves.innerGroups] }),
    ...(armSorts.length > 0 && { sortClause: armSorts }),
  })
  return {
    inner,
    width: halves.targets().length,
    outputs: outerTargets.map((target) => target.name),
    armPage:
      isPageOfDistinct && select.limitCount ? { limit: select.limitCount, offset: select.limitOffset } : undefined,
    step: isGrouped
      ? halves.isPartial
        ? 'let one node finish the groups of the shards'
        : 'let one node group the rows of the shards'
      : 'let one node finish the rows of the shards',
    outer: (types) =>
      selectNode({
        targetList: outerTargets.map(({ make, name }) => targetNode(make(types), name)),
        fromClause: [{ RangeVar: { relname: shipped, inh: true, relpersistence: 'p' } }],
        ...(select.distinctClause && { distinctClause: on.length > 0 ? on.map((make) => make(types)) : [{} as Node] }),
        ...(grouping.length > 0 && { groupClause: [...grouping] }),
        ...(select.groupDistinct && { groupDistinct: true }),
        ...(having && { havingClause: having(types) }),
        ...(windows.length > 0 && { windowClause: windows.map((make) => make(types)) }),
        ...(order.length > 0 && { sortClause: order.map(({ make, like }) => sortNode(make(types), like)) }),
        ...(select.limitCount && { limitCount: select.limitCount }),
        ...(select.limitOffset && { limitOffset: select.limitOffset }),
        ...(select.limitOption && { limitOption: select.limitOption }),
      }),
  }
}

function knownTerm({ expression, isUnknown }: ClauseTerm): Node {
  if (!isUnknown) return expression
  throw new ShardedError(
    'STATEMENT_UNSUPPORTED',
    `GROUP BY ${outputName(expression)} names an output, and may name a column of a part of FROM whose columns are not known: give the output another name, or name the columns of that part in its alias.`,
    { details: { term: outputName(expression) } },
  )
}

/**
 * A query that one node finishes cannot lock rows of shards: only with ties PostgreSQL allows a lock there.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseFinishedLock({ lockingClause = [] }: SelectStmt): void {
  if (lockingClause.length === 0) return
  throw new ShardedError(
    'STATEMENT_UNSUPPORTED',
    'A lock beside FETCH FIRST … WITH TIES would hold nothing: one node picks the rows that the shards give. Lock the rows by their keys in a second query.',
    {},
  )
}

/** @param types of the columns that the shards give @param tables of which the query names all columns */
export function finishTemplate(
  draft: FinishDraft,
  inner: Template,
  types: readonly ValueType[],
  { rowsOfParts, tables }: { readonly rowsOfParts: readonly ShippedRows[]; readonly tables: readonly HeldTable[] },
): FinishTemplate {
  const names = Array.from({ length: draft.width }, (_, index) => `c${index}`)
  for (const type of types) refuseNameless(type)
  const outer: Node = { SelectStmt: draft.outer(types) }
  // Subqueries that say the same of every row are asked beside the outer half.
  const parts = rowsOfParts.filter(({ cte }) => namesTable(outer, cte))
  const last = parts.map(({ firstParameter, columns }) => firstParameter + columns.length - 1)
  const firstArray = Math.max(0, ...parametersOf(outer), ...last) + 1
  const columns = names.map((name, index) => ({ name, type: types[index] ?? textType }))
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

const textType: ValueType = { name: 'text', kind: 'base', collation: undefined }

/** The two halves of a query: what is shipped, and how the outer half says its expressions over that. */
interface Halves {
  readonly isPartial: boolean
  /** The shards may leave out rows that are alike. */
  readonly dedupes: boolean
  readonly innerGroups: readonly Node[]
  late(expression: Node): Late
  /** The outer GROUP BY; after all expressions were told. */
  grouping(): readonly Node[]
  targets(): Node[]
}

/** The name of a shipped column as an output of the inner half; undefined for what says the same of every row. */
function bareShipped(node: Node): Node | undefined {
  const [table, name] = ('ColumnRef' in node && namesOf(node.ColumnRef.fields)) || []
  return table === shipped && name !== undefined ? columnNode(name) : undefined
}

/** The columns that the shards give, each expression once. A volatile one is another value wherever it is written. */
class Shipment {
  readonly expressions: Node[] = []
  private readonly numbers = new Map<unknown, number>()

  constructor(private readonly functions: KnownFunctions) {}

  add(expression: Node): number {
    const key = hasVolatile(expression, this.functions) ? expression : treeText(expression)
    let number = this.numbers.get(key)
    if (number === undefined) {
      number = this.expressions.push(expression) - 1
      this.numbers.set(key, number)
    }
    return number
  }

  column(expression: Node): Node {
    return columnNode(shipped, `c${this.add(expression)}`)
  }

  targets(): Node[] {
    const list = this.expressions.length > 0 ? this.expressions : [{ A_Const: { ival: { ival: 1 } } }]
    return list.map((expression, index) => targetNode(expression, `c${index}`))
  }
}

/** A query without groups: whole expressions are shipped, but for windows, which span the shards. */
class PlainHalves implements Halves {
  readonly isPartial = false
  readonly dedupes = false
  readonly innerGroups: readonly Node[] = []
  private readonly shipment: Shipment

  constructor(private readonly functions: KnownFunctions) {
    this.shipment = new Shipment(functions)
  }

  late(expression: Node): Late {
    const outer = this.told(expression)
    return () => outer
  }

  grouping(): readonly Node[] {
    return []
  }

  targets(): Node[] {
    return this.shipment.targets()
  }

  private told(expression: Node): Node {
    const isWindow = 'WindowDef' in expression
    if (!isWindow && !hasWindow([expression]))
      return needsRow(expression, this.functions) ? this.shipment.column(expression) : expression
    const told = (tree: unknown): unknown =>
      replaceNodes(tree, (object) => {
        if (isConstantLink(object)) return object
        const link = object['SubLink']
        if (isTreeObject(link) && hasWindow([link['testexpr']])) return comparedLate(link, told)
        if ('ColumnRef' in object || isSubquery(object)) return this.shipment.column(object as unknown as Node)
        return undefined
      })
    return told(expression) as Node
  }
}

/** A query with groups. */
class GroupedHalves implements Halves {
  readonly isPartial: boolean
  readonly dedupes: boolean
  private readonly shipment: Shipment
  private readonly partials = new Map<AggregateNode, PartialAggregate | undefined>()
  private readonly groupTexts = new Map<string, Node>()
  private readonly plainGroups: readonly Node[]
  private readonly dependents = new Map<string, Node>()
  /** No grouping sets: every group has a value of each term. */
  private readonly isPlain: boolean
  private readonly functions: KnownFunctions
  private readonly scope: Scope

  constructor(
    private readonly groups: readonly Node[],
    trees: readonly unknown[],
    { functions, scope }: { readonly functions: KnownFunctions; readonly scope: Scope },
  ) {
    this.functions = functions
    this.scope = scope
    this.shipment = new Shipment(functions)
    const calls = aggregatesIn(trees, functions)
    this.isPlain = groups.every((group) => !('GroupingSet' in group))
    this.isPartial = this.isPlain && calls.every((call) => this.partialOf(call) !== undefined)
    this.dedupes = !this.isPartial && calls.every((call) => 'FuncCall' in call && call.FuncCall.agg_distinct === true)
    this.plainGroups = groups.flatMap(groupTerms)
    for (const group of this.plainGroups) this.groupTexts.set(this.meaning(group), group)
  }

  get innerGroups(): readonly Node[] {
    if (!this.isPartial) return []
    const groups = [...this.plainGroups, ...this.dependents.values()].filter((node) => this.needsRow(node))
    // Without any, a shard without rows would give one. A bare constant would be an ordinal.
    return groups.length > 0 || this.groups.length === 0 ? groups : [typeCast(integerConstant(1), 'int4')]
  }

  late(expression: Node): Late {
    const combined = new Map<object, Late>()
    const told = <T>(tree: T): T =>
      replaceNodes(tree, (object) => this.toldNode(object, { expression, combined, told }))
    const marked = told(expression)
    return (types) => replaceNodes(marked, (object) => combined.get(object)?.(types))
  }

  private toldNode(
    object: TreeObject,
    { expression, combined, told }: { expression: Node; combined: Map<object, Late>; told: (tree: unknown) => unknown },
  ): unknown {
    const node = object as unknown as Node
    const group = this.groupTexts.get(this.meaning(node))
    // A constant is the group only where it is all of an output.
    if (group) return this.needsRow(group) || object === expression ? this.shipment.column(group) : undefined
    if (isConstantLink(object)) return node
    const link = object['SubLink']
    if (isTreeObject(link) && this.isOfGroups(link['testexpr'])) return comparedLate(link, told)
    if (isAggregateNode(object, this.functions)) {
      const marker = {}
      // What is an aggregate is one of these nodes.
      combined.set(marker, this.aggregate(object as unknown as AggregateNode))
      return marker
    }
    if (!('ColumnRef' in object || isSubquery(object))) return undefined
    if (this.isPlain) return this.dependent(node)
    const refused = {}
    // Later than what PostgreSQL itself refuses.
    combined.set(refused, () => {
      throw notInSets(node)
    })
    return refused
  }

  grouping(): readonly Node[] {
    const own = this.groups.map((group) =>
      replaceNodes(group, (object) => {
        const found = this.groupTexts.get(this.meaning(object))
        return found && this.shipment.column(found)
      }),
    )
    return [...own, ...[...this.dependents.values()].map((node) => this.shipment.column(node))]
  }

  targets(): Node[] {
    return this.shipment.targets()
  }

  /**
   * A column that only a primary key in GROUP BY allows: to group by it too changes no group. Without groups it is a
   * subquery that all shards answer alike.
   */
  private dependent(node: Node): Node {
    if (this.groups.length > 0) {
      this.dependents.set(this.meaning(node), node)
      return this.shipment.column(node)
    }
    if (!this.isPartial)
      throw new ShardedError(
        'STATEMENT_UNSUPPORTED',
        'A subquery stands beside an aggregate that needs all rows: put the aggregate into a WITH or a query in FROM, or ask the subquery in a query of its own.',
        { details: {} },
      )
    return ofAnyRow(this.shipment.column(node))
  }

  private aggregate(call: AggregateNode): Late {
    const partial = this.isPartial ? this.partialOf(call) : undefined
    if (partial) return this.combined(partial)
    // The row's values go along, and the aggregate itself runs in the outer half.
    const outer = withParts(call, (node) => this.part(node))
    return () => outer
  }

  /** The halves of a call, the same ones wherever it is meant: a volatile argument is asked once a row. */
  private partialOf(call: AggregateNode): PartialAggregate | undefined {
    if (!this.partials.has(call))
      this.partials.set(call, 'FuncCall' in call ? partialAggregate(call.FuncCall, this.functions) : undefined)
    return this.partials.get(call)
  }

  private needsRow(node: Node): boolean {
    return needsRow(node, this.functions)
  }

  /** Whether an expression is known of a group only, and not of its rows. */
  private isOfGroups(tree: unknown): boolean {
    return hasAggregate([tree], this.functions) || someNode(tree, (object) => 'GroupingFunc' in object, visitOwn)
  }

  /** A text that expressions share which say the same of a row, however they spell its columns. */
  private meaning(expression: unknown): string {
    return treeText(replaceNodes(expression, (object) => this.scope.qualify(object as unknown as Node)))
  }

  /** A row is shipped by its parts: PostgreSQL reads no row back whose type has no name. */
  private part(node: Node): Node {
    if ('RowExpr' in node)
      return { RowExpr: { ...node.RowExpr, args: (node.RowExpr.args ?? []).map((one) => this.part(one)) } }
    return this.needsRow(node) ? this.shipment.column(node) : node
  }

  private combined({ partials, combine }: PartialAggregate): Late {
    const numbers = partials.map((partial) => this.shipment.add(partial))
    const columns = numbers.map((number) => columnNode(shipped, `c${number}`))
    return (types) =>
      combine(
        columns,
        numbers.map((number) => types[number]),
      )
  }
}

/**
 * `max(x) IN (SELECT …)`: what is compared is finished, so the subquery is asked beside it.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED for one that asks something of a row
 */
function comparedLate(link: TreeObject, told: (tree: unknown) => unknown): unknown {
  const { testexpr, ...rest } = link
  if (isConstantLink({ SubLink: rest })) return { SubLink: { ...rest, testexpr: told(testexpr) } }
  throw new ShardedError(
    'STATEMENT_UNSUPPORTED',
    'An aggregate or a window is compared with a subquery that asks something of a row.',
    { details: {} },
  )
}

/** A group of a grouping set has no value of what another set has, nor of what hangs on it. */
function notInSets(node: Node): ShardedError {
  const what = 'ColumnRef' in node ? `The column ${outputName(node)}` : 'A subquery'
  return new ShardedError(
    'STATEMENT_UNSUPPORTED',
    `${what} stands beside grouping sets without being a term of them: make it one, or put the groups into a query of their own and select from that.`,
    { details: {} },
  )
}

/** A shipped column that all rows have alike; beside an aggregate it stands in a subquery. */
const ofAnyRow = (column: Node): Node => ({
  SubLink: {
    subLinkType: 'EXPR_SUBLINK',
    subselect: {
      SelectStmt: selectNode({
        targetList: [targetNode(column, 'value')],
        fromClause: [{ RangeVar: { relname: shipped, inh: true, relpersistence: 'p' } }],
        limitCount: integerConstant(1),
        limitOption: 'LIMIT_OPTION_COUNT',
      }),
    },
  },
})

/** True for an expression that has to be computed where the rows are. */
function needsRow(expression: Node, functions: KnownFunctions): boolean {
  let found = false
  visit(expression, (object) => {
    if (isConstantLink(object)) return false
    // A volatile function is asked once a row, as often as there are rows.
    if ('ColumnRef' in object || isSubquery(object) || isVolatileNode(object, functions)) found = true
    return !found
  })
  return found
}

function aggregatesIn(trees: readonly unknown[], functions: KnownFunctions): readonly AggregateNode[] {
  const calls: AggregateNode[] = []
  visitOwn(trees, (object) => {
    if (!isAggregateNode(object, functions)) return undefined
    // What is an aggregate is one of these nodes.
    calls.push(object as unknown as AggregateNode)
    return false
  })
  return calls
}

const hasWindow = (trees: readonly unknown[]): boolean =>
  someNode(trees, (object) => isTreeObject(object['over']), visitOwn)

const namesTable = (tree: Node, name: string): boolean => someNode(tree, ({ relname }) => relname === name)
