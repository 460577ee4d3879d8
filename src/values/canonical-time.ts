import { dayOfCivil } from './civil-day'
import { keyInvalid } from './key-invalid'
import { type ParsedTime, parseTime } from './parse-time'
import { dateText, timestampText, timestamptzText } from './time-text'

type TimeType = 'date' | 'timestamp' | 'timestamptz'
type Time = Extract<ParsedTime, { kind: 'time' }>

const MS_PER_DAY = 86_400_000
const FIRST_DAY = dayOfCivil(1, 1, 1)
/** PostgreSQL's last days: 5874897-12-31 for dates, 294276-12-31 for timestamps. */
const LAST_DATE = dayOfCivil(5_874_897, 12, 31)
const LAST_TIMESTAMP = dayOfCivil(294_276, 12, 31)

/** The wall clock of the process: what the driver sends of a `Date`, its offset being of no account. */
const localTime = (value: Date): Time => {
  const day = dayOfCivil(value.getFullYear(), value.getMonth() + 1, value.getDate())
  const seconds = (value.getHours() * 60 + value.getMinutes()) * 60 + value.getSeconds()
  return { kind: 'time', day, micros: (seconds * 1000 + value.getMilliseconds()) * 1000, offsetSeconds: undefined }
}

const instant = (value: Date): Time => {
  const day = Math.floor(value.getTime() / MS_PER_DAY)
  return { kind: 'time', day, micros: (value.getTime() - day * MS_PER_DAY) * 1000, offsetSeconds: 0 }
}

const parse = (value: unknown, type: TimeType): ParsedTime => {
  if (typeof value === 'string') return parseTime(value)
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) return { kind: 'invalid' }
  return type === 'timestamptz' ? instant(value) : localTime(value)
}

const print = (time: Time, type: TimeType): string | undefined => {
  if (type === 'date') return dateText(time.day)
  if (type === 'timestamp') return timestampText(time.day, time.micros)
  return time.offsetSeconds === undefined
    ? undefined
    : timestamptzText(time.day, time.micros - time.offsetSeconds * 1_000_000)
}

/**
 * The canonical text of a date or time, to the microsecond: a wall clock for `date` and `timestamp`, UTC for
 * `timestamptz`.
 * `undefined` where only the database's session can tell: a `timestamptz` text without offset, words such as `now`, and
 * forms that are not ISO 8601 (also years BC), which the database then takes or refuses.
 */
export const canonicalTime = (value: unknown, type: TimeType): string | undefined => {
  const time = parse(value, type)
  if (time.kind === 'infinity') return time.text
  if (time.kind === 'unknown') return undefined
  if (time.kind === 'invalid') throw keyInvalid(value, type)
  if (time.day > (type === 'date' ? LAST_DATE : LAST_TIMESTAMP)) throw keyInvalid(value, type, 'it is out of range')
  const text = time.day < FIRST_DAY ? undefined : print(time, type)
  // an offset can lead out of the year 1, where texts would need an era
  return text?.startsWith('0000') ? undefined : text
}
