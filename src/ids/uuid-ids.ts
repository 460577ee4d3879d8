import { randomFillSync } from 'node:crypto'
import type { IdMaker } from './id-maker'
import { slotsInTurn } from './id-maker'
import { slotCount, slotMask } from './slot-mask'

/** Random bytes that are asked for at once. */
const poolBytes = 8_192
const bytesOfId = 10

const variant = 0x8000_0000
const withoutVariant = 0x3fff_ffff

/** Makes UUIDs of version 7 (RFC 9562): milliseconds, 60 random bits, and the slot in the last 14. They need no worker number. */
export function uuidIds(now: () => number = Date.now): IdMaker {
  const pool = Buffer.alloc(poolBytes)
  const anySlot = slotsInTurn()
  let used = poolBytes
  let latest = 0
  return {
    take: (slot = anySlot()) => {
      if (used + bytesOfId > poolBytes) {
        randomFillSync(pool)
        used = 0
      }
      // As with numbers, a clock that steps back is not followed.
      latest = Math.max(latest, now())
      const second = ((latest % 0x1_0000) * 0x1_0000 + (0x7000 | (pool.readUInt16LE(used) & 0x0fff))) >>> 0
      const words = [
        Math.floor(latest / 0x1_0000),
        second,
        ((pool.readUInt32LE(used + 2) & withoutVariant) | variant) >>> 0,
        pool.readUInt32LE(used + 6),
      ] as const
      used += bytesOfId
      const head = words[3] - (words[3] % slotCount)
      return uuidText([words[0], words[1], words[2], head + (slot ^ maskOf(words, head))])
    },
    refill: () => Promise.resolve(),
  }
}

/** The time in milliseconds since 1970 and the slot of a UUID in its canonical text; undefined for one of another version. */
export function decomposeUuid(text: string): { readonly time: number; readonly slot: number } | undefined {
  const hex = text.replaceAll('-', '')
  if (!/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/.test(hex)) return undefined
  const word = (index: number): number => Number.parseInt(hex.slice(index * 8, index * 8 + 8), 16)
  const words = [word(0), word(1), word(2), word(3)] as const
  const tail = words[3] % slotCount
  return Object.freeze({
    time: words[0] * 0x1_0000 + Math.floor(words[1] / 0x1_0000),
    slot: tail ^ maskOf(words, words[3] - tail),
  })
}

const maskOf = ([first, second, third]: readonly [number, number, number, number], head: number): number =>
  slotMask(slotMask(first, second) ^ third, head)

const bytes = Buffer.alloc(16)

function uuidText([first, second, third, fourth]: readonly [number, number, number, number]): string {
  bytes.writeUInt32BE(first, 0)
  bytes.writeUInt32BE(second, 4)
  bytes.writeUInt32BE(third, 8)
  bytes.writeUInt32BE(fourth, 12)
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
