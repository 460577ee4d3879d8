import { civilOfDay, dayOfCivil } from './civil-day'

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
