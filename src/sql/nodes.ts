import type { Node, SelectStmt, SortBy } from '@pgsql/types'

/** Makers of the few nodes that plans are built of. */

export const stringNode = (sval: string): Node => ({ String: { sval } })

export const columnNode = (...names: readonly string[]): Node => ({ ColumnRef: { fields: names.map(stringNode) } })

export const targetNode = (val: Node, name: string): Node => ({ ResTarget: { name, val } })

export const integerConstant = (ival: number): Node => ({ A_Const: { ival: ival === 0 ? {} : { ival } } })

export const trueConstant = (): Node => ({ A_Const: { boolval: { boolval: true } } })

export const functionNode = (name: string, ...args: readonly Node[]): Node => ({
  FuncCall: {
    funcname: [stringNode(name)],
    ...(args.length > 0 && { args: [...args] }),
    funcformat: 'COERCE_EXPLICIT_CALL',
  },
})

export const sortNode = (node: Node, like?: Pick<SortBy, 'sortby_dir' | 'sortby_nulls'>): Node => ({
  SortBy: {
    node,
    sortby_dir: like?.sortby_dir ?? 'SORTBY_DEFAULT',
    sortby_nulls: like?.sortby_nulls ?? 'SORTBY_NULLS_DEFAULT',
  },
})

export const selectNode = (parts: SelectStmt): SelectStmt => ({
  limitOption: 'LIMIT_OPTION_DEFAULT',
  op: 'SETOP_NONE',
  ...parts,
})

/** DISTINCT without ON: an empty node, which the types of nodes do not know. */
export const distinctRows = (): Node[] => [{} as Node]

/** @param type a name of `pg_catalog`: int8, numeric, float8 … */
export const typeCast = (arg: Node, type: string): Node => ({
  TypeCast: { arg, typeName: { names: [stringNode('pg_catalog'), stringNode(type)], typemod: -1 } },
})

export const operatorNode = (operator: string, lexpr: Node, rexpr: Node): Node => ({
  A_Expr: { kind: 'AEXPR_OP', name: [stringNode(operator)], lexpr, rexpr },
})

/** `value = ANY (array)` */
export const anyOf = (value: Node, array: Node): Node => ({
  A_Expr: { kind: 'AEXPR_OP_ANY', name: [stringNode('=')], lexpr: value, rexpr: array },
})
