import { slotBits, slotCount, slotMask } from './slot-mask'

/** 2024-01-01T00:00:00Z in seconds: tick 0 of every layout. Part of every id: it can never change. */
export const idEpochSeconds = 1_704_067_200

/** Ids of the first year after the epoch are of nobody: so small are numbers that others counted up from 1. */
const firstOwnSecond = 366 * 24 * 60 * 60

/** How a number is made of a tick of time, a worker number and a slot, from high bits to low ones. */
export interface IdLayout {
  readonly kind: '64-bit' | '53-bit'
  readonly tickBits: number
  readonly ticksPerSecond: number
  readonly workerBits: number
}

/** The parts of an id. */
export interface IdParts {
  readonly tick: number
  readonly worker: number
  readonly slot: number
}

/** Both layouts last until 2092. Of one key, a worker makes `ticksPerSecond` ids a second; what is more runs ahead of the clock. */
export const idLayouts: Readonly<Record<IdLayout['kind'], IdLayout>> = Object.freeze({
  '64-bit': Object.freeze({ kind: '64-bit', tickBits: 39, ticksPerSecond: 256, workerBits: 10 }),
  '53-bit': Object.freeze({ kind: '53-bit', tickBits: 33, ticksPerSecond: 4, workerBits: 6 }),
})

/** The tick of a time in milliseconds since 1970. */
export const tickOf = ({ ticksPerSecond }: IdLayout, time: number): number =>
  Math.floor(((time - idEpochSeconds * 1000) * ticksPerSecond) / 1000)

/** The time of a tick in milliseconds since 1970. */
export const timeOf = ({ ticksPerSecond }: IdLayout, tick: number): number =>
  idEpochSeconds * 1000 + Math.floor((tick * 1000) / ticksPerSecond)

export const lastTick = ({ tickBits }: IdLayout): number => 2 ** tickBits - 1

const halves = new Uint32Array(2)
const whole = new BigUint64Array(halves.buffer)
const lowHalf = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const wordSize = 2 ** 32
const headsPerHighHalf = 2 ** (32 - slotBits)

/** The decimal text of an id. Of a number of so many digits, a bigint's is made faster than a double's. */
export function composeId({ workerBits }: IdLayout, tick: number, worker: number, slot: number): string {
  const head = tick * 2 ** workerBits + worker
  const masked = slot ^ maskOf(head)
  const high = Math.floor(head / headsPerHighHalf)
  halves[lowHalf] = (head - high * headsPerHighHalf) * slotCount + masked
  halves[1 - lowHalf] = high
  return String(whole[0])
}

/** The parts of an id in decimal; undefined for what is no id of the layout. */
export function decomposeId(layout: IdLayout, text: string): IdParts | undefined {
  const { kind, tickBits, workerBits, ticksPerSecond } = layout
  const bits = tickBits + workerBits + slotBits
  if (!/^\d{1,19}$/.test(text)) return undefined
  const id = BigInt(text)
  if (id >= 1n << BigInt(bits) || (kind === '53-bit' && id > Number.MAX_SAFE_INTEGER)) return undefined
  const head = Number(id >> BigInt(slotBits))
  const worker = head % 2 ** workerBits
  const tick = (head - worker) / 2 ** workerBits
  if (tick < firstOwnSecond * ticksPerSecond) return undefined
  return Object.freeze({ tick, worker, slot: Number(id & BigInt(slotCount - 1)) ^ maskOf(head) })
}

function maskOf(head: number): number {
  const high = Math.floor(head / wordSize)
  return slotMask(high, head - high * wordSize)
}
