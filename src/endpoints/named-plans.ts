import type { TableName } from './node-facts'
import { sqlState } from './sql-state'
import { isWitnessRefusal } from './witnessed-text'

/** Names that were lost on a server without our doing, after which it is taken for a pooler's. */
const lostBefore = 3

/**
 * What the connections of one node know of its prepared statements together: that plans have gone stale, which one of them has
 * found and the others would find, and that names do not hold, since a pooler gives each transaction another session.
 */
export class NamedPlans {
  /** Grows when plans have gone stale: who has names of before forgets them. */
  generation = 0
  /** Named statements per connection; 0: none. */
  maxPrepared: number
  private lost = 0
  private ruled: readonly string[] = []

  constructor(
    private readonly node: string,
    max: number,
    private readonly warn: (text: string) => void,
  ) {
    this.maxPrepared = max
  }

  /** Takes note of the tables of the node that have rules. */
  noteRules(tables: readonly TableName[]): void {
    this.ruled = tables.flatMap(({ name, hasRules }) => (hasRules === false ? [] : name))
  }

  /** True if a text may name a table that has a rule: PostgreSQL takes no WITH beside most rules. */
  mayBeRewritten(text: string): boolean {
    return this.ruled.some((name) => text.includes(name))
  }

  goneStale(): void {
    this.generation += 1
  }

  /** A server does not know a name that was given to it, or knows one that was not. */
  mixedUp(isProof: boolean): void {
    this.lost += 1
    this.generation += 1
    if (this.maxPrepared === 0 || (!isProof && this.lost < lostBefore)) return
    this.maxPrepared = 0
    this.warn(
      `Node ${this.node}: prepared statements were mixed up between sessions, as by a pooler in transaction mode. Statements are no longer named there; set preparedStatements to false.`,
    )
  }
}

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
