import { ShardedError } from '../errors/sharded-error'
import { afterTurning } from './after-turning'
import type { Cancellation } from './cancellation'

/** Operations that may wait for a permit of one node. */
export const maxWaitingForPermit = 10_000

/** Gives a permit back; a second call does nothing. */
export type GiveBack = () => void

/** What bounds the wait for a permit besides the limits of the operation. */
export interface PermitBounds {
  readonly maxWaiting?: number
  /** Default: `Infinity`. */
  readonly waitMs?: number
  /** What the permits are of, in a message: "connections", "streams". */
  readonly of?: string
}

/**
 * How many operations may do something on one node at once. Who waits is served in the order of asking, and leaves the
 * queue when its operation ends before its time.
 */
export class Permits {
  private taken = 0
  /** Permits that are there for a while beyond `count`. */
  private lent = 0
  private readonly waiting = new Set<() => void>()
  private readonly maxWaiting: number
  readonly waitMs: number
  private readonly of: string

  constructor(
    private readonly node: string,
    private readonly count: number,
    { maxWaiting = maxWaitingForPermit, waitMs = Number.POSITIVE_INFINITY, of = 'turns' }: PermitBounds = {},
  ) {
    this.maxWaiting = maxWaiting
    this.waitMs = waitMs
    this.of = of
  }

  get isFree(): boolean {
    return this.taken < this.count + this.lent
  }

  get counts(): { readonly taken: number; readonly waiting: number } {
    return { taken: this.taken, waiting: this.waiting.size }
  }

  /**
   * @param waitMs of a caller whose operation has no limits of its own
   * @throws ShardedError QUEUE_FULL, POOL_EXHAUSTED; OperationEnded
   */
  async take(cancellation?: Cancellation, waitMs = this.waitMs): Promise<GiveBack> {
    cancellation?.throwIfCancelled()
    const free = this.tryTake()
    if (free) return free
    await this.turn(cancellation, waitMs)
    return this.held()
  }

  /** A permit that is free now; undefined where there is none. */
  tryTake(): GiveBack | undefined {
    if (!this.isFree) return undefined
    this.taken += 1
    return this.held()
  }

  /** One permit more, until it is given back. */
  lend(): GiveBack {
    this.lent += 1
    this.taken += 1
    this.giveBack()
    let isLent = true
    return () => {
      if (isLent) this.lent -= 1
      isLent = false
    }
  }

  private held(): GiveBack {
    let isTaken = true
    return () => {
      if (isTaken) this.giveBack()
      isTaken = false
    }
  }

  private turn(cancellation: Cancellation | undefined, waitMs: number): Promise<void> {
    if (this.waiting.size >= this.maxWaiting) {
      throw new ShardedError('QUEUE_FULL', `${this.maxWaiting} operations wait for node ${this.node}.`, {
        details: { node: this.node },
      })
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.waiting.delete(go)
        off?.()
        endWait()
      }
      const go = (): void => {
        leave()
        resolve()
      }
      this.waiting.add(go)
      const endWait = afterTurning(waitMs, () => {
        leave()
        reject(this.exhausted(waitMs))
      })
      const off = cancellation?.onCancel(() => {
        leave()
        reject(cancellation.ended)
      })
    })
  }

  private exhausted(waitMs: number): ShardedError {
    const { node, count, of } = this
    const waiting = this.waiting.size + 1
    return new ShardedError(
      'POOL_EXHAUSTED',
      `All ${count} ${of} of node ${node} were in use for ${waitMs} ms, and ${waiting} operations waited.`,
      { details: { node, of, count, waiting, waitMs } },
    )
  }

  /** The permit goes from hand to hand, so that nobody overtakes. */
  private giveBack(): void {
    const isOver = this.taken > this.count + this.lent
    for (const go of isOver ? [] : this.waiting) {
      this.waiting.delete(go)
      go()
      return
    }
    this.taken -= 1
  }
}

/**
 * Takes a permit of each node, one after the other in the order of their names: the same order everywhere, so that no two
 * operations wait for each other. @throws ShardedError QUEUE_FULL; OperationEnded
 */
export async function takePermits(
  nodes: readonly { readonly name: string; readonly permits: Permits }[],
  cancellation?: Cancellation,
): Promise<GiveBack> {
  const taken: GiveBack[] = []
  const giveBack = (): void => {
    for (const one of taken) one()
  }
  try {
    for (const { permits } of [...nodes].sort(byName)) taken.push(await permits.take(cancellation))
    return giveBack
  } catch (error) {
    giveBack()
    throw error
  }
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1)
