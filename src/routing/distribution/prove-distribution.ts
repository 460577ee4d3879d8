import { isTreeObject, type TreeObject } from '../../sql/tree'
import type { KnownFunctions } from '../known-functions'
import type { Problem } from '../problem'
import { distributionOf } from './distribution-table'
import { functionProblem, operatorProblem } from './prove-function'

/**
 * Visits every node of a statement by the table of distribution, and says what in it is not proven to run shard by shard.
 * A node, or a field of a node, that the table does not know is not.
 *
 * @param skipped objects that are run by themselves, and so are proven by themselves
 */
export function distributionProblems(
  statement: unknown,
  functions: KnownFunctions,
  skipped: ReadonlySet<unknown>,
): readonly Problem[] {
  const problems: Problem[] = []
  const refuse = (text: string) => problems.push({ code: 'STATEMENT_UNSUPPORTED', text })
  const nodes = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) nodes(item)
    if (!isTreeObject(value) || Array.isArray(value)) return
    // An empty object stands for nothing: DISTINCT without ON has one.
    for (const [tag, part] of Object.entries(value)) look(tag, part)
  }
  const look = (tag: string, object: unknown): void => {
    if (!isTreeObject(object) || skipped.has(object)) return
    const entry = distributionOf(tag)
    if (!entry) return void refuse(`${tag} is not known to run over shards.`)
    if (entry.rule === 'refused') return void refuse(`${entry.sql}: ${entry.says}`)
    const wrapper: unknown = { [tag]: object }
    const problem = isTreeObject(wrapper) ? problemOf(wrapper, functions) : undefined
    if (problem) refuse(problem)
    for (const [field, value] of Object.entries(object)) {
      const kind = entry.fields[field]
      if (kind === undefined) refuse(`${field} of ${entry.sql} is not known to run over shards.`)
      else if (kind === 'nodes') nodes(value)
      else if (kind !== 'value') for (const one of Array.isArray(value) ? value : [value]) look(kind, one)
    }
  }
  nodes(statement)
  return problems
}

function problemOf({ FuncCall: call, A_Expr: operation }: TreeObject, functions: KnownFunctions): string | undefined {
  if (call) return functionProblem(call, functions)
  return operation && operatorProblem(operation, functions)
}
