import type { Node } from '@pgsql/types'
import { namesOf, type TreeObject, visit } from '../sql/tree'
import { writtenText } from '../sql/written-text'
import { nameOfCall } from './known-functions'
import type { ShardedTable } from './table-catalog'

/** Texts that PostgreSQL reads, as a time, for the moment or for a day near it. */
export const relativeTime = /\b(?:now|today|tomorrow|yesterday)\b/i

const times = new Set(['date', 'timestamp', 'timestamptz', 'time', 'timetz'])
const timeRanges = new Set(['daterange', 'tsrange', 'tstzrange', 'datemultirange', 'tsmultirange', 'tstzmultirange'])

/** True for a cast, or a call of a type's name, that reads such a text as a time. */
export function readsRelativeTime(object: TreeObject, parameters: readonly unknown[]): boolean {
  const read = castOf(object)
  const text = read && writtenText(read, parameters)
  return text !== undefined && relativeTime.test(text)
}

function castOf({ TypeCast: cast, FuncCall: call }: TreeObject): Node | undefined {
  if (cast?.typeName) {
    const type = namesOf(cast.typeName.names)?.at(-1) ?? ''
    return times.has(type) || timeRanges.has(type) ? cast.arg : undefined
  }
  if (!call || !times.has(nameOfCall(call))) return undefined
  const [arg, another] = call.args ?? []
  return another ? undefined : arg
}

/**
 * The texts of that kind that a column makes times of: they are stored in it, or compared with it.
 *
 * @param tables that the statement names
 * @returns the nodes, each with the type of its column
 */
export function timesOfColumns(
  statement: Node,
  tables: readonly ShardedTable[],
  parameters: readonly unknown[],
): ReadonlyMap<unknown, string> {
  const found = new Map<unknown, string>()
  const typeOf = (name: string | undefined, among = tables): string | undefined =>
    among.map(({ columns }) => columns.get(name ?? '')?.timeType).find((type) => type !== undefined)
  const note = (node: Node | undefined, type: string | undefined): void => {
    if (type === undefined || !node || 'TypeCast' in node) return
    if ('List' in node) for (const item of node.List.items ?? []) note(item, type)
    const text = writtenText(node, parameters)
    if (text !== undefined && relativeTime.test(text)) found.set(node, type)
  }
  const set = (targets: readonly Node[] = []): void => {
    for (const target of targets) if ('ResTarget' in target) note(target.ResTarget.val, typeOf(target.ResTarget.name))
  }
  if ('UpdateStmt' in statement) set(statement.UpdateStmt.targetList)
  if ('InsertStmt' in statement) {
    const { relation, cols, selectStmt, onConflictClause } = statement.InsertStmt
    const table = tables.filter(({ name }) => name === relation?.relname)
    const names =
      cols?.map((node) => ('ResTarget' in node ? node.ResTarget.name : undefined)) ??
      table.flatMap(({ columns }) => [...columns.keys()])
    const { valuesLists, targetList = [] } = (selectStmt && 'SelectStmt' in selectStmt && selectStmt.SelectStmt) || {}
    const selected = targetList.map((node) => ('ResTarget' in node ? node.ResTarget.val : undefined))
    const rows = valuesLists?.map((row) => ('List' in row ? (row.List.items ?? []) : [])) ?? [selected]
    for (const row of rows) for (const [index, value] of row.entries()) note(value, typeOf(names[index], table))
    set(onConflictClause?.targetList)
  }
  visit(statement, ({ A_Expr: operation }) => {
    const sides = [operation?.lexpr, operation?.rexpr]
    for (const [index, side] of sides.entries())
      if (side && 'ColumnRef' in side) note(sides[1 - index], typeOf(namesOf(side.ColumnRef.fields)?.at(-1)))
    return undefined
  })
  return found
}
