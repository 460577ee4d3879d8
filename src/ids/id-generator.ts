import { composeId, type IdLayout, tickOf } from './id-layout'
import { slotCount } from './slot-mask'

/** The ticks that a worker number may be used with: those after `after`, up to `until`. Nobody else ever has them. */
export interface TickGrant {
  readonly worker: number
  readonly after: number
  readonly until: number
}

/**
 * Makes the ids of one worker. There is no counter in an id: of each slot, every id has a later tick than the one before it.
 * A burst on one slot so runs ahead of the clock, and a clock that stops or steps back is not followed.
 */
export class IdGenerator {
  private readonly last = new Float64Array(slotCount)
  private highest = 0
  private grant: TickGrant = { worker: 0, after: 0, until: -1 }

  constructor(readonly layout: IdLayout) {}

  /** What may be used from now on. */
  use(grant: TickGrant): void {
    this.grant = grant
  }

  /** The tick of the slot's next id, at a time in milliseconds since 1970. */
  tickFor(slot: number, now: number): number {
    return this.tickAt(slot, tickOf(this.layout, now))
  }

  /** The slot's next id; undefined where its tick is not granted. */
  take(slot: number, now: number): string | undefined {
    const clock = tickOf(this.layout, now)
    const tick = this.tickAt(slot, clock)
    if (tick > this.grant.until) return undefined
    this.last[slot] = tick
    // A clock that once said a later time is not believed again when it says an earlier one.
    if (clock > this.highest) this.highest = clock
    return composeId(this.layout, tick, this.grant.worker, slot)
  }

  private tickAt(slot: number, clock: number): number {
    return Math.max(clock, this.highest, this.grant.after + 1, (this.last[slot] ?? 0) + 1)
  }
}
