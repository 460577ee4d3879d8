import { ShardedError } from '../errors/sharded-error'
import type { ConnectionSettings } from './connection-settings'

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

/** Idle transactions are looked for so often within their bound. */
const idleLooks = 4

interface Held {
  readonly connection: { readonly inTransaction: boolean; readonly transactionIdleMs: number }
}

/** Ends holds of connections in whose transactions nothing is sent. @returns the timer; undefined without a bound */
export function watchIdle<Lease extends Held>(
  { node, bounds: { transactionIdleMs } }: ConnectionSettings,
  held: () => readonly Lease[],
  evict: (lease: Lease, reason: Error) => void,
): NodeJS.Timeout | undefined {
  if (transactionIdleMs === Number.POSITIVE_INFINITY) return undefined
  const idle = (): ShardedError =>
    new ShardedError(
      'TRANSACTION_IDLE',
      `On node ${node}, nothing was sent in a transaction for ${transactionIdleMs} ms.`,
      { details: { node, transactionIdleMs } },
    )
  const look = (): void => {
    for (const lease of held()) {
      const { connection } = lease
      if (connection.inTransaction && connection.transactionIdleMs > transactionIdleMs) evict(lease, idle())
    }
  }
  return setInterval(look, transactionIdleMs / idleLooks).unref()
}
