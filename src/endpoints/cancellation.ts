import { ShardedError } from '../errors/sharded-error'

export interface CancellationSettings {
  readonly signals?: readonly AbortSignal[]
  /** On the clock of `performance.now()`, with the option's value for the message. */
  readonly deadline?: { readonly at: number; readonly deadlineMs: number } | undefined
  readonly rowBudget?: number | undefined
}

/**
 * Ends what still runs or waits when an operation is over before its time: an abort, a deadline, a spent row budget, a
 * failed peer. Callers never see it: they are thrown the `reason`, which for an abort may be any value.
 */
export class OperationEnded extends Error {
  constructor(readonly reason: unknown) {
    super('The operation was ended before its time.')
    this.name = 'OperationEnded'
  }
}

/**
 * Cancels a group of statements, once, for the first reason: an abort signal, the deadline, the row budget, or the failure
 * of another statement of the group. The code that makes a cancellation must close it: `close` removes its listener and timer.
 */
export class Cancellation {
  private cause: { readonly reason: unknown } | undefined
  private readonly watchers = new Set<() => void>()
  private readonly unwatch: (() => void)[] = []
  private readonly timer: NodeJS.Timeout | undefined
  private readonly rowBudget: number
  private rows = 0

  constructor({ signals = [], deadline, rowBudget = Number.POSITIVE_INFINITY }: CancellationSettings = {}) {
    this.rowBudget = rowBudget
    const aborted = signals.find((signal) => signal.aborted)
    if (aborted) {
      this.cancel(aborted.reason)
      return
    }
    if (deadline && deadline.at !== Number.POSITIVE_INFINITY) {
      const { at, deadlineMs } = deadline
      const left = at - performance.now()
      if (left <= 0) {
        this.cancel(deadlineExceeded(deadlineMs))
        return
      }
      this.timer = setTimeout(() => this.cancel(deadlineExceeded(deadlineMs)), left)
    }
    for (const signal of signals) this.unwatch.push(onAbort(signal, () => this.cancel(signal.reason)))
  }

  get isCancelled(): boolean {
    return this.cause !== undefined
  }

  get countsRows(): boolean {
    return this.rowBudget !== Number.POSITIVE_INFINITY
  }

  /** The error of statements that were cancelled. */
  get ended(): OperationEnded {
    return new OperationEnded(this.cause?.reason)
  }

  /** @throws OperationEnded if the group is cancelled */
  throwIfCancelled(): void {
    if (this.cause) throw this.ended
  }

  /** Cancels the group; the first reason counts. */
  cancel(reason: unknown): void {
    if (this.cause) return
    this.cause = { reason }
    const watchers = [...this.watchers]
    this.watchers.clear()
    for (const watcher of watchers) watcher()
  }

  /** Counts rows that arrived. @returns false if they exceed the row budget; the group is then cancelled */
  countRows(count = 1): boolean {
    this.rows += count
    if (this.rows <= this.rowBudget) return true
    this.cancel(rowBudgetExceeded(this.rowBudget))
    return false
  }

  /** Calls `watcher` on cancellation, or at once if the group is cancelled. The returned function removes the watcher. */
  onCancel(watcher: () => void): () => void {
    if (this.cause) watcher()
    else this.watchers.add(watcher)
    return () => void this.watchers.delete(watcher)
  }

  /** Resolves as `work`, or rejects on cancellation; `work` itself continues. @throws OperationEnded */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const off = this.onCancel(() => reject(this.ended))
      work.then(resolve, reject).finally(off)
    })
  }

  /** Removes the listener and the timer. */
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

/** One listener a signal, however many operations share it: Node warns of a leak at eleven. */
const watchersOf = new WeakMap<AbortSignal, Set<() => void>>()

function tell(this: AbortSignal): void {
  const watchers = watchersOf.get(this) ?? []
  watchersOf.delete(this)
  for (const watcher of watchers) watcher()
}

/** Calls `watcher` once the signal, which has not been, is aborted; the returned function ends that. */
function onAbort(signal: AbortSignal, watcher: () => void): () => void {
  const known = watchersOf.get(signal)
  const watchers = known ?? new Set()
  watchers.add(watcher)
  if (!known) {
    watchersOf.set(signal, watchers)
    signal.addEventListener('abort', tell, { once: true })
  }
  return () => {
    watchers.delete(watcher)
    if (watchers.size > 0 || watchersOf.get(signal) !== watchers) return
    watchersOf.delete(signal)
    signal.removeEventListener('abort', tell)
  }
}
