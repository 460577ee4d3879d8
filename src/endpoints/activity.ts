/** Something that works with a connection. */
export interface Worker {
  /** Milliseconds since it last did something; 0 while it does. */
  readonly idleMs: number
}

/** What works in one transaction: its connections, and who works between their statements. It is idle when all of them are. */
export class Activity implements Worker {
  private readonly workers = new Set<Worker>()

  add(worker: Worker): void {
    this.workers.add(worker)
  }

  leave(worker: Worker): void {
    this.workers.delete(worker)
  }

  get idleMs(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { idleMs } of this.workers) least = Math.min(least, idleMs)
    return least
  }
}
