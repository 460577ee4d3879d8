import type { Node } from '@pgsql/types'
import { allConditions } from '../sql/statement-parts'

/**
 * What a condition implies of one table: of an AND the parts that are about the table alone, of an OR what its branches imply, where
 * each branch implies something. `(a.x = 1 AND b.y = 1) OR (a.x = 2 AND b.y = 2)` implies `a.x = 1 OR a.x = 2`, as PostgreSQL's
 * planner finds too.
 *
 * @param isAbout tells whether a condition is about the table alone
 * @returns undefined where it implies nothing
 */
export function impliedCondition(condition: Node, isAbout: (condition: Node) => boolean): Node | undefined {
  if (isAbout(condition)) return condition
  if (!('BoolExpr' in condition)) return undefined
  const { boolop, args = [] } = condition.BoolExpr
  const implied = args.flatMap((part) => impliedCondition(part, isAbout) ?? [])
  if (boolop === 'AND_EXPR') return allConditions(implied)
  if (boolop !== 'OR_EXPR' || implied.length < args.length) return undefined
  return { BoolExpr: { boolop, args: implied.flatMap(alternativesOf) } }
}

/** PostgreSQL reads `(a OR b) OR c` as one OR of three. */
const alternativesOf = (condition: Node): readonly Node[] =>
  'BoolExpr' in condition && condition.BoolExpr.boolop === 'OR_EXPR'
    ? (condition.BoolExpr.args ?? []).flatMap(alternativesOf)
    : [condition]
