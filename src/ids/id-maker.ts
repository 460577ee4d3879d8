import { ShardedError } from '../errors/sharded-error'
import { slotCount } from './slot-mask'

/**
 * Makes ids, as texts. What is at hand is taken at once; what has to be reserved first, in a database, is waited for.
 * Called in turn: `take`, and where that gives nothing `refill`, and `take` again.
 */
export interface IdMaker {
  /**
   * An id that carries the slot; undefined where none is at hand.
   * @param slot undefined: any will do
   */
  take(slot: number | undefined): string | undefined
  /**
   * Reserves more, so that `take` of the same slot has some; at least `count` of them where they are counted.
   * @throws ShardedError what stands in the way
   */
  refill(slot: number | undefined, count: number): Promise<void>
}

/** Other callers may take the reserved ids first. After this many attempts we give up with `ID_TOO_FAR_AHEAD`. */
const maxRefills = 32

/** The next id. @throws what `refill` throws */
export async function nextId(maker: IdMaker, slot: number | undefined, count = 1): Promise<string> {
  for (let refills = 0; refills <= maxRefills; refills++) {
    const id = maker.take(slot)
    if (id !== undefined) return id
    await maker.refill(slot, count)
  }
  throw new ShardedError('ID_TOO_FAR_AHEAD', `No id could be reserved in ${maxRefills} attempts.`)
}

/** Where any slot will do, each in turn: the time of none runs ahead. */
export function slotsInTurn(): () => number {
  let slot = Math.floor(Math.random() * slotCount)
  return () => {
    slot = (slot + 1) % slotCount
    return slot
  }
}
