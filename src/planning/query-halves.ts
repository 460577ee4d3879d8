import type { Node, SubLink } from '@pgsql/types'
import { unsupported } from '../errors/sharded-error'
import type { ValueType } from '../query/sort-form'
import { hasVolatile, isVolatileNode, type KnownFunctions } from '../routing/known-functions'
import { windowOf } from '../routing/query-shape'
import { columnNode, integerConstant, targetNode } from '../sql/nodes'
import { isNode, isSubquery, namesOf, replaceNodes, someNode, treeText, visit, visitOwn } from '../sql/tree'
import { isConstantLink } from './shipped-rows'

/** The CTE of the rows that the shards give to the outer half of a query. */
export const shipped = '__shipped__'

/** The columns that the shards give, each expression once. A volatile one is another value wherever it is written. */
export class Shipment {
  readonly expressions: Node[] = []
  private readonly numbers = new Map<unknown, number>()

  constructor(private readonly functions: KnownFunctions) {}

  add(expression: Node): number {
    const key = hasVolatile(expression, this.functions) ? expression : treeText(expression)
    const number = this.numbers.get(key) ?? this.expressions.push(expression) - 1
    this.numbers.set(key, number)
    return number
  }

  column(expression: Node): Node {
    return columnNode(shipped, `c${this.add(expression)}`)
  }

  targets(): Node[] {
    const list = this.expressions.length > 0 ? this.expressions : [integerConstant(1)]
    return list.map((expression, index) => targetNode(expression, `c${index}`))
  }
}

/** The name of a shipped column as an output of the inner half; undefined for what says the same of every row. */
export function bareShipped(node: Node): Node | undefined {
  const [table, name] = ('ColumnRef' in node && namesOf(node.ColumnRef.fields)) || []
  return table === shipped && name !== undefined ? columnNode(name) : undefined
}

/** An expression of the outer half: the types of the shipped columns may decide how it is written. */
export type Late = (types: readonly ValueType[]) => Node

/** The two halves of a query: what is shipped, and how the outer half says its expressions over that. */
export interface QueryHalves {
  readonly isPartial: boolean
  /** The shards may leave out rows that are alike. */
  readonly dedupes: boolean
  readonly innerGroups: readonly Node[]
  late(expression: Node): Late
  /** The outer GROUP BY; after all expressions were told. */
  grouping(): readonly Node[]
  targets(): Node[]
}

/** A query without groups: whole expressions are shipped, but for windows, which span the shards. */
export class PlainHalves implements QueryHalves {
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
    const told = <T>(tree: T): T =>
      replaceNodes(tree, (object) => {
        if (isConstantLink(object)) return object
        if (object.SubLink && hasWindow([object.SubLink.testexpr])) return comparedLate(object.SubLink, told)
        return isNode(object, 'ColumnRef') || isSubquery(object) ? this.shipment.column(object) : undefined
      })
    return told(expression)
  }
}

/**
 * `max(x) IN (SELECT …)`: what is compared is finished, so the subquery is asked beside it.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED for a subquery whose answer differs by row
 */
export function comparedLate({ testexpr, ...rest }: SubLink, told: (tree: Node) => Node): Node {
  if (isConstantLink({ SubLink: rest })) return { SubLink: { ...rest, ...(testexpr && { testexpr: told(testexpr) }) } }
  throw unsupported('An aggregate or a window is compared with a subquery that depends on the row of the outer query.')
}

/** True for an expression that has to be computed where the rows are. */
export function needsRow(expression: unknown, functions: KnownFunctions): boolean {
  let found = false
  visit(expression, (object) => {
    if (isConstantLink(object)) return false
    // A volatile function is asked once a row, as often as there are rows.
    if ('ColumnRef' in object || isSubquery(object) || isVolatileNode(object, functions)) found = true
    return !found
  })
  return found
}

export const hasWindow = (trees: readonly unknown[]): boolean =>
  someNode(trees, (object) => windowOf(object) !== undefined, visitOwn)
