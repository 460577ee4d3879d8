import { composite, custom, hash, list, range, type ShardingFunction, time } from '../../src'
import { isWhole } from '../support/share-of'
import { dayKeys } from './columns'
import type { EntityName } from './entities'
import { regressions } from './regressions'

export const functionNames = ['hash', 'range', 'list', 'time', 'custom', 'composite'] as const
export type FunctionName = (typeof functionNames)[number]
export const shardCounts = [1, 3, 8] as const
/** More than most functions of the test declare: only `hash` and `custom` make as many as they are told. */
export const manyShards = [17, 64] as const
export type ShardCount = (typeof shardCounts)[number] | (typeof manyShards)[number]
export const layouts = ['schema', 'table'] as const

export interface Configuration {
  readonly fn: FunctionName
  readonly shards: ShardCount
  readonly layout: (typeof layouts)[number]
}

/** A colocation group: the entity that names it and its child. */
export interface GroupSpec {
  readonly group: string
  readonly entities: readonly EntityName[]
  readonly shards: ShardingFunction
}

const groups = {
  account: ['Account', 'Entry'],
  parcel: ['Parcel', 'Item'],
  reading: ['Reading'],
  happening: ['Happening'],
  diary: ['Diary'],
  label: ['Label'],
  ticket: ['Ticket'],
  specimen: ['Specimen', 'Finding'],
  member: ['Member'],
  shift: ['Shift'],
  bill: ['Bill', 'Line'],
  quote: ['Quote'],
  crate: ['Crate', 'Tin'],
} as const satisfies Record<string, readonly EntityName[]>

type GroupName = keyof typeof groups

const cut = (bounds: readonly string[], count: ShardCount): ShardingFunction => {
  const inner = count === 1 ? [] : count === 3 ? bounds.filter((_, index) => index === 2 || index === 4) : bounds
  const ends = [null, ...inner, null]
  return range({
    shards: Object.fromEntries(
      inner.concat('').map((_, index) => [`r${index}`, [ends[index] ?? null, ends[index + 1] ?? null]]),
    ),
  })
}

const owned = (values: readonly string[], count: ShardCount): ShardingFunction => {
  if (count === 1) return list({ shards: {}, otherwise: 'only' })
  const named = Array.from({ length: count - 1 }, (_, shard) => [
    `l${shard}`,
    values.filter((_, index) => index % count === shard),
  ])
  return list({ shards: Object.fromEntries(named), otherwise: 'rest' })
}

const byLength = (count: ShardCount): ShardingFunction => {
  const names = Array.from({ length: count }, (_, index) => `c${index}`)
  const sum = (text: string): number => [...text].reduce((total, one) => total + (one.codePointAt(0) ?? 0), 0)
  return custom({ shards: names, shardOf: (...key) => names[sum(key.join('/')) % count] })
}

const numbers = Array.from({ length: 34 }, (_, index) => String(index + 1))
const days = dayKeys.map(String)

const ownerBounds = ['2', '3', '5', '7', '8', '9', '11']
const dayBounds = ['2024-01-15', '2024-03-01', '2024-04-01', '2024-06-15', '2024-07-28', '2024-09-15', '2024-12-01']

const periods = (count: ShardCount): ShardingFunction =>
  count === 1
    ? time({ every: 'year', from: '2024', to: '2025' })
    : count === 3
      ? time({ every: 'year', from: '2023', to: '2026' })
      : time({ every: 'quarter', from: '2023', to: '2025' })

