import { describe, expect, test } from 'vitest'
import type { KeyBound } from '../../../src/functions/sharding-function'
import { type TimeOptions, time } from '../../../src/functions/time'
import type { ShardIndexes } from '../../../src/topology/unit-owners'
import { owned } from './owned'

const invalid = (pattern: RegExp) =>
  expect.objectContaining({ code: 'FUNCTION_INVALID', message: expect.stringMatching(pattern) })
const bound = (key: string, inclusive: boolean): KeyBound => ({ key, inclusive })

describe('labels', () => {
  test.each<[TimeOptions, readonly string[]]>([
    [{ every: 'day', from: '2024-02-28', to: '2024-03-02' }, ['2024_02_28', '2024_02_29', '2024_03_01']],
    [{ every: 'week', from: '2024-12-23', to: '2025-01-13' }, ['2024_w52', '2025_w01', '2025_w02']],
    [{ every: 'week', from: '2020-12-28', to: '2021-01-11' }, ['2020_w53', '2021_w01']],
    [{ every: 'month', from: '2024-11', to: '2025-02' }, ['2024_11', '2024_12', '2025_01']],
    [{ every: 'quarter', from: '2024-07', to: '2025-04' }, ['2024_q3', '2024_q4', '2025_q1']],
    [{ every: 'year', from: '2024', to: '2026' }, ['2024', '2025']],
    [{ every: 'year', from: new Date('2024-01-01T00:00:00Z'), to: new Date('2025-01-01T00:00:00Z') }, ['2024']],
    [
      { every: 'day', from: new Date('2024-03-09T23:00:00-06:00'), to: '2024-03-11', zone: 'America/New_York' },
      ['2024_03_10'],
    ],
  ])('%o', (options, labels) => {
    expect(time(options).labels).toEqual(labels)
  })
})

describe('owners', () => {
  test('of dates', () => {
    const fn = owned(time({ every: 'quarter', from: '2023', to: '2024' }).bind(['date']))
    const keys = [
      '2022-12-31',
      '2023-01-01',
      '2023-03-31',
      '2023-04-01',
      '2023-12-31',
      '2024-01-01',
      'infinity',
      '-infinity',
    ]
    expect(keys.map((key) => fn.owner([key]))).toEqual([undefined, 0, 0, 1, 3, undefined, undefined, undefined])
  })

  test('of timestamps are wall clocks: the zone does not matter', () => {
    const fn = owned(
      time({ every: 'day', from: '2024-03-10', to: '2024-03-12', zone: 'America/New_York' }).bind(['timestamp']),
    )
    const keys = [
      '2024-03-09 23:59:59.999999',
      '2024-03-10 00:00:00.000000',
      '2024-03-10 23:59:59.999999',
      '2024-03-11 00:00:00.000000',
    ]
    expect(keys.map((key) => fn.owner([key]))).toEqual([undefined, 0, 0, 1])
  })

  const lastMicrosecond = (instant: string): string =>
    new Date(Date.parse(instant) - 1).toISOString().replace('999Z', '999999Z')

  test.each([
    [
      'America/New_York',
      '2024-03-09',
      '2024-03-13',
      ['2024-03-09T05', '2024-03-10T05', '2024-03-11T04', '2024-03-12T04', '2024-03-13T04'],
    ],
    [
      'America/New_York',
      '2024-11-02',
      '2024-11-05',
      ['2024-11-02T04', '2024-11-03T04', '2024-11-04T05', '2024-11-05T05'],
    ],
    ['Europe/Berlin', '2024-03-30', '2024-04-02', ['2024-03-29T23', '2024-03-30T23', '2024-03-31T22', '2024-04-01T22']],
    ['Europe/Berlin', '2024-10-26', '2024-10-29', ['2024-10-25T22', '2024-10-26T22', '2024-10-27T23', '2024-10-28T23']],
    // midnight is skipped: the day starts at 01:00
    [
      'America/Sao_Paulo',
      '2018-11-03',
      '2018-11-06',
      ['2018-11-03T03', '2018-11-04T03', '2018-11-05T02', '2018-11-06T02'],
    ],
    // midnight comes twice: the first one counts
    [
      'America/Havana',
      '2024-11-02',
      '2024-11-05',
      ['2024-11-02T04', '2024-11-03T04', '2024-11-04T05', '2024-11-05T05'],
    ],
    ['UTC', '2290-01-01', '2290-01-03', ['2290-01-01T00', '2290-01-02T00', '2290-01-03T00']],
  ])('of instants in %s from %s to %s', (zone, from, to, starts) => {
    const fn = owned(time({ every: 'day', from, to, zone }).bind(['timestamptz']))
    for (const [day, hour] of starts.entries()) {
      const start = `${hour}:00:00.000000Z`
      const isEnd = day === starts.length - 1
      expect([fn.owner([lastMicrosecond(`${hour}:00:00Z`)]), fn.owner([start])]).toEqual([
        day === 0 ? undefined : day - 1,
        isEnd ? undefined : day,
      ])
    }
  })

  test('a day that a zone skipped owns nothing', () => {
    const fn = owned(
      time({ every: 'day', from: '2011-12-29', to: '2012-01-01', zone: 'Pacific/Apia' }).bind(['timestamptz']),
    )
    expect(['2011-12-30T09:59:59.999999Z', '2011-12-30T10:00:00.000000Z'].map((key) => fn.owner([key]))).toEqual([0, 2])
    expect(fn.prune([{ kind: 'range', from: bound('2011-12-30T10:00:00.000000Z', true) }])).toEqual([2])
  })
})

