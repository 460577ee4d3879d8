import type { Node } from '@pgsql/types'
import { hasVolatile, type KnownFunctions } from '../routing/known-functions'
import { columnNode, integerConstant, targetNode } from '../sql/nodes'
import { namesOf, treeText } from '../sql/tree'

/** The CTE of the rows that the shards give to the outer half of a query. */
export const shipped = '__shipped__'

/** The columns that the shards give, each expression once. A volatile one is another value wherever it is written. */
export class Shipment {
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
    const list = this.expressions.length > 0 ? this.expressions : [integerConstant(1)]
    return list.map((expression, index) => targetNode(expression, `c${index}`))
  }
}

/** The name of a shipped column as an output of the inner half; undefined for what says the same of every row. */
export function bareShipped(node: Node): Node | undefined {
  const [table, name] = ('ColumnRef' in node && namesOf(node.ColumnRef.fields)) || []
  return table === shipped && name !== undefined ? columnNode(name) : undefined
}
