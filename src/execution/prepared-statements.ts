/** How many texts a connection remembers to have seen once, per statement it may keep prepared. */
const candidatesPerStatement = 4

/** Longer parameter lists belong to bulk statements, whose texts rarely come back. */
const maxParametersToPrepare = 512

/**
 * Which statements of one connection are named: a bounded LRU. A text is prepared when it is seen for the second time,
 * so that texts that come once (literals in user SQL, bulk inserts) never push out those that come often, and a working
 * set larger than the bound degrades to plain statements instead of preparing and dropping in turn.
 */
export class PreparedStatements {
  private readonly names = new Map<string, string>()
  private readonly candidates = new Set<string>()
  private counter = 0

  constructor(private readonly max: number) {}

  /**
   * The name under which to send `text`; undefined: send it unnamed.
   * `evicted` is a name that the caller must deallocate on the server first.
   */
  nameFor(text: string, parameterCount: number): { readonly name: string; readonly evicted?: string } | undefined {
    const known = this.names.get(text)
    if (known !== undefined) {
      this.names.delete(text)
      this.names.set(text, known)
      return { name: known }
    }
    if (this.max === 0 || parameterCount > maxParametersToPrepare || !isPreparable(text)) return undefined
    if (!this.candidates.delete(text)) {
      this.candidates.add(text)
      if (this.candidates.size > this.max * candidatesPerStatement) this.forgetOldestCandidate()
      return undefined
    }
    const name = `ts_${++this.counter}`
    const evicted = this.names.size >= this.max ? this.evictOldest() : undefined
    this.names.set(text, name)
    return evicted === undefined ? { name } : { name, evicted }
  }

  /** Forgets all names: after DEALLOCATE ALL. */
  clear(): void {
    this.names.clear()
  }

  get size(): number {
    return this.names.size
  }

  private evictOldest(): string | undefined {
    for (const [text, name] of this.names) {
      this.names.delete(text)
      return name
    }
    return undefined
  }

  private forgetOldestCandidate(): void {
    for (const text of this.candidates) {
      this.candidates.delete(text)
      return
    }
  }
}

/** Statements that a plan can be kept for; utility statements (BEGIN, TRUNCATE, DDL) have none. */
function isPreparable(text: string): boolean {
  return /^(?:\s|\(|\/\*[\s\S]*?\*\/)*(?:select|insert|update|delete|with)\b/i.test(text)
}
