import { calendarPeriods, dayOfCivil, type PeriodLength } from './civil-day'

/** The year of a label, and up to two numbers behind it: `2024`, `2024_q1`, `2024_w09`, `2024_03`, `2024_03_15`. */
const form = /^(\d{4})(?:_[wq]?(\d{1,2}))?(?:_(\d{2}))?$/

const firstDays: Readonly<Record<PeriodLength, (year: number, second: number, third: number) => number>> = {
  day: dayOfCivil,
  // The week of January 4 is the first of its year.
  week: (year, week) => calendarPeriods.week.startOf(dayOfCivil(year, 1, 4)) + (week - 1) * 7,
  month: (year, month) => dayOfCivil(year, month, 1),
  quarter: (year, quarter) => dayOfCivil(year, quarter * 3 - 2, 1),
  year: (year) => dayOfCivil(year, 1, 1),
}

/** The first day of the period that has a label; undefined where none has it. */
export function startOfLabel(every: PeriodLength, label: string): number | undefined {
  const [, year, second = '1', third = '1'] = form.exec(label) ?? []
  if (year === undefined) return undefined
  const start = firstDays[every](Number(year), Number(second), Number(third))
  const period = calendarPeriods[every]
  return period.startOf(start) === start && period.label(start) === label ? start : undefined
}
