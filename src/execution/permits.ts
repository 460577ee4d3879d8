import { ShardedError } from '../errors/sharded-error'
import type { Fuse } from './fuse'

/** Operations that may wait for a permit of one node. */
export const maxWaitingForPermit = 10_000

/** Gives a permit back; a second call does nothing. */
export type GiveBack = () => void

/**
 * How many operations may do something on one node at once. Who waits is served in the order of asking, and leaves the
 * queue when its operation ends before its time.
 */
export class Permits {
  private taken = 0
  private readonly waiting = new Set<() => void>()

  constructor(
    private readonly node: string,
    private readonly count: number,
    private readonly maxWaiting = maxWaitingForPermit,
  ) {}

  get counts(): { readonly taken: number; readonly waiting: number } {
    return { taken: this.taken, waiting: this.waiting.size }
  }

  /** @throws ShardedError QUEUE_FULL; OperationEnded */
  async take(fuse?: Fuse): Promise<GiveBack> {
    fuse?.check()
    if (this.taken < this.count) this.taken += 1
    else await this.turn(fuse)
    let isTaken = true
    return () => {
      if (isTaken) this.giveBack()
      isTaken = false
    }
  }

  private turn(fuse: Fuse | undefined): Promise<void> {
    if (this.waiting.size >= this.maxWaiting) {
      throw new ShardedError('QUEUE_FULL', `${this.maxWaiting} operations wait for node ${this.node}.`, {
        details: { node: this.node },
      })
    }
    return new Promise((resolve, reject) => {
      const go = (): void => {
        off?.()
        resolve()
      }
      this.waiting.add(go)
      const off = fuse?.onBlow(() => {
        this.waiting.delete(go)
        reject(fuse.ended)
      })
    })
  }

  /** The permit goes from hand to hand, so that nobody overtakes. */
  private giveBack(): void {
    for (const go of this.waiting) {
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
  fuse?: Fuse,
): Promise<GiveBack> {
  const taken: GiveBack[] = []
  const giveBack = (): void => {
    for (const one of taken) one()
  }
  try {
    for (const { permits } of [...nodes].sort(byName)) taken.push(await permits.take(fuse))
    return giveBack
  } catch (error) {
    giveBack()
    throw error
  }
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1)
