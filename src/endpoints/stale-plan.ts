import { sqlState } from './sql-state'
import { isWitnessRefusal } from './witnessed-text'

/**
 * Why a named statement has not run: `stale`, its plan was made for tables or types that are no longer; `lost`, the session
 * does not know its name; `taken`, the session has that name from somebody else; `doubtful`, either its plan or parameters
 * are stale, or the statement and its values are a mistake.
 */
export type PlanProblem = 'stale' | 'lost' | 'taken' | 'doubtful'

/**
 * What an error says of a named statement; undefined for any other error.
 *
 * @param isBound the server has taken the statement's values, and may have run some of it
 */
export function stalePlan(error: unknown, isBound: boolean): PlanProblem | undefined {
  return knownProblem(error) ?? (!isBound && mayBeStale.test(sqlState(error) ?? '') ? 'doubtful' : undefined)
}

/**
 * The server reads values as the types that the parameters had, before it looks whether the plan is stale: data (22), a domain (23, or
 * P0 by a function of its own). Then it parses the statement again: names and types (42, 3F), features (0A).
 */
const mayBeStale = /^(?:0A|22|23|3F|42|P0)/

function knownProblem(error: unknown): PlanProblem | undefined {
  if (!(error instanceof Error)) return undefined
  switch (sqlState(error)) {
    case '26000':
      return 'lost'
    case '42P05':
      return 'taken'
    case '0A000':
      return error.message.includes('cached plan') ? 'stale' : undefined
    case '42883':
      return isWitnessRefusal(error) ? 'stale' : undefined
    // A type that was replaced: "cache lookup failed for type 16452".
    case 'XX000':
      return error.message.includes('cache lookup failed') ? 'stale' : undefined
    default:
      return undefined
  }
}
