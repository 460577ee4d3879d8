import { isTreeObject, type TreeObject, visit } from '../sql/tree'
import { isShippedName } from './ship-answer'

/**
 * True for a subquery that reads nothing but rows which were shipped to where it runs, and names no column of a query around
 * it: it says the same of every row, and of none.
 */
export function isConstantLink(object: TreeObject): boolean {
  const link = object['SubLink']
  if (!isTreeObject(link)) return false
  let isConstant = true
  visit([link['testexpr'], link['subselect']], (part) => {
    const { relname } = part
    if (typeof relname === 'string' && !(part['schemaname'] === undefined && isShippedName(relname))) isConstant = false
    const column = part['ColumnRef']
    if (isTreeObject(column) && !isBareStar(column)) isConstant = false
    return isConstant
  })
  return isConstant
}

function isBareStar(column: TreeObject): boolean {
  const fields = column['fields']
  return Array.isArray(fields) && fields.length === 1 && isTreeObject(fields[0]) && 'A_Star' in fields[0]
}
