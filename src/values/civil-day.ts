/** A date of the proleptic Gregorian calendar. */
interface CivilDate {
  readonly year: number
  readonly month: number
  readonly day: number
}

const DAYS_OF_ERA = 146_097
const EPOCH_SHIFT = 719_468

/**
 * Days since 1970-01-01. Years are counted from March, so that the leap day is the last (Howard
 * Hinnant's algorithm).
 */
export const dayOfCivil = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * DAYS_OF_ERA + dayOfEra - EPOCH_SHIFT
}

/** The inverse of `dayOfCivil`. */
export const civilOfDay = (epochDay: number): CivilDate => {
  const z = epochDay + EPOCH_SHIFT
  const era = Math.floor(z / DAYS_OF_ERA)
  const dayOfEra = z - era * DAYS_OF_ERA
  const leaps = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted + (shifted < 10 ? 3 : -9)
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  }
}

/** How long one shard of `time` lasts. */
export type PeriodLength = 'day' | 'week' | 'month' | 'quarter' | 'year'

interface Period {
  /** The first day of the period that holds the day; days count from 1970-01-01. */
  readonly startOf: (day: number) => number
  /** The first day of the next period, given the first day of one. */
  readonly next: (start: number) => number
  readonly label: (start: number) => string
}

const two = (n: number): string => String(n).padStart(2, '0')

/** 1970-01-01 was a Thursday: three days into the ISO week. */
const mondayOf = (day: number): number => day - ((((day + 3) % 7) + 7) % 7)

const months = (count: 1 | 3 | 12, label: (year: number, month: number) => string): Period =>
  Object.freeze({
    startOf: (day: number) => {
      const { year, month } = civilOfDay(day)
      return dayOfCivil(year, month - ((month - 1) % count), 1)
    },
    next: (start: number) => {
      const { year, month } = civilOfDay(start)
      return month + count > 12 ? dayOfCivil(year + 1, month + count - 12, 1) : dayOfCivil(year, month + count, 1)
    },
    label: (start: number) => {
      const { year, month } = civilOfDay(start)
      return label(year, month)
    },
  })

/** The ISO week belongs to the year of its Thursday. */
const weekLabel = (monday: number): string => {
  const { year } = civilOfDay(monday + 3)
  const week = (monday - mondayOf(dayOfCivil(year, 1, 4))) / 7 + 1
  return `${year}_w${two(week)}`
}

const dayLabel = (start: number): string => {
  const { year, month, day } = civilOfDay(start)
  return `${year}_${two(month)}_${two(day)}`
}

/** The calendar of each period length. */
export const calendarPeriods: Readonly<Record<PeriodLength, Period>> = Object.freeze({
  day: Object.freeze({ startOf: (day: number) => day, next: (start: number) => start + 1, label: dayLabel }),
  week: Object.freeze({ startOf: mondayOf, next: (start: number) => start + 7, label: weekLabel }),
  month: months(1, (year, month) => `${year}_${two(month)}`),
  quarter: months(3, (year, month) => `${year}_q${(month + 2) / 3}`),
  year: months(12, (year) => String(year)),
})
