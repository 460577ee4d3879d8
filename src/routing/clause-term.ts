import type { Node, RowExpr, SelectStmt } from '@pgsql/types'
import { outputName } from '../sql/output-name'
import { allOf, fieldsOf, namesOf, treeText } from '../sql/tree'
import type { Scope } from './scope'

/**
 * How PostgreSQL reads a bare name: in ORDER BY and DISTINCT ON it is an output's before it is a column's (`sql92`), in
 * GROUP BY a column's of the query's own FROM before it is an output's.
 */
export type TermRule = 'sql92' | 'group-by'

/** What a term of ORDER BY, DISTINCT ON or GROUP BY means. */
export interface ClauseTerm {
  readonly expression: Node
  /** The output that the term means, numbered from 1. */
  readonly ordinal: number | undefined
  /** The name is an output's, and may be a column's of a part of FROM whose columns are not known. */
  readonly isUnknown: boolean
}

/** A query with the scope that its names are read in. */
export interface ScopedQuery {
  readonly select: SelectStmt
  readonly scope: Pick<Scope, 'hasColumn'>
}

/** Reads one term. The terms of grouping sets are read one by one: `groupExpression`. */
export function clauseTerm(node: Node, { select, scope }: ScopedQuery, rule: TermRule): ClauseTerm {
  const at = (ordinal: number): ClauseTerm => {
    const output = targetAt(select, ordinal)
    return { expression: output ?? node, ordinal: output && ordinal, isUnknown: false }
  }
  if ('A_Const' in node) return at(node.A_Const.ival ? (node.A_Const.ival.ival ?? 0) : 0)
  const name = bareName(node)
  const [named] = name === undefined ? [] : outputsNamed(name, select)
  if (name !== undefined && named !== undefined) {
    const isColumn = rule === 'group-by' ? scope.hasColumn(name) : false
    const isSame = treeText(targetAt(select, named)) === treeText(node)
    if (isColumn === undefined && !isSame) return { expression: node, ordinal: undefined, isUnknown: true }
    if (!isColumn) return at(named)
  }
  // An expression that is written as an output is that output.
  return at(outputWritten(node, select))
}

/** What a term of GROUP BY means, the terms of grouping sets as well. */
export function groupExpression(
  node: Node,
  query: ScopedQuery,
  read: (term: ClauseTerm) => Node = ({ expression }) => expression,
): Node {
  const inner = (parts: readonly Node[] = []): Node[] => parts.map((part) => groupExpression(part, query, read))
  if ('GroupingSet' in node && node.GroupingSet.content)
    return { GroupingSet: { ...node.GroupingSet, content: inner(node.GroupingSet.content) } }
  if (isList(node)) return { RowExpr: { ...node.RowExpr, args: inner(node.RowExpr.args) } }
  return read(clauseTerm(node, query, 'group-by'))
}

/** `(a, b)` in GROUP BY is no row: it lists terms. */
export const isList = (node: Node): node is { RowExpr: RowExpr } =>
  'RowExpr' in node && node.RowExpr.row_format === 'COERCE_IMPLICIT_CAST'

/** The terms of a GROUP BY, those of its grouping sets as well. */
export function groupTerms(group: Node): readonly Node[] {
  if ('GroupingSet' in group) return (group.GroupingSet.content ?? []).flatMap(groupTerms)
  if (isList(group)) return (group.RowExpr.args ?? []).flatMap(groupTerms)
  return [group]
}

/** The terms of DISTINCT ON; none of a DISTINCT of whole rows, which has an empty node. */
export const distinctOnOf = ({ distinctClause = [] }: SelectStmt): readonly Node[] =>
  distinctClause.filter((node) => Object.keys(node).length > 0)

export const bareName = (node: Node): string | undefined => {
  const names = namesOf(fieldsOf(node, 'ColumnRef')?.fields) ?? []
  return names.length === 1 ? names[0] : undefined
}

/** The numbers, from 1, of the outputs of a name. An output without an alias has a name as well. */
export const outputsNamed = (name: string, { targetList }: SelectStmt): readonly number[] =>
  allOf(targetList, 'ResTarget').flatMap((output, index) =>
    (output.name ?? outputName(output.val)) === name ? [index + 1] : [],
  )

/** The number, from 1, of the first output that is written as an expression; 0 where none is. */
export function outputWritten(expression: Node, { targetList = [] }: Pick<SelectStmt, 'targetList'>): number {
  const text = treeText(expression)
  return targetList.findIndex((target) => 'ResTarget' in target && treeText(target.ResTarget.val) === text) + 1
}

/** What the output of a number, from 1, says. */
export const targetAt = ({ targetList }: SelectStmt, ordinal: number): Node | undefined =>
  fieldsOf(targetList?.[ordinal - 1], 'ResTarget')?.val
