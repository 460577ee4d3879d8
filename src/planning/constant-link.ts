import type { ColumnRef } from '@pgsql/types'
import { isRangeVar, type TreeObject, visit } from '../sql/tree'
import { isShippedName } from './ship-answer'

/**
 * True for a subquery that reads nothing but rows which were shipped to where it runs, and names no column of a query around
 * it: it says the same of every row, and of none.
 */
export function isConstantLink({ SubLink: link }: TreeObject): boolean {
  if (!link) return false
  let isConstant = true
  visit([link.testexpr, link.subselect], (part) => {
    const { ColumnRef: column } = part
    if (isRangeVar(part) && (part.schemaname !== undefined || !isShippedName(part.relname ?? ''))) isConstant = false
    if (column && !isBareStar(column)) isConstant = false
    return isConstant
  })
  return isConstant
}

function isBareStar({ fields = [] }: ColumnRef): boolean {
  const [field] = fields
  return fields.length === 1 && field !== undefined && 'A_Star' in field
}
