import { dayOfCivil } from './civil-day'
import { keyInvalid } from './key-type'
import { parameterText } from './parameter-text'
import { carryDays, dateText, type ParsedTime, parseTime, timestampText, timestamptzText } from './time-text'

type TimeType = 'date' | 'timestamp' | 'timestamptz'
type Time = Extract<ParsedTime, { kind: 'time' }>

const FIRST_DAY = dayOfCivil(1, 1, 1)
/** PostgreSQL's last days: 5874897-12-31 for dates, 294276-12-31 for timestamps. */
const LAST_DATE = dayOfCivil(5_874_897, 12, 31)
const LAST_TIMESTAMP = dayOfCivil(294_276, 12, 31)

/** A `Date` is read as the text that the driver sends for it: its clock is the process's own, or UTC's by `pg.defaults`. */
const parse = (value: unknown): ParsedTime => {
  if (typeof value === 'string') return parseTime(value)
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) return { kind: 'invalid' }
  return parseTime(String(parameterText(value)))
}

/** PostgreSQL rounds halves away from this day. */
const EPOCH = dayOfCivil(2000, 1, 1)
const FINEST = 6

/** Microseconds of a day, rounded to a precision; what is less than a second is the same on every day but for halves. */
const roundMicros = (day: number, micros: number, precision: number): number => {
  if (precision >= FINEST) return micros
  const unit = 10 ** (FINEST - precision)
  return day >= EPOCH ? Math.floor((micros + unit / 2) / unit) * unit : Math.ceil((micros - unit / 2) / unit) * unit
}

const print = ({ day, micros, offsetSeconds }: Time, type: TimeType, precision: number): string | undefined => {
  if (type === 'date') return dateText(day)
  if (type === 'timestamp') return timestampText(day, roundMicros(day, micros, precision))
  if (offsetSeconds === undefined) return undefined
  const [utcDay, utcMicros] = carryDays(day, micros - offsetSeconds * 1_000_000)
  return timestamptzText(utcDay, roundMicros(utcDay, utcMicros, precision))
}

/**
 * The canonical text of a date or time, to the microsecond: a wall clock for `date` and `timestamp`, UTC for
 * `timestamptz`.
 * `undefined` where only the database's session can tell: a `timestamptz` text without offset, words such as `now`, and
 * forms that are not ISO 8601 (also years BC), which the database then takes or refuses.
 *
 * @param precision of what is to be stored: digits of a second's fraction
 */
export const canonicalTime = (value: unknown, type: TimeType, precision: number = FINEST): string | undefined => {
  const time = parse(value)
  if (time.kind === 'infinity') return time.text
  if (time.kind === 'unknown') return undefined
  if (time.kind === 'invalid') throw keyInvalid(value, type)
  if (time.day > (type === 'date' ? LAST_DATE : LAST_TIMESTAMP)) throw keyInvalid(value, type, 'it is out of range')
  const text = time.day < FIRST_DAY ? undefined : print(time, type, precision)
  // an offset can lead out of the year 1, where texts would need an era
  return text?.startsWith('0000') ? undefined : text
}