const made: Readonly<Record<FunctionName, (count: ShardCount) => Partial<Record<GroupName, ShardingFunction>>>> = {
  hash: (count) => {
    const fn = hash({ shards: count })
    return {
      account: fn,
      parcel: fn,
      reading: fn,
      happening: fn,
      diary: fn,
      label: fn,
      ticket: fn,
      specimen: fn,
      member: fn,
      shift: fn,
      bill: fn,
      quote: fn,
    }
  },
  range: (count) => ({
    member: cut(dayBounds, count),
    bill: cut(ownerBounds, count),
    account: cut(['-9007199254740993', '0', '5', '10', '20', '30', '9007199254740993'], count),
    specimen: cut(['-7', '3', '5', '10', '15', '20', '30'], count),
    crate: cut(['3', '5', '8', '10', '15', '20', '25'], count),
    parcel: cut(ownerBounds, count),
    happening: cut(
      ['02-01', '04-01', '05-01', '07-01', '08-01', '09-01', '12-01'].map((day) => `2024-${day}T00:00:00Z`),
      count,
    ),
    diary: cut(dayBounds, count),
    label: cut(['1', 'A', 'B', 'a', 'b', 'é', '中'], count),
  }),
  list: (count) => ({
    account: owned(numbers, count),
    parcel: owned(numbers.slice(0, 12), count),
    bill: owned(numbers.slice(0, 12), count),
    specimen: owned(numbers.slice(0, 30), count),
    crate: owned(numbers.slice(0, 30), count),
    diary: owned(days, count),
    member: owned(days, count),
    label: owned(['', ' ', 'a', 'A', 'b', 'é', 'É', '10', '😀', '100%', '中文'], count),
  }),
  time: (count) => ({ happening: periods(count), diary: periods(count), member: periods(count) }),
  custom: (count) => {
    const fn = byLength(count)
    return {
      account: fn,
      parcel: fn,
      reading: fn,
      happening: fn,
      label: fn,
      ticket: fn,
      specimen: fn,
      member: fn,
      shift: fn,
      bill: fn,
      quote: fn,
    }
  },
  composite: (count) => {
    const fn =
      count === 1
        ? composite(hash({ shards: 1 }), time({ every: 'year', from: '2024', to: '2025' }))
        : count === 3
          ? composite(
              hash({ shards: 1 }),
              cut(['2024-01-02', '2024-03-01', '2024-04-01', '2024-06-01', '2024-09-01'], 3),
            )
          : composite(
              list({ shards: { one: [1, 2] }, otherwise: 'other' }),
              time({ every: 'quarter', from: '2024', to: '2025' }),
            )
    return { reading: fn, shift: fn }
  },
}

export const groupsOf = ({ fn, shards }: Configuration): readonly GroupSpec[] =>
  Object.entries(made[fn](shards)).map(([group, one]) => ({ group, entities: groups[group as GroupName], shards: one }))

const configurationsOf = (fn: FunctionName): readonly Configuration[] =>
  [...shardCounts, ...(fn === 'hash' || fn === 'custom' ? manyShards : [])].flatMap((shards) =>
    // Many shards in one layout each: what is many is asked of both.
    layouts
      .filter((layout) => shards < manyShards[0] || (layout === 'table') === (shards === manyShards[0]))
      .map((layout) => ({ fn, shards, layout })),
  )

/**
 * Each function, number of shards and layout meets each of the others, though not all three meet. Of many shards, whose tables take
 * longest to make, one function has 64 and the other 17.
 */
const isInShare = ({ fn, shards, layout }: Configuration): boolean => {
  if (shards >= manyShards[0]) return (fn === 'custom') === (shards === 64)
  const isTable = (functionNames.indexOf(fn) % 2 === 0) !== (shards === 3)
  return isTable === (layout === 'table')
}

/** The configurations that this run tests: all in `.ci/run` and in a long run, else a share, and those in which something once differed. */
export const testedOf = (fn: FunctionName): readonly Configuration[] => {
  const isAll = isWhole || process.env['DIFFERENTIAL_OPS'] !== undefined
  const once = new Set(regressions.map((one) => nameOf(one.case.configuration)))
  return configurationsOf(fn).filter((one) => isAll || isInShare(one) || once.has(nameOf(one)))
}

export const nameOf = ({ fn, shards, layout }: Configuration): string => `${fn}, ${shards} shards, ${layout} layout`
