import { IdGenerator } from '../ids/id-generator'
import { type IdLayout, tickOf } from '../ids/id-layout'
import { type IdMaker, slotsInTurn } from '../ids/id-maker'
import type { HomeNode } from './own-table'
import { renewEveryMs, WorkerLease } from './worker-lease'

/** Makes ids of a layout under a leased worker number, which is kept until the end from the first id on. */
export class WorkerIds implements IdMaker {
  private readonly generator: IdGenerator
  private readonly lease: WorkerLease
  private readonly anySlot = slotsInTurn()
  private pending: Promise<void> | undefined
  private timer: NodeJS.Timeout | undefined

  constructor(
    home: HomeNode,
    layout: IdLayout,
    private readonly now: () => number = Date.now,
  ) {
    this.generator = new IdGenerator(layout)
    this.lease = new WorkerLease(home, layout)
  }

  /** Makes sure that there is a table of worker numbers. */
  open(): Promise<void> {
    return this.lease.open()
  }

  take(slot: number | undefined): string | undefined {
    return this.generator.take(slot ?? this.anySlot(), this.now())
  }

  /** @throws ShardedError ID_WORKERS_TAKEN, ID_TOO_FAR_AHEAD, SHARD_UNAVAILABLE */
  refill(slot: number | undefined): Promise<void> {
    return this.reserve(this.generator.tickFor(slot ?? this.anySlot(), this.now()))
  }

  /** Gives the worker number back. */
  async close(): Promise<void> {
    // A reservation that is on its way starts the timer when it comes.
    await this.pending?.catch(() => undefined)
    clearInterval(this.timer)
    await this.lease.close()
  }

  /** One at a time: who waited for another looks again whether that was enough. */
  private reserve(tick: number): Promise<void> {
    if (this.pending) return this.pending.catch(() => undefined)
    this.pending = this.lease
      .grant(tick)
      .then((grant) => {
        this.generator.use(grant)
        this.timer ??= setInterval(() => this.renew(), renewEveryMs).unref()
      })
      .finally(() => {
        this.pending = undefined
      })
    return this.pending
  }

  /** Keeps the number, and a reservation ahead of the clock. Where the home node is away, the next `refill` will tell. */
  private renew(): void {
    void this.reserve(tickOf(this.generator.layout, this.now())).catch(() => undefined)
  }
}
