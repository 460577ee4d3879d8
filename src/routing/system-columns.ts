import type { ColumnRef, Node } from '@pgsql/types'
import { fieldsOf, namesOf, type TreeObject } from '../sql/tree'
import type { Scope } from './scope'

/** Columns that every table has: where a row lies in its file, and which transactions of its server wrote it. */
const systemColumns = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])

/** True for a system column; a column that a part of FROM gives under the same name is none. */
export function isSystemColumn({ fields }: ColumnRef, scope: Scope): boolean {
  const names = namesOf(fields) ?? []
  const [name = '', alias] = [...names].reverse()
  if (!systemColumns.has(name)) return false
  for (let around: Scope | undefined = scope; around; around = around.parent) {
    const item = alias === undefined ? undefined : around.item(alias)
    if (item) return !item.columns?.some((one) => one.name === name)
    if (alias === undefined && (around.hasColumn(name) || around.item(name))) return false
  }
  return true
}

/** `xmax = 0`, by which a RETURNING tells a new row from an updated one: it says the same on every shard. */
export function asksForNewRow({ A_Expr: operation }: TreeObject): boolean {
  const [name] = namesOf(operation?.name) ?? []
  const sides = [operation?.lexpr, operation?.rexpr]
  const isXmax = (side: Node | undefined) => namesOf(fieldsOf(side, 'ColumnRef')?.fields)?.at(-1) === 'xmax'
  // The parser leaves a zero out.
  const isZero = (side: Node | undefined) => {
    const { ival } = fieldsOf(side, 'A_Const') ?? {}
    return ival !== undefined && !ival.ival
  }
  return (name === '=' || name === '<>') && sides.some(isXmax) && sides.some(isZero)
}
