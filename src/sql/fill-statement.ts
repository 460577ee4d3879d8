import type { Node } from '@pgsql/types'
import { parseStatement } from './parse-statement'
import { replaceNodes } from './tree'

/**
 * Parses a text of ours and puts nodes in the places of some of its parameters; the others stay as they are.
 *
 * @param nodes by number of parameter
 */
export function fillStatement(text: string, nodes: ReadonlyMap<number, Node>): Node {
  const [statement] = parseStatement(text)?.statements ?? []
  if (!statement) throw new RangeError(`This is no SQL: ${text}`)
  return replaceNodes(statement, ({ ParamRef: found }) => found && nodes.get(found.number ?? 0))
}
