/**
 * What is to be undone in memory when a transaction rolls back: the database undoes rows, not the objects that stand for
 * them. Depth 1 is the transaction, each further level a savepoint.
 */
export class UndoLog {
  private entries: { readonly depth: number; readonly undo: () => void }[] = []

  add(depth: number, undo: () => void): void {
    this.entries.push({ depth, undo })
  }

  /** A savepoint was released: what was done since it belongs to the level around it. */
  release(depth: number): void {
    this.entries = this.entries.map((entry) => (entry.depth < depth ? entry : { ...entry, depth: depth - 1 }))
  }

  /** Undoes what was done at this level and those inside it, the latest first. */
  rollback(depth: number): void {
    const undone = this.entries.filter((entry) => entry.depth >= depth)
    this.entries = this.entries.filter((entry) => entry.depth < depth)
    for (const { undo } of undone.reverse()) undo()
  }

  /** The transaction was committed. */
  clear(): void {
    this.entries = []
  }
}
