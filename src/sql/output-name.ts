import type { Node, SelectStmt, SubLink } from '@pgsql/types'
import { leftmost } from './statement-parts'
import { fieldsOf, namesOf, replaceNodes, someNode } from './tree'

/** The name of the first column of a subquery, where only its tables tell: it is one of a `*`. */
export type StarName = (select: SelectStmt) => string | undefined

/**
 * The name that PostgreSQL gives to an output column without an alias (`FigureColname` in its parse_target.c).
 *
 * @example
 * outputName(parsed('count(*)')) // 'count'
 */
export function outputName(expression: Node | undefined, starName: StarName = () => undefined): string {
  return figure(expression, starName)?.name ?? '?column?'
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

const xmlFunctions: Readonly<Record<string, string>> = {
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
  IS_XMLSERIALIZE: 'xmlserialize',
}

const jsonFunctions: Readonly<Record<string, string>> = {
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
}

/** Nodes of the grammar that are always named alike. */
const ownNames: Readonly<Record<string, string>> = {
  MergeSupportFunc: 'merge_action',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonArrayAgg: 'json_arrayagg',
}

function figure(node: Node | undefined, starName: StarName): Figured | undefined {
  if (!node) return undefined
  if ('ColumnRef' in node) return strong(lastName(node.ColumnRef.fields))
  if ('A_Indirection' in node)
    return strong(lastName(node.A_Indirection.indirection)) ?? figure(node.A_Indirection.arg, starName)
  if ('FuncCall' in node) return strong(lastName(node.FuncCall.funcname))
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : undefined
  if ('TypeCast' in node) {
    const inner = figure(node.TypeCast.arg, starName)
    if (inner && !inner.isWeak) return inner
    const type = lastName(node.TypeCast.typeName?.names)
    return type === undefined ? inner : { name: type, isWeak: true }
  }
  if ('CollateClause' in node) return figure(node.CollateClause.arg, starName)
  if ('GroupingFunc' in node) return strong('grouping')
  if ('SubLink' in node) return figureSubLink(node.SubLink, starName)
  if ('CaseExpr' in node) {
    const inner = figure(node.CaseExpr.defresult, starName)
    return inner && !inner.isWeak ? inner : { name: 'case', isWeak: true }
  }
  if ('A_ArrayExpr' in node) return strong('array')
  if ('RowExpr' in node) return strong('row')
  if ('CoalesceExpr' in node) return strong('coalesce')
  if ('MinMaxExpr' in node) return strong(node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest')
  if ('XmlSerialize' in node) return strong('xmlserialize')
  if ('XmlExpr' in node) return strong(xmlFunctions[node.XmlExpr.op ?? ''])
  if ('JsonFuncExpr' in node) return strong(jsonFunctions[node.JsonFuncExpr.op ?? ''])
  const [tag = ''] = Object.keys(node)
  if (Object.hasOwn(ownNames, tag)) return strong(ownNames[tag])
  if ('SQLValueFunction' in node) return strong(valueFunctions[node.SQLValueFunction.op ?? ''])
  return undefined
}

function figureSubLink(link: SubLink, starName: StarName): Figured | undefined {
  if (link.subLinkType === 'EXISTS_SUBLINK') return strong('exists')
  if (link.subLinkType === 'ARRAY_SUBLINK') return strong('array')
  if (link.subLinkType !== 'EXPR_SUBLINK' || !link.subselect || !('SelectStmt' in link.subselect)) return undefined
  const { targetList, valuesLists } = leftmost(link.subselect.SelectStmt)
  if (valuesLists) return strong('column1')
  const { name, val } = fieldsOf(targetList?.[0], 'ResTarget') ?? {}
  return (
    strong(name) ?? strong(starName(link.subselect.SelectStmt)) ?? (isStar(val) ? undefined : figure(val, starName))
  )
}

/** The last name in a path, past subscripts and stars. */
function lastName(nodes: readonly Node[] | undefined): string | undefined {
  const names = (nodes ?? []).filter((node) => 'String' in node)
  return namesOf(names)?.at(-1)
}

/** True for `*`, `alias.*` and `(expression).*`. */
export function isStar(node: Node | undefined): node is Node {
  const fields = fieldsOf(node, 'ColumnRef')?.fields ?? fieldsOf(node, 'A_Indirection')?.indirection
  return fieldsOf(fields?.at(-1), 'A_Star') !== undefined
}

/** True for a query that gives a star. */
export const hasStar = ({ targetList = [] }: SelectStmt): boolean =>
  targetList.some((node) => 'ResTarget' in node && isStar(node.ResTarget.val))

/**
 * A query whose outputs say the names that they have from a `*` of a subquery: `SELECT (SELECT * FROM c)`. What is made of the
 * subquery no longer tells them.
 */
export function withStarNames<T>(statement: T, starName: StarName): T {
  if (!isNamedByStar(statement, starName)) return statement
  return replaceNodes(statement, (object) => {
    const { targetList, ...rest } = object
    if (!Array.isArray(targetList) || !targetList.some((target) => isUnnamed(target, starName))) return undefined
    return {
      ...withStarNames(rest, starName),
      targetList: targetList.map((target: Node) => withStarNames(named(target, starName), starName)),
    }
  })
}

function named(target: Node, starName: StarName): Node {
  if (!isUnnamed(target, starName) || !('ResTarget' in target)) return target
  return { ResTarget: { ...target.ResTarget, name: outputName(target.ResTarget.val, starName) } }
}

const isUnnamed = (target: Node, starName: StarName): boolean =>
  'ResTarget' in target && target.ResTarget.name === undefined && isNamedByStar(target.ResTarget.val, starName)

const isNamedByStar = (tree: unknown, starName: StarName): boolean =>
  someNode(tree, ({ SelectStmt: select }) => select !== undefined && starName(select) !== undefined)