describe('pruning is exact at the edges', () => {
  const months = time({ every: 'month', from: '2024-01', to: '2024-04' })
  const start = '2024-02-01 00:00:00.000000'
  const last = '2024-01-31 23:59:59.999999'

  test.each<[string, { from?: KeyBound; to?: KeyBound }, ShardIndexes]>([
    ['< start', { to: bound(start, false) }, [0]],
    ['<= start', { to: bound(start, true) }, [0, 1]],
    ['>= start', { from: bound(start, true) }, [1, 2]],
    ['> last microsecond', { from: bound(last, false) }, [1, 2]],
    ['>= last microsecond', { from: bound(last, true) }, [0, 1, 2]],
    ['<= last microsecond', { to: bound(last, true) }, [0]],
    ['all of February', { from: bound(start, true), to: bound('2024-03-01 00:00:00.000000', false) }, [1]],
    ['up to infinity', { from: bound('2024-03-15 00:00:00.000000', true), to: bound('infinity', true) }, [2]],
    ['after the end', { from: bound('2024-03-31 23:59:59.999999', false) }, []],
    ['before the start', { to: bound('2024-01-01 00:00:00.000000', false) }, []],
  ])('%s', (_, range, shards) => {
    expect(owned(months.bind(['timestamp'])).prune([{ kind: 'range', ...range }])).toEqual(shards)
  })

  test('for dates', () => {
    const dates = owned(months.bind(['date']))
    expect(dates.prune([{ kind: 'range', from: bound('2024-01-31', false) }])).toEqual([1, 2])
    expect(dates.prune([{ kind: 'range', to: bound('2024-02-01', false) }])).toEqual([0])
  })

  test('for instants on a day of 23 hours', () => {
    const days = owned(
      time({ every: 'day', from: '2024-03-10', to: '2024-03-12', zone: 'America/New_York' }).bind(['timestamptz']),
    )
    expect(days.prune([{ kind: 'range', from: bound('2024-03-11T03:59:59.999999Z', false) }])).toEqual([1])
    expect(days.prune([{ kind: 'range', from: bound('2024-03-11T03:59:59.999999Z', true) }])).toEqual([0, 1])
  })
})

describe('refuses', () => {
  test.each<[TimeOptions, RegExp]>([
    [
      { every: 'week', from: '2025', to: '2026' },
      /from is 2025-01-01, inside a week; the nearest start of one is 2024-12-30/,
    ],
    [{ every: 'month', from: '2024-01', to: '2024-03-20' }, /to is 2024-03-20.*2024-04-01/],
    [{ every: 'month', from: '2024-01', to: '2024-01' }, /must be after/],
    [{ every: 'month', from: '2024-13', to: '2025' }, /from must be a day/],
    [{ every: 'month', from: 'soon', to: '2025' }, /from must be a day/],
    [{ every: 'day', from: new Date('2024-01-01T01:00:00Z'), to: '2025' }, /midnight in the zone/],
    [{ every: 'day', from: new Date(Number.NaN), to: '2025' }, /from must be a day/],
    [{ every: 'day', from: '1990', to: '2024' }, /more than 10000 periods/],
    [{ every: 'day', from: '2024', to: '2025', zone: 'Mars/Olympus' }, /no time zone "Mars\/Olympus"/],
  ])('%o', (options, pattern) => {
    expect(() => time(options)).toThrow(invalid(pattern))
  })

  test('columns that are no times', () => {
    expect(() => time({ every: 'year', from: '2024', to: '2025' }).bind(['text'])).toThrow(
      expect.objectContaining({ code: 'KEY_TYPE_UNSUPPORTED' }),
    )
  })
})
