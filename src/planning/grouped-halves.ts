import type { Node } from '@pgsql/types'
import { type ShardedError, unsupported } from '../errors/sharded-error'
import { groupTerms } from '../routing/clause-term'
import type { KnownFunctions } from '../routing/known-functions'
import { type AggregateNode, hasAggregate, isAggregateNode } from '../routing/query-shape'
import type { Scope } from '../routing/scope'
import { columnNode, integerConstant, selectNode, targetNode, typeCast } from '../sql/nodes'
import { outputName } from '../sql/output-name'
import { isNode, isSubquery, replaceNodes, someNode, type TreeObject, treeText, visitOwn } from '../sql/tree'
import { type PartialAggregate, partialAggregate, withParts } from './partial-aggregate'
import { comparedLate, type Late, needsRow, type QueryHalves, Shipment, shipped } from './query-halves'
import { isConstantLink, tableNamed } from './shipped-rows'

/** A query with groups. */
export class GroupedHalves implements QueryHalves {
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

  constructor(
    private readonly groups: readonly Node[],
    trees: readonly unknown[],
    private readonly scope: Scope,
  ) {
    const { functions } = scope
    this.functions = functions
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
    { expression, combined, told }: { expression: Node; combined: Map<object, Late>; told: <T>(tree: T) => T },
  ): unknown {
    const group = this.groupTexts.get(this.meaning(object))
    // A constant is the group only where it is all of an output.
    if (group) return this.needsRow(group) || object === expression ? this.shipment.column(group) : undefined
    if (isConstantLink(object)) return object
    if (object.SubLink && this.isOfGroups(object.SubLink.testexpr)) return comparedLate(object.SubLink, told)
    if (isAggregateNode(object, this.functions)) {
      const marker = {}
      combined.set(marker, this.aggregate(object))
      return marker
    }
    if (!isNode(object, 'ColumnRef') && !isSubquery(object)) return undefined
    if (this.isPlain) return this.dependent(object)
    const refused = {}
    // Later than what PostgreSQL itself refuses.
    combined.set(refused, () => {
      throw notInSets(object)
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
      throw unsupported(
        'A subquery stands beside an aggregate that needs all rows: put the aggregate into a WITH or a query in FROM, or run the subquery as a query of its own.',
      )
    return ofAnyRow(this.shipment.column(node))
  }

  private aggregate(call: AggregateNode): Late {
    const partial = this.isPartial ? this.partialOf(call) : undefined
    if (partial) return this.combined(partial)
    if (this.hasDirectArgument(call))
      return () => {
        throw unsupported('An aggregate WITHIN GROUP has a direct argument that is a value of its group.')
      }
    // The row's values go along, and the aggregate itself runs in the outer half.
    const outer = withParts(call, (node) => this.part(node))
    return () => outer
  }

  /** `percentile_cont(key / 10.0) WITHIN GROUP (…)`: PostgreSQL knows a direct argument of a group, and not of the shipped rows. */
  private hasDirectArgument({ FuncCall: call }: TreeObject): boolean {
    return call?.agg_within_group === true && (call.args ?? []).some((node) => this.needsRow(node))
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
    return treeText(replaceNodes(expression, (object) => this.scope.qualify(object)))
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

/** A group of a grouping set has no value of what another set has, nor of what hangs on it. */
function notInSets(node: Node): ShardedError {
  const what = 'ColumnRef' in node ? `The column ${outputName(node)}` : 'A subquery'
  return unsupported(
    `${what} stands beside grouping sets without being a term of them: make it one, or put the groups into a query of their own and select from that.`,
  )
}

/** A shipped column that all rows have alike; beside an aggregate it stands in a subquery. */
const ofAnyRow = (column: Node): Node => ({
  SubLink: {
    subLinkType: 'EXPR_SUBLINK',
    subselect: {
      SelectStmt: selectNode({
        targetList: [targetNode(column, 'value')],
        fromClause: [{ RangeVar: tableNamed(shipped) }],
        limitCount: integerConstant(1),
        limitOption: 'LIMIT_OPTION_COUNT',
      }),
    },
  },
})

function aggregatesIn(trees: readonly unknown[], functions: KnownFunctions): readonly AggregateNode[] {
  const calls: AggregateNode[] = []
  visitOwn(trees, (object) => {
    if (!isAggregateNode(object, functions)) return undefined
    calls.push(object)
    return false
  })
  return calls
}
