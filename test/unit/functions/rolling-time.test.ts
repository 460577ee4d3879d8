import { describe, expect, it } from 'vitest'
import { composite } from '../../../src/functions/composite'
import { hash } from '../../../src/functions/hash'
import { time } from '../../../src/functions/time'
import { calendarPeriods, dayOfCivil } from '../../../src/values/civil-day'
import { startOfLabel } from '../../../src/values/period-label'

const lengths = ['day', 'week', 'month', 'quarter', 'year'] as const

describe('labels of periods', () => {
  it.each(lengths)('say when a %s begins', (every) => {
    const { startOf, label } = calendarPeriods[every]
    for (let day = dayOfCivil(2019, 12, 1); day < dayOfCivil(2027, 2, 1); day++)
      expect(startOfLabel(every, label(startOf(day)))).toBe(startOf(day))
  })

  it('are none where no period has them', () => {
    const none = [
      ['day', '2024_02_30'],
      ['day', '2024_02'],
      ['week', '2024_w53'],
      ['week', '2024_09'],
      ['month', '2024_13'],
      ['month', '2024_q1'],
      ['quarter', '2024_q5'],
      ['year', '24'],
      ['year', '2024_01'],
      ['month', 'x'],
    ] as const
    expect(none.map(([every, label]) => startOfLabel(every, label))).toEqual(none.map(() => undefined))
  })
})

describe('time without an end', () => {
  const months = time({ every: 'month', from: '2024-01', ahead: 2, keep: 3 })
  const { rolling } = months

  it('adds periods ahead at the end, and names those that are no longer kept', () => {
    const labels = ['2024_01', '2024_02', '2024_03']
    expect(rolling?.due(new Date('2024-03-31T23:59:59Z'), labels)).toEqual({
      added: ['2024_04', '2024_05'],
      expired: [],
    })
    expect(rolling?.due(new Date('2024-05-01T00:00:00Z'), labels)).toEqual({
      added: ['2024_04', '2024_05', '2024_06', '2024_07'],
      expired: ['2024_01'],
    })
    expect(rolling?.due(new Date('2023-01-01T00:00:00Z'), labels)).toEqual({ added: [], expired: [] })
  })

  it('keeps all where nothing is said, and begins with the days of the zone', () => {
    const days = time({ every: 'day', from: '2024', ahead: 1, zone: 'Asia/Tokyo' })
    expect(days.rolling?.expiry).toBeUndefined()
    expect(days.rolling?.due(new Date('2030-01-01T15:00:00Z'), ['2024_01_01', '2030_01_01'])).toEqual({
      added: ['2030_01_02', '2030_01_03'],
      expired: [],
    })
  })

  it('is a function of the labels that are stored, and of all between them', () => {
    const fn = rolling?.over(['2024_05', '2024_03'])
    expect(fn?.labels).toEqual(['2024_03', '2024_04', '2024_05'])
    const bound = fn?.bind(['date'])
    expect(['2024-02-29', '2024-03-01', '2024-05-31', '2024-06-01'].map((day) => bound?.unitOf([day]))).toEqual([
      undefined,
      0,
      2,
      undefined,
    ])
    expect(fn?.rolling?.over(['2024_04']).labels).toEqual(['2024_04'])
    const fixed = time({ every: 'month', from: '2024-03', to: '2024-06' }).bind(['date'])
    expect(bound?.print).toEqual(fixed.print)
    expect(() => rolling?.over(['2024_w09'])).toThrow('is not a month')
  })

  it('is declared with what is due', () => {
    const year = new Date().getUTCFullYear()
    expect(time({ every: 'year', from: '2000', ahead: 1, keep: 1 }).labels).toEqual(
      [year - 1, year, year + 1].map(String),
    )
    expect(time({ every: 'year', from: String(year + 5), ahead: 1, keep: 1 }).labels).toEqual([String(year + 5)])
  })

  it.each([
    [{}, 'to is missing'],
    [{ to: '2025', ahead: 1 }, 'ahead is of periods without an end'],
    [{ to: '2025', keep: 1 }, 'keep is of periods without an end'],
    [{ ahead: 0 }, 'ahead must be a whole number'],
    [{ ahead: 1, keep: 1.5 }, 'keep must be a whole number'],
    [{ ahead: 1, keep: 1, expiry: 'burn' as 'drop' }, "expiry must be 'drop' or 'detach'"],
  ])('refuses %j', (given, text) => {
    expect(() => time({ every: 'month', from: '2024', ...given })).toThrow(text)
  })

  it('cannot be crossed', () => {
    expect(() => composite(hash({ shards: 2 }), months)).toThrow('cannot be crossed')
  })
})
