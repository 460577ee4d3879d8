import { Remembered } from '../collections/remembered'
import type { RowDescription } from './row-description'

/** How many texts a connection remembers to have seen once, per statement it may keep prepared. */
const candidatesPerStatement = 4

/** Longer parameter lists belong to bulk statements, whose texts rarely come back. */
const maxParametersToPrepare = 512

/** How a statement is sent by name. */
export interface StatementName {
  readonly name: string
  /** A name that the caller must deallocate on the server first. */
  readonly evicted?: string
  /** What its rows are like, once it has run. */
  description?: RowDescription | undefined
}

/**
 * Which statements of one connection are named: a bounded number. A text is prepared when it is seen for the second time,
 * so that texts that come once (literals in user SQL, bulk inserts) never push out those that come often, and a working
 * set larger than the bound degrades to plain statements instead of preparing and dropping in turn.
 */
export class PreparedStatements {
  private readonly names: Remembered<StatementName>
  private readonly candidates: Remembered<true>
  private counter = 0

  constructor(private readonly max: number) {
    this.names = new Remembered({ maxWeight: max })
    this.candidates = new Remembered({ maxWeight: max * candidatesPerStatement })
  }

  /** The name under which to send `text`; undefined: send it unnamed. */
  nameFor(text: string, parameterCount: number): StatementName | undefined {
    // First, so that the text of a bulk statement is not even hashed.
    if (this.max === 0 || parameterCount > maxParametersToPrepare) return undefined
    const known = this.names.get(text)
    if (known) return known
    if (!isPreparable(text) || mayBeSeveral(text)) return undefined
    if (!this.candidates.delete(text)) {
      this.candidates.set(text, true)
      return undefined
    }
    const named = { name: `ts_${++this.counter}` }
    const [evicted] = this.names.set(text, named)
    return evicted ? { ...named, evicted: evicted.name } : named
  }

  /** Forgets all names: after DEALLOCATE ALL. */
  clear(): void {
    this.names.clear()
  }

  get size(): number {
    return this.names.size
  }
}

/** Statements that a plan can be kept for; utility statements (BEGIN, TRUNCATE, DDL) have none. */
function isPreparable(text: string): boolean {
  return /^(?:\s|\(|\/\*[\s\S]*?\*\/)*(?:select|insert|update|delete|with)\b/i.test(text)
}

/** PostgreSQL prepares one at a time. A semicolon in a literal counts too: such a text is sent plainly, which is right as well. */
const mayBeSeveral = (text: string): boolean => /;\s*\S/.test(text)
