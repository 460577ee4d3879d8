import type { CanonicalKey } from '../values/canonical-key'
import { calendarPeriods, dayOfCivil, type PeriodLength } from '../values/civil-day'
import type { KeyType } from '../values/key-type'
import { startOfLabel } from '../values/period-label'
import { dateText, parseTime, timestampText, timestamptzText } from '../values/time-text'
import { type ZoneClock, zoneClock } from '../values/zone-clock'
import { checkLabels, functionInvalid, singleKeyType } from './declaration'
import type { KeyInterval } from './key-intervals'
import { bindIntervals } from './key-intervals'
import type { BoundFunction, DueLabels, RollingFunction, ShardingFunction } from './sharding-function'

/** The options of `time`. */
export interface TimeOptions {
  /** How long each period is; every period is one shard. */
  readonly every: PeriodLength
  /** The first day of the first period: `'2024'`, `'2024-01'`, `'2024-01-15'`, or a Date at midnight in the zone. */
  readonly from: string | Date
  /** The first day after the last period. Without it, `ahead` says how far periods go. */
  readonly to?: string | Date
  /** Periods that are there ahead of the present one, as time goes on: `synchronize`, `syncTopology` and a timer add them. */
  readonly ahead?: number
  /** Periods that are kept before the present one. Older ones are no longer needed. Default: all. Needs `ahead`. */
  readonly keep?: number
  /** What becomes of a period that is no longer needed: its tables are dropped, or left as they are without a route to them. Default `'drop'`. */
  readonly expiry?: 'drop' | 'detach'
  /**
   * The IANA zone whose midnights bound the periods of `timestamptz` keys; other types are wall clocks.
   * Default: UTC.
   */
  readonly zone?: string
}

/** Twenty-seven years of days. */
const MAX_PERIODS = 10_000
const MS_PER_DAY = 86_400_000
/** Labels have four digits for the year. */
const FIRST_DAY = dayOfCivil(1000, 1, 1)
const LAST_DAY = dayOfCivil(9999, 12, 31)

const clockOf = (zone: string): ZoneClock => {
  try {
    return zoneClock(zone)
  } catch (error) {
    throw functionInvalid('time', `there is no time zone ${JSON.stringify(zone)}.`, error)
  }
}

const dayOfDate = (date: Date, clock: ZoneClock): number | undefined => {
  const wall = Number.isNaN(date.getTime()) ? Number.NaN : clock.wallOf(date.getTime())
  const day = Math.floor(wall / MS_PER_DAY)
  return clock.startOfDay(day) === date.getTime() ? day : undefined
}

const dayOfText = (text: string): number | undefined => {
  const match = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(text)
  if (match === null) return undefined
  const time = parseTime(`${match[1]}-${match[2] ?? '01'}-${match[3] ?? '01'}`)
  return time.kind === 'time' ? time.day : undefined
}

const boundary = (name: 'from' | 'to', { every, ...options }: TimeOptions, clock: ZoneClock): number => {
  const bound: unknown = options[name]
  const day = bound instanceof Date ? dayOfDate(bound, clock) : typeof bound === 'string' ? dayOfText(bound) : undefined
  if (day === undefined || day < FIRST_DAY || day > LAST_DAY) {
    const forms = "a day such as '2024', '2024-01', '2024-01-15', or a Date at midnight in the zone"
    throw functionInvalid('time', `${name} must be ${forms}, not ${JSON.stringify(bound)}.`)
  }
  const period = calendarPeriods[every]
  const start = period.startOf(day)
  if (start === day) return day
  const next = period.next(start)
  const nearest = day - start <= next - day ? start : next
  throw functionInvalid(
    'time',
    `${name} is ${dateText(day)}, inside a ${every}; the nearest start of one is ${dateText(nearest)}.`,
  )
}

/** First days of all periods, and the day after the last. */
const startsOf = (every: PeriodLength, from: number, to: number): readonly number[] => {
  if (from >= to) throw functionInvalid('time', `to (${dateText(to)}) must be after from (${dateText(from)}).`)
  const starts = [from]
  for (let start = from; start < to; ) {
    start = calendarPeriods[every].next(start)
    starts.push(start)
    if (starts.length > MAX_PERIODS + 1) throw functionInvalid('time', `there are more than ${MAX_PERIODS} periods.`)
  }
  return Object.freeze(starts)
}

const keyOf = (day: number, type: KeyType, clock: ZoneClock): CanonicalKey => {
  if (type === 'date') return dateText(day)
  if (type === 'timestamp') return timestampText(day, 0)
  const start = clock.startOfDay(day)
  const utcDay = Math.floor(start / MS_PER_DAY)
  return timestamptzText(utcDay, (start - utcDay * MS_PER_DAY) * 1000)
}

const bindTime = (starts: readonly number[], clock: ZoneClock, types: readonly KeyType[]): BoundFunction => {
  const type = singleKeyType('time', types, (it) => it === 'date' || it === 'timestamp' || it === 'timestamptz')
  const keys = starts.map((day) => keyOf(day, type, clock))
  const [first = null, ...rest] = keys
  const intervals = rest.map((to, unit): KeyInterval => ({ unit, from: keys[unit] ?? first, to }))
  return bindIntervals(intervals, type)
}

interface Calendar {
  readonly every: PeriodLength
  readonly clock: ZoneClock
}

