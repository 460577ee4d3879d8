import { civilOfDay, dayOfCivil } from './civil-day'
import { trimBlanks } from './trim-blanks'

const MICROS_PER_DAY = 86_400_000_000

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

/** What a text for a date or a time says. */
export type ParsedTime =
  | { readonly kind: 'time'; readonly day: number; readonly micros: number; readonly offsetSeconds: number | undefined }
  | { readonly kind: 'infinity'; readonly text: 'infinity' | '-infinity' }
  /** Perhaps a time to PostgreSQL, by the settings of its session (`now`, `01/02/2024`, `Jan 5 2024`, years BC). */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'invalid' }

const ISO =
  /^(\d{4,7})-(\d{1,2})-(\d{1,2})(?:(?:T|\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?\s*(Z|[+-]\d{3,4}|[+-]\d{1,2}(?::\d{2}){0,2})?)?$/i
const SESSION_WORD = /^(?:now|today|tomorrow|yesterday)\b/i
const MAX_OFFSET_HOURS = 15

const INVALID: ParsedTime = Object.freeze({ kind: 'invalid' })
const UNKNOWN: ParsedTime = Object.freeze({ kind: 'unknown' })
const WORDS: Readonly<Record<string, ParsedTime>> = Object.freeze({
  infinity: Object.freeze({ kind: 'infinity', text: 'infinity' }),
  '+infinity': Object.freeze({ kind: 'infinity', text: 'infinity' }),
  '-infinity': Object.freeze({ kind: 'infinity', text: '-infinity' }),
  epoch: Object.freeze({ kind: 'time', day: 0, micros: 0, offsetSeconds: 0 }),
})

/** To the nearest integer, halves to the even one, as C's `rint`. */
const roundHalfEven = (x: number): number => {
  const floor = Math.floor(x)
  const rest = x - floor
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1
}

/** Microseconds of a fraction, in the very steps PostgreSQL takes: a double, times a million, rounded. */
const microsOfFraction = (digits: string): number =>
  digits.length <= 6 ? Number(digits.padEnd(6, '0')) : roundHalfEven(Number(`0.${digits}`) * 1_000_000)

const dayOf = (year: number, month: number, day: number): number | undefined => {
  if (year < 1 || month < 1 || month > 12 || day < 1) return undefined
  const epochDay = dayOfCivil(year, month, day)
  return civilOfDay(epochDay).month === month ? epochDay : undefined
}

/** Microseconds into the day; 24:00:00 and a 60th second are the start of what follows, as in PostgreSQL. */
const microsOf = (clock: readonly [hour: string, minute: string, second: string], fraction: string) => {
  const [hour = 0, minute = 0, second = 0] = clock.map(Number)
  const micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + microsOfFraction(fraction)
  return hour > 24 || minute > 59 || second > 60 || micros > MICROS_PER_DAY ? undefined : micros
}

/** Seconds east of Greenwich of `Z`, `+02`, `+0530`, `-05:30` or `+01:02:03`. */
const offsetOf = (text: string): number | undefined => {
  if (text === 'Z' || text === 'z') return 0
  const parts = text.slice(1).split(':')
  const [first = '', second = '0', third = '0'] = parts
  const packed = first.length > 2
  const hours = Number(packed ? first.slice(0, -2) : first)
  const minutes = Number(packed ? first.slice(-2) : second)
  const seconds = Number(third)
  if (hours > MAX_OFFSET_HOURS || minutes > 59 || seconds > 59) return undefined
  return (text.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds)
}

/** Reads a text as PostgreSQL reads ISO 8601 dates and times, whatever its DateStyle. */
export const parseTime = (source: string): ParsedTime => {
  const text = trimBlanks(source)
  const match = ISO.exec(text)
  if (match === null) {
    return WORDS[text.toLowerCase()] ?? (SESSION_WORD.test(text) || /\d/.test(text) ? UNKNOWN : INVALID)
  }
  const [, year, month, date, hour = '0', minute = '0', second = '0', fraction = '', zone] = match
  const day = dayOf(Number(year), Number(month), Number(date))
  const micros = microsOf([hour, minute, second], fraction)
  const offsetSeconds = zone === undefined ? undefined : offsetOf(zone)
  if (day === undefined || micros === undefined || (zone !== undefined && offsetSeconds === undefined)) return INVALID
  return { kind: 'time', day, micros, offsetSeconds }
}
