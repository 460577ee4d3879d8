import { civilOfDay } from './civil-day'

export const MICROS_PER_DAY = 86_400_000_000

const two = (n: number): string => (n < 10 ? `0${n}` : String(n))

/** `2024-01-15`; years beyond 9999 have more digits. */
export const dateText = (epochDay: number): string => {
  const { year, month, day } = civilOfDay(epochDay)
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`
}

const clockText = (micros: number): string => {
  const seconds = Math.floor(micros / 1_000_000)
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  return `${two(hours)}:${two(minutes)}:${two(seconds % 60)}.${String(micros % 1_000_000).padStart(6, '0')}`
}

/** Brings microseconds that left their day back into one. */
export const carryDays = (epochDay: number, micros: number): readonly [number, number] => {
  const days = Math.floor(micros / MICROS_PER_DAY)
  return [epochDay + days, micros - days * MICROS_PER_DAY]
}

/** `2024-01-15 10:00:00.000000`: a wall clock. `micros` may lie outside of its day. */
export const timestampText = (epochDay: number, micros: number): string => {
  const [day, rest] = carryDays(epochDay, micros)
  return `${dateText(day)} ${clockText(rest)}`
}

/** `2024-01-15T10:00:00.000000Z`: an instant. */
export const timestamptzText = (epochDay: number, micros: number): string => {
  const [day, rest] = carryDays(epochDay, micros)
  return `${dateText(day)}T${clockText(rest)}Z`
}
