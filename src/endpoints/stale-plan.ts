import { sqlState } from './sql-state'

/**
 * Why a named statement has not run: `stale`, its plan was made for tables or types that are no longer; `lost`, the session
 * does not know its name; `taken`, the session has that name from somebody else.
 */
export type PlanProblem = 'stale' | 'lost' | 'taken'

/** What an error says of a named statement; undefined for any other error. */
export function stalePlan(error: unknown): PlanProblem | undefined {
  if (!(error instanceof Error)) return undefined
  switch (sqlState(error)) {
    case '26000':
      return 'lost'
    case '42P05':
      return 'taken'
    case '0A000':
      return error.message.includes('cached plan') ? 'stale' : undefined
    // A type that was replaced: "cache lookup failed for type 16452".
    case 'XX000':
      return error.message.includes('cache lookup failed') ? 'stale' : undefined
    default:
      return undefined
  }
}
