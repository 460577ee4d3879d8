import type { SelectStmt } from '@pgsql/types'
import { withCtes } from '../sql/ctes'

/** True for a side of a set operation whose own sides are read each by itself: no page of it is cut before. */
export const isOfSides = ({ larg, limitCount, limitOffset, sortClause, withClause }: SelectStmt): boolean =>
  larg !== undefined && !limitCount && !limitOffset && !sortClause && !withClause

/** A side with the queries that all sides may name. */
export const withSharedCtes = (side: SelectStmt, { withClause }: Pick<SelectStmt, 'withClause'>): SelectStmt =>
  withClause ? withCtes(side, withClause) : side

/** The queries of a set operation that are read each by itself, from left to right. */
export function setSides(whole: SelectStmt): readonly SelectStmt[] {
  const sidesOf = (select: SelectStmt | undefined): readonly SelectStmt[] => {
    if (!select) throw new RangeError('A set operation has two sides.')
    return isOfSides(select) ? [...sidesOf(select.larg), ...sidesOf(select.rarg)] : [withSharedCtes(select, whole)]
  }
  return [...sidesOf(whole.larg), ...sidesOf(whole.rarg)]
}
