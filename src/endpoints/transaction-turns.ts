import type { Cancellation } from './cancellation'
import { type GiveBack, Permits } from './permits'

/** A transaction that goes beyond the turns. */
interface Beyond {
  readonly entered: Promise<GiveBack>
  /** It may go beyond: it waits for the end of no other any more. */
  isIn: boolean
  /** Nodes for which it has asked so. */
  asked: number
}

/** Which transactions hold a turn of which nodes, and for which they wait. Of one data source: others have other pools. */
export class TurnWaits {
  private readonly holders = new Map<Permits, Map<object, number>>()
  private readonly waits = new Map<object, Set<Permits>>()
  private readonly turn = new Permits('any', 1, { of: 'turns beyond the pools' })
  /** The one that has this turn, and those that wait for it. */
  private readonly beyond = new Map<object, Beyond>()

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

  /** True for the transaction that takes a turn of any node whether or not one is free. */
  isBeyond(holder: object): boolean {
    return this.beyond.get(holder)?.isIn === true
  }

  /**
   * Lets a transaction go beyond the turns, one after the other. It may ask for several nodes at once.
   *
   * @returns ends it, when this was called for each node
   * @throws ShardedError POOL_EXHAUSTED; OperationEnded
   */
  async goBeyond(holder: object, waitMs: number, cancellation?: Cancellation): Promise<GiveBack> {
    const known = this.beyond.get(holder)
    const own: Beyond = known ?? { entered: this.turn.take(cancellation, waitMs), isIn: false, asked: 0 }
    this.beyond.set(holder, own)
    own.asked += 1
    let giveBack: GiveBack | undefined
    const leave = (): void => {
      own.asked -= 1
      if (own.asked > 0) return
      this.beyond.delete(holder)
      giveBack?.()
    }
    try {
      giveBack = await own.entered
      own.isIn = true
      return leave
    } catch (error) {
      leave()
      throw error
    }
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
  /** @param lend adds a connection to the node's pool, until it is given back */
  constructor(
    private readonly permits: Permits,
    private readonly waits: TurnWaits,
    private readonly lend: () => GiveBack,
  ) {}

  get counts(): Permits['counts'] {
    return this.permits.counts
  }

  /**
   * Takes a turn for a transaction, which keeps those of other nodes meanwhile. Where all that have one wait for each other, one
   * transaction at a time goes beyond them: when it has ended, its turns are free for the others.
   *
   * @param holder the transaction
   * @throws ShardedError POOL_EXHAUSTED, QUEUE_FULL; OperationEnded
   */
  async take(holder: object, cancellation?: Cancellation): Promise<GiveBack> {
    const free = this.tryTake(holder)
    if (free) return free
    const off = this.waits.wait(this.permits, holder)
    try {
      if (!this.waits.isDeadlock(this.permits) && !this.waits.isBeyond(holder))
        return this.held(holder, await this.permits.take(cancellation))
      return this.lent(await this.waits.goBeyond(holder, this.permits.waitMs, cancellation))
    } finally {
      off()
    }
  }

  /** A turn that is free now, for a transaction that must not wait; undefined where there is none. */
  tryTake(holder: object): GiveBack | undefined {
    const giveBack = this.permits.tryTake()
    return giveBack && this.held(holder, giveBack)
  }

  private held(holder: object, giveBack: GiveBack): GiveBack {
    this.waits.hold(this.permits, holder, 1)
    return once(() => {
      this.waits.hold(this.permits, holder, -1)
      giveBack()
    })
  }

  private lent(end: GiveBack): GiveBack {
    const giveBack = this.lend()
    return once(() => {
      giveBack()
      end()
    })
  }
}

function once(work: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) work()
    isDone = true
  }
}
