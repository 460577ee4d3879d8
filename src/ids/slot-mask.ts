/** Bits of a slot: 0 … 16,383. */
export const slotBits = 14

export const slotCount = 2 ** slotBits

const lowBits = slotCount - 1

/**
 * What the slot in an id is XORed with, made of the other bits. The rows of one key have one slot; without it their ids would
 * all be alike in the low bits, by which others may spread them again (`id % 8`).
 */
export function slotMask(high: number, low: number): number {
  let mixed = Math.imul(low ^ Math.imul(high + 0x9e37, 0x85ebca6b), 0xcc9e2d51)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x1b873593)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) & lowBits
}
