import { decodeShardedId } from '../../src'
import { composeId, decomposeId, idLayouts, tickOf } from '../../src/ids/id-layout'
import { decomposeUuid } from '../../src/ids/uuid-ids'

/** Shard keys of the entities with ids, as many as `slots`. */
export const idOwners: readonly string[] = Array.from({ length: 12 }, (_, index) => String(index + 1))

/** The slots of those keys: they can never change, since rows lie by them. */
const slots: readonly number[] = [2226, 9012, 13252, 12086, 4595, 9839, 10498, 12325, 2899, 10901, 11728, 2479]

const slotOf = (owner: string): number => slots[Number(owner) - 1] ?? 0

const ownerInTurn = (n: number): string => idOwners[n % idOwners.length] ?? ''

/** Of the first ids: the end of 2025, before any that are made while a test runs. */
const firstTime = Date.UTC(2025, 11, 1)
const layout = idLayouts['64-bit']
const firstTick = tickOf(layout, firstTime)

/** The n-th id of 64 bits; its slot is that of the owner. */
export const numberIdAt = (n: number, owner = ownerInTurn(n)): string =>
  composeId(layout, firstTick + n, 5, slotOf(owner))

/** The n-th id that is a UUID; its slot is that of the owner. */
export function uuidIdAt(n: number, owner = ownerInTurn(n)): string {
  const time = (firstTime + n).toString(16).padStart(12, '0')
  const textOf = (tail: number): string =>
    `${time.slice(0, 8)}-${time.slice(8)}-7abc-8def-01234567${tail.toString(16).padStart(4, '0')}`
  // The slot is mixed with the other bits: with none of its own, an id has what they are.
  const mask = decomposeUuid(textOf(0))?.slot ?? 0
  return textOf(slotOf(owner) ^ mask)
}

/** Whose slot an id carries. */
export const ownerOfId = (id: string): string => idOwners[slots.indexOf(decodeShardedId(id).slot)] ?? ''

/** The id of the same number that carries another owner's slot. */
export function idWithOwner(id: string, owner: string): string {
  const uuid = decomposeUuid(id)
  if (uuid) return uuidIdAt(uuid.time - firstTime, owner)
  return numberIdAt((decomposeId(layout, id)?.tick ?? firstTick) - firstTick, owner)
}
