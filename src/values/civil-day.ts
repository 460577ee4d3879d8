/** A date of the proleptic Gregorian calendar. */
export interface CivilDate {
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
