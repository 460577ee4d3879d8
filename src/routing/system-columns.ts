import type { Node } from '@pgsql/types'
import { isTreeObject, namesOf, type TreeObject } from '../sql/tree'
import type { Scope } from './scope'

/** Columns that every table has: where a row lies in its file, and which transactions of its server wrote it. */
const systemColumns = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])

/** True for a system column; a column that a part of FROM gives under the same name is none. */
export function isSystemColumn(column: TreeObject, scope: Scope): boolean {
  const names = namesOf(column['fields'] as Node[] | undefined) ?? []
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
export function asksForNewRow(object: TreeObject): boolean {
  const { A_Expr: operation } = object
  if (!isTreeObject(operation)) return false
  const [name] = namesOf(operation['name'] as Node[] | undefined) ?? []
  const sides = [operation['lexpr'], operation['rexpr']] as readonly (Node | undefined)[]
  const isXmax = (side: Node | undefined) =>
    side !== undefined && 'ColumnRef' in side && namesOf(side.ColumnRef.fields)?.at(-1) === 'xmax'
  const isZero = (side: Node | undefined) =>
    side !== undefined && 'A_Const' in side && side.A_Const.ival !== undefined && !side.A_Const.ival.ival
  return (name === '=' || name === '<>') && sides.some(isXmax) && sides.some(isZero)
}