const functionOf = (
  { every, clock }: Calendar,
  starts: readonly number[],
  rolling?: RollingFunction,
): ShardingFunction =>
  Object.freeze<ShardingFunction>({
    kind: 'time',
    labels: checkLabels('time', starts.slice(0, -1).map(calendarPeriods[every].label)),
    arity: 1,
    ...(rolling && { rolling }),
    bind: (types) => bindTime(starts, clock, types),
  })

/** Which periods there are, as time goes on. */
interface Window {
  readonly expiry: RollingFunction['expiry']
  /** The first day behind all periods that are due at a moment. */
  endAt(now: Date): number
  /** The first day of those that are kept. */
  firstAt(now: Date): number
  startsAt(now: Date): readonly number[]
}

function refuseBesideEnd({ ahead, keep, expiry }: TimeOptions): void {
  for (const [name, value] of Object.entries({ ahead, keep, expiry }))
    if (value !== undefined) throw functionInvalid('time', `${name} is of periods without an end; leave out "to".`)
}

const checkPeriods = (name: 'ahead' | 'keep', count: number | undefined): void => {
  if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= MAX_PERIODS)) return
  throw functionInvalid(
    'time',
    `${name} must be a whole number from 1 to ${MAX_PERIODS}, not ${JSON.stringify(count)}.`,
  )
}

function windowOf(
  { every, clock }: Calendar,
  { from, ahead, keep, expiry = 'drop' }: Pick<TimeOptions, 'ahead' | 'keep' | 'expiry'> & { readonly from: number },
): Window {
  if (ahead === undefined) throw functionInvalid('time', 'to is missing; or give it ahead, for periods without an end.')
  checkPeriods('ahead', ahead)
  checkPeriods('keep', keep)
  if (expiry !== 'drop' && expiry !== 'detach')
    throw functionInvalid('time', `expiry must be 'drop' or 'detach', not ${JSON.stringify(expiry)}.`)
  const { startOf, next } = calendarPeriods[every]
  const present = (now: Date): number => startOf(Math.floor(clock.wallOf(now.getTime()) / MS_PER_DAY))
  const repeat = (start: number, times: number, step: (start: number) => number): number => {
    let day = start
    for (let time = 0; time < times; time++) day = step(day)
    return day
  }
  const endAt = (now: Date): number => Math.max(repeat(present(now), ahead + 1, next), next(from))
  const firstAt = (now: Date): number =>
    keep === undefined
      ? from
      : Math.max(
          from,
          repeat(present(now), keep, (start) => startOf(start - 1)),
        )
  return {
    expiry: keep === undefined ? undefined : expiry,
    endAt,
    firstAt,
    startsAt: (now) => startsOf(every, firstAt(now), endAt(now)),
  }
}

/** Of a function without an end, the labels are those that are stored, or else that are due. */
function rollingTime(calendar: Calendar, window: Window, starts: readonly number[]): ShardingFunction {
  const { every } = calendar
  const { next, label } = calendarPeriods[every]
  const dayOf = (name: string): number => {
    const day = startOfLabel(every, name)
    if (day !== undefined) return day
    throw functionInvalid('time', `"${name}" is not a ${every}; the databases have it stored.`)
  }
  const isLabel = (text: string): boolean => startOfLabel(every, text) !== undefined
  const over = (labels: readonly string[]): ShardingFunction => {
    const days = labels.map(dayOf)
    return rollingTime(calendar, window, startsOf(every, Math.min(...days), next(Math.max(...days))))
  }
  const due = (now: Date, labels: readonly string[]): DueLabels => {
    const end = window.endAt(now)
    const added: string[] = []
    for (let start = next(Math.max(...labels.map(dayOf))); start < end; start = next(start)) added.push(label(start))
    const first = window.expiry === undefined ? Number.NEGATIVE_INFINITY : window.firstAt(now)
    return Object.freeze({
      added: Object.freeze(added),
      expired: Object.freeze(labels.filter((one) => dayOf(one) < first)),
    })
  }
  return functionOf(calendar, starts, Object.freeze({ expiry: window.expiry, isLabel, over, due }))
}

/**
 * Places keys by periods of time: one shard a day, ISO week (from Monday), month, quarter or year, over one
 * column of type date, timestamp or timestamptz. A time outside of [from, to) has no owner.
 *
 * Equality and ranges find the periods, exact to the microsecond; days of 23 and 25 hours are as long as they are.
 *
 * @throws ShardedError FUNCTION_INVALID
 * @example
 * time({ every: 'month', from: '2024-01', to: '2026-01', zone: 'Europe/Berlin' }) // order_2024_01 … order_2025_12
 * time({ every: 'day', from: '2024', ahead: 7, keep: 90 }) // as time goes on, the last 90 days, today and the 7 next
 */
export const time = (options: TimeOptions): ShardingFunction => {
  const { every, zone = 'UTC' } = options
  if (!Object.hasOwn(calendarPeriods, every)) {
    throw functionInvalid(
      'time',
      `every must be one of ${Object.keys(calendarPeriods).join(', ')}, not ${JSON.stringify(every)}.`,
    )
  }
  const calendar: Calendar = { every, clock: clockOf(zone) }
  const from = boundary('from', options, calendar.clock)
  if (options.to !== undefined) {
    refuseBesideEnd(options)
    return functionOf(calendar, startsOf(every, from, boundary('to', options, calendar.clock)))
  }
  const window = windowOf(calendar, { ...options, from })
  return rollingTime(calendar, window, window.startsAt(new Date()))
}
