import type { TreeObject } from '../../src/sql/tree'
import { allOf, isNode, namesOf, visit } from '../../src/sql/tree'

/** What Citus does with a table. */
export type Placement =
  | { readonly kind: 'reference' }
  | { readonly kind: 'distributed'; readonly column: string; readonly colocatedWith: string | undefined }

/** A call that places a table: `undefined` where the table goes back to one place. */
export interface PlacementCall {
  readonly table: string
  readonly placement: Placement | undefined
}

const textOf = (node: TreeObject): string | undefined => {
  if (isNode(node, 'TypeCast')) return node.TypeCast.arg && textOf(node.TypeCast.arg)
  return isNode(node, 'A_Const') ? node.A_Const.sval?.sval : undefined
}

/** The calls of Citus' functions that place tables, in a statement's tree. */
export function placementCalls(tree: unknown): readonly PlacementCall[] {
  const calls: PlacementCall[] = []
  visit(tree, (object) => {
    if (!isNode(object, 'FuncCall')) return
    const call = object.FuncCall
    const name = namesOf(call.funcname)?.at(-1) ?? ''
    const named = new Map(
      allOf(call.args, 'NamedArgExpr').map(({ name: key, arg }) => [key, arg && textOf(arg)] as const),
    )
    const [first, second, third] = (call.args ?? []).map((arg) => textOf(arg))
    const table = first ?? named.get('table_name') ?? named.get('relation')
    if (table === undefined) return
    const column = second ?? named.get('distribution_column')
    if (name === 'create_reference_table') calls.push({ table, placement: { kind: 'reference' } })
    else if (name === 'undistribute_table') calls.push({ table, placement: undefined })
    else if (/^(?:master_)?create_distributed_table(?:_concurrently)?$/.test(name) && column !== undefined) {
      // A table that is not distributed by hash has shards of its own.
      const isHash = ['hash', undefined].includes(third ?? named.get('distribution_type'))
      const colocatedWith = isHash ? named.get('colocate_with') : 'none'
      calls.push({ table, placement: { kind: 'distributed', column, colocatedWith } })
    }
  })
  return calls
}
