import type { TableName } from './ruled-tables'

/** Names that were lost on a server without our doing, after which it is taken for a pooler's. */
const lostBefore = 3

/**
 * What the connections of one node know of its prepared statements together: that plans have gone stale, which one of them has
 * found and the others would find, and that names do not hold, since a pooler gives each transaction another session.
 */
export class NamedPlans {
  /** Grows when plans have gone stale: who has names of before forgets them. */
  generation = 0
  private lost = 0
  private ruled: readonly string[] = []
  private isOff = false

  constructor(
    private readonly node: string,
    private readonly max: number,
    private readonly warn: (text: string) => void,
  ) {}

  /** Named statements per connection; 0: none. */
  get maxPrepared(): number {
    return this.isOff ? 0 : this.max
  }

  /** Takes note of the tables of the node that have rules. */
  noteRules(tables: readonly TableName[]): void {
    this.ruled = tables.map(({ name }) => name)
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
    if (this.isOff || (!isProof && this.lost < lostBefore)) return
    this.isOff = true
    this.warn(
      `Node ${this.node}: prepared statements were mixed up between sessions, as by a pooler in transaction mode. Statements are no longer named there; set preparedStatements to false.`,
    )
  }
}
