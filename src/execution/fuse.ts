import { ShardedError } from '../errors/sharded-error'
import { onAbort } from './on-abort'
import { OperationEnded } from './operation-ended'

export interface FuseSettings {
  readonly signals?: readonly AbortSignal[]
  /** On the clock of `performance.now()`, with the option's value for the message. */
  readonly deadline?: { readonly at: number; readonly deadlineMs: number } | undefined
  readonly rowBudget?: number | undefined
}

/**
 * Ends a group of statements before their time, once, for the first reason there is: an abort, the deadline, too many
 * rows, or a peer that failed. Whoever makes a fuse closes it, which takes its listener and timer away.
 */
export class Fuse {
  private blown: { readonly reason: unknown } | undefined
  private readonly watchers = new Set<() => void>()
  private readonly unwatch: (() => void)[] = []
  private readonly timer: NodeJS.Timeout | undefined
  private readonly rowBudget: number
  private rows = 0

  constructor({ signals = [], deadline, rowBudget = Number.POSITIVE_INFINITY }: FuseSettings = {}) {
    this.rowBudget = rowBudget
    const aborted = signals.find((signal) => signal.aborted)
    if (aborted) {
      this.blow(aborted.reason)
      return
    }
    if (deadline && deadline.at !== Number.POSITIVE_INFINITY) {
      const { at, deadlineMs } = deadline
      const left = at - performance.now()
      if (left <= 0) {
        this.blow(deadlineExceeded(deadlineMs))
        return
      }
      this.timer = setTimeout(() => this.blow(deadlineExceeded(deadlineMs)), left)
    }
    for (const signal of signals) this.unwatch.push(onAbort(signal, () => this.blow(signal.reason)))
  }

  get isBlown(): boolean {
    return this.blown !== undefined
  }

  get countsRows(): boolean {
    return this.rowBudget !== Number.POSITIVE_INFINITY
  }

  /** The error with which what the fuse ended fails. */
  get ended(): OperationEnded {
    return new OperationEnded(this.blown?.reason)
  }

  /** @throws OperationEnded where the fuse has blown */
  check(): void {
    if (this.blown) throw this.ended
  }

  /** Ends the group; the first reason counts. */
  blow(reason: unknown): void {
    if (this.blown) return
    this.blown = { reason }
    const watchers = [...this.watchers]
    this.watchers.clear()
    for (const watcher of watchers) watcher()
  }

  /** Counts rows that arrived. @returns false where they are too many, and the fuse has blown */
  countRows(count = 1): boolean {
    this.rows += count
    if (this.rows <= this.rowBudget) return true
    this.blow(rowBudgetExceeded(this.rowBudget))
    return false
  }

  /** Calls `watcher` when the fuse blows, at once where it has; the returned function ends that. */
  onBlow(watcher: () => void): () => void {
    if (this.blown) watcher()
    else this.watchers.add(watcher)
    return () => void this.watchers.delete(watcher)
  }

  /** What `work` gives, unless the fuse blows before; `work` itself goes on. @throws OperationEnded */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const off = this.onBlow(() => reject(this.ended))
      work.then(resolve, reject).finally(off)
    })
  }

  /** Takes the listener and the timer away. Afterwards it blows no more by itself. */
  close(): void {
    clearTimeout(this.timer)
    for (const off of this.unwatch) off()
  }
}

function deadlineExceeded(deadlineMs: number): ShardedError {
  return new ShardedError('DEADLINE_EXCEEDED', `The operation did not end within deadlineMs, ${deadlineMs} ms.`, {
    details: { deadlineMs },
  })
}

function rowBudgetExceeded(rowBudget: number): ShardedError {
  return new ShardedError('ROW_BUDGET_EXCEEDED', `The shards gave more rows than rowBudget, ${rowBudget}.`, {
    details: { rowBudget },
  })
}
