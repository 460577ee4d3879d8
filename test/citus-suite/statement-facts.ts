import type { Node, RangeVar } from '@pgsql/types'
import { fieldsOf, isNode, isRangeVar, namesOf, visit } from '../../src/sql/tree'

/** What is to be known of a statement before it is compared. */
export interface StatementFacts {
  readonly kind: 'select' | 'modifying WITH' | 'insert … select' | 'other'
  readonly relations: readonly RangeVar[]
  /** Names of WITH, which may hide tables. */
  readonly withNames: ReadonlySet<string>
  /** The tables that it writes. */
  readonly targets: readonly RangeVar[]
  /** The columns of the first INSERT's list; undefined without one. */
  readonly insertColumns: readonly string[] | undefined
  readonly functions: readonly string[]
}

const writes = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'] as const

/** Reads what a statement's tree says. */
export function statementFacts(statement: Node): StatementFacts {
  const relations: RangeVar[] = []
  const targets: RangeVar[] = []
  const withNames = new Set<string>()
  const functions = new Set<string>()
  visit(statement, (object) => {
    if (isRangeVar(object)) relations.push(object)
    if (isNode(object, 'CommonTableExpr')) withNames.add(object.CommonTableExpr.ctename ?? '')
    if (isNode(object, 'FuncCall')) functions.add(namesOf(object.FuncCall.funcname)?.at(-1) ?? '')
    for (const tag of writes) {
      const relation = fieldsOf(object, tag)?.relation
      if (relation) targets.push(relation)
    }
  })
  const insert = isNode(statement, 'InsertStmt') ? statement.InsertStmt : undefined
  return {
    kind: kindOf(statement, targets.length),
    relations,
    withNames,
    targets,
    insertColumns: insert?.cols?.flatMap((node) => (isNode(node, 'ResTarget') ? (node.ResTarget.name ?? '') : [])),
    functions: [...functions],
  }
}

function kindOf(statement: Node, written: number): StatementFacts['kind'] {
  if (isNode(statement, 'SelectStmt')) {
    if (statement.SelectStmt.intoClause) return 'other'
    return written > 0 ? 'modifying WITH' : 'select'
  }
  const source = isNode(statement, 'InsertStmt') ? statement.InsertStmt.selectStmt : undefined
  return source && isNode(source, 'SelectStmt') && !source.SelectStmt.valuesLists ? 'insert … select' : 'other'
}

/** Statements that make what a node needs before it can run the script's statements. */
const definitionTags = new Set([
  'CreateFunctionStmt',
  'CreateEnumStmt',
  'AlterEnumStmt',
  'CompositeTypeStmt',
  'CreateDomainStmt',
  'CreateRangeStmt',
  'DefineStmt',
  'CreateExtensionStmt',
  'CreateCastStmt',
  'CreateOpClassStmt',
  'CreateOpFamilyStmt',
])

/** Whether a statement makes a type, a function, an operator or the like. */
export const isDefinition = (statement: Node): boolean => definitionTags.has(Object.keys(statement)[0] ?? '')
