/** The civil clock of a time zone. */
export interface ZoneClock {
  /** The wall clock at an instant, as the milliseconds that UTC would show it at. */
  wallOf(instantMs: number): number
  /**
   * The instant at which a civil day (counted from 1970-01-01) starts. Where midnight is skipped, it is the first
   * instant after the gap; where it comes twice, the first.
   */
  startOfDay(day: number): number
}

const MS_PER_DAY = 86_400_000
const SECOND = 1000

const UTC: ZoneClock = Object.freeze({ wallOf: (ms: number) => ms, startOfDay: (day: number) => day * MS_PER_DAY })

const clocks = new Map<string, ZoneClock>()

const createWallClock = (zone: string): ZoneClock['wallOf'] => {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (instantMs) => {
    const fields: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {}
    for (const { type, value } of format.formatToParts(instantMs)) fields[type] = Number(value)
    const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = fields
    const millis = ((instantMs % SECOND) + SECOND) % SECOND
    return Date.UTC(year, month - 1, day, hour, minute, second) + millis
  }
}

const createZoneClock = (zone: string): ZoneClock => {
  const wallOf = createWallClock(zone)
  /** The first instant after `low`, up to `high`, that shows the wall clock or a later one: the end of a gap. */
  const searchWall = (wall: number, low: number, high: number): number => {
    let before = low
    let after = high
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (wallOf(middle) >= wall) after = middle
      else before = middle
    }
    return after
  }
  const offsetAt = (instantMs: number): number => wallOf(instantMs) - instantMs
  return Object.freeze({
    wallOf,
    startOfDay: (day: number) => {
      const wall = day * MS_PER_DAY
      const offsets = [offsetAt(wall - MS_PER_DAY), offsetAt(wall + MS_PER_DAY)]
      const earliest = wall - Math.max(...offsets)
      const latest = wall - Math.min(...offsets)
      if (wallOf(earliest) === wall) return earliest
      if (wallOf(latest) === wall) return latest
      return searchWall(wall, earliest - MS_PER_DAY, latest + MS_PER_DAY)
    },
  })
}

/** The clock of an IANA time zone, made once per process. @throws RangeError for a name that no zone has */
export const zoneClock = (zone: string): ZoneClock => {
  if (zone === 'UTC') return UTC
  const clock = clocks.get(zone) ?? createZoneClock(zone)
  clocks.set(zone, clock)
  return clock
}
