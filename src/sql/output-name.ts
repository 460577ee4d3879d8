import type { Node } from '@pgsql/types'
import { namesOf } from './tree'

/**
 * The name that PostgreSQL gives to an output column without an alias (`FigureColname` in its parse_target.c).
 *
 * @example
 * outputName(parsed('count(*)')) // 'count'
 */
export function outputName(expression: Node | undefined): string {
  return figure(expression)?.name ?? '?column?'
}

interface Figured {
  readonly name: string
  /** A cast's own name yields to what is cast. */
  readonly isWeak: boolean
}

const strong = (name: string | undefined): Figured | undefined =>
  name === undefined ? undefined : { name, isWeak: false }

const valueFunctions: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_CURRENT_TIME_N: 'current_time',
  SVFOP_CURRENT_TIMESTAMP: 'current_timestamp',
  SVFOP_CURRENT_TIMESTAMP_N: 'current_timestamp',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIME_N: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
  SVFOP_LOCALTIMESTAMP_N: 'localtimestamp',
  SVFOP_CURRENT_ROLE: 'current_role',
  SVFOP_CURRENT_USER: 'current_user',
  SVFOP_USER: 'user',
  SVFOP_SESSION_USER: 'session_user',
  SVFOP_CURRENT_CATALOG: 'current_catalog',
  SVFOP_CURRENT_SCHEMA: 'current_schema',
}

function figure(node: Node | undefined): Figured | undefined {
  if (!node) return undefined
  if ('ColumnRef' in node) return strong(lastName(node.ColumnRef.fields))
  if ('A_Indirection' in node) return strong(lastName(node.A_Indirection.indirection)) ?? figure(node.A_Indirection.arg)
  if ('FuncCall' in node) return strong(lastName(node.FuncCall.funcname))
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : undefined
  if ('TypeCast' in node) {
    const inner = figure(node.TypeCast.arg)
    if (inner && !inner.isWeak) return inner
    const type = lastName(node.TypeCast.typeName?.names)
    return type === undefined ? inner : { name: type, isWeak: true }
  }
  if ('CollateClause' in node) return figure(node.CollateClause.arg)
  if ('GroupingFunc' in node) return strong('grouping')
  if ('SubLink' in node) return figureSubLink(node.SubLink)
  if ('CaseExpr' in node) {
    const inner = figure(node.CaseExpr.defresult)
    return inner && !inner.isWeak ? inner : { name: 'case', isWeak: true }
  }
  if ('A_ArrayExpr' in node) return strong('array')
  if ('RowExpr' in node) return strong('row')
  if ('CoalesceExpr' in node) return strong('coalesce')
  if ('MinMaxExpr' in node) return strong(node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest')
  if ('SQLValueFunction' in node) return strong(valueFunctions[node.SQLValueFunction.op ?? ''])
  return undefined
}

function figureSubLink(link: Extract<Node, { SubLink: unknown }>['SubLink']): Figured | undefined {
  if (link.subLinkType === 'EXISTS_SUBLINK') return strong('exists')
  if (link.subLinkType === 'ARRAY_SUBLINK') return strong('array')
  if (link.subLinkType !== 'EXPR_SUBLINK' || !link.subselect || !('SelectStmt' in link.subselect)) return undefined
  const [target] = link.subselect.SelectStmt.targetList ?? []
  if (!target || !('ResTarget' in target)) return undefined
  return strong(target.ResTarget.name) ?? figure(target.ResTarget.val)
}

/** The last name in a path, past subscripts and stars. */
function lastName(nodes: readonly Node[] | undefined): string | undefined {
  const names = (nodes ?? []).filter((node) => 'String' in node)
  return namesOf(names)?.at(-1)
}
