import { ShardedError } from '../errors/sharded-error'
import type { Cancellation } from './cancellation'
import type { GiveBack, Permits } from './permits'

/** Which transactions hold a turn of which nodes, and for which they wait. Of one data source: others have other pools. */
export class TurnWaits {
  private readonly holders = new Map<Permits, Map<object, number>>()
  private readonly waits = new Map<object, Set<Permits>>()

  hold(permits: Permits, holder: object, more: 1 | -1): void {
    const holders = this.holders.get(permits) ?? new Map<object, number>()
    this.holders.set(permits, holders)
    const count = (holders.get(holder) ?? 0) + more
    if (count > 0) holders.set(holder, count)
    else holders.delete(holder)
  }

  wait(permits: Permits, holder: object): () => void {
    const waits = this.waits.get(holder) ?? new Set<Permits>()
    this.waits.set(holder, waits)
    waits.add(permits)
    return () => {
      waits.delete(permits)
      if (waits.size === 0 && this.waits.get(holder) === waits) this.waits.delete(holder)
    }
  }

  /**
   * True where a turn of the node can come free by no transaction that goes on: every holder waits for a turn of a node of
   * which the same is true. One that may go on by another wait, or does not wait, ends the proof.
   */
  isDeadlock(asked: Permits): boolean {
    const stuck = new Set([...this.holders.keys()].filter((permits) => !permits.isFree && this.areAllKnown(permits)))
    const goesOn = (holder: object): boolean => {
      const waits = this.waits.get(holder)
      return !waits || ![...waits].every((one) => stuck.has(one))
    }
    for (let before = -1; before !== stuck.size; ) {
      before = stuck.size
      for (const permits of stuck) {
        if ([...(this.holders.get(permits)?.keys() ?? [])].some(goesOn)) stuck.delete(permits)
      }
    }
    return stuck.has(asked)
  }

  /** False while a turn goes from one holder to the next: that one may go on. */
  private areAllKnown(permits: Permits): boolean {
    const counts = [...(this.holders.get(permits)?.values() ?? [])]
    return counts.reduce((sum, count) => sum + count, 0) === permits.counts.taken
  }
}

/**
 * The turns of transactions on one node: fewer than its connections, so that work on this node alone always finds some, however
 * many transactions hold theirs while they wait for another node.
 */
export class TransactionTurns {
  constructor(
    private readonly node: string,
    private readonly permits: Permits,
    private readonly waits: TurnWaits,
  ) {}

  get counts(): Permits['counts'] {
    return this.permits.counts
  }

  /**
   * Takes a turn for a transaction, which keeps those of other nodes meanwhile.
   *
   * @param holder the transaction
   * @throws ShardedError POOL_DEADLOCK, POOL_EXHAUSTED, QUEUE_FULL; OperationEnded
   */
  async take(holder: object, cancellation?: Cancellation): Promise<GiveBack> {
    return this.held(holder, this.permits.tryTake() ?? (await this.turn(holder, cancellation)))
  }

  /** A turn that is free now, for a transaction that must not wait; undefined where there is none. */
  tryTake(holder: object): GiveBack | undefined {
    const giveBack = this.permits.tryTake()
    return giveBack && this.held(holder, giveBack)
  }

  private held(holder: object, giveBack: GiveBack): GiveBack {
    this.waits.hold(this.permits, holder, 1)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.waits.hold(this.permits, holder, -1)
      giveBack()
    }
  }

  private async turn(holder: object, cancellation: Cancellation | undefined): Promise<GiveBack> {
    const off = this.waits.wait(this.permits, holder)
    try {
      if (this.waits.isDeadlock(this.permits)) throw this.deadlock()
      return await this.permits.take(cancellation)
    } finally {
      off()
    }
  }

  private deadlock(): ShardedError {
    const { node } = this
    return new ShardedError(
      'POOL_DEADLOCK',
      `All transactions that have a connection of node ${node} wait for connections of each other.`,
      { details: { node, ...this.counts } },
    )
  }
}
