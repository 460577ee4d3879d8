import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { composite } from '../../../src/functions/composite'
import { custom } from '../../../src/functions/custom'
import { hash, loadHash } from '../../../src/functions/hash'
import { list } from '../../../src/functions/list'
import { range } from '../../../src/functions/range'
import type { KeyConstraint, ShardingFunction } from '../../../src/functions/sharding-function'
import { time } from '../../../src/functions/time'
import type { CanonicalKey } from '../../../src/values/canonical-key'
import { canonicalKey } from '../../../src/values/canonical-key'
import { keyOrder } from '../../../src/values/compare-keys'
import type { KeyType } from '../../../src/values/key-type'
import { owned } from './owned'

beforeAll(loadHash)

const canonical =
  (type: KeyType) =>
  (value: unknown): CanonicalKey =>
    canonicalKey(value, type) ?? 'never'

const day = fc.date({ min: new Date('2023-12-20'), max: new Date('2025-01-10'), noInvalidDate: true })
/** Instants near midnight of some zones, to the microsecond. */
const edge = fc
  .tuple(day, fc.constantFrom(0, 4, 5, 22, 23), fc.constantFrom('00:00.000000', '59:59.999999', '00:00.000001'))
  .map(([date, hour, rest]) => `${date.toISOString().slice(0, 10)}T${String(hour).padStart(2, '0')}:${rest}Z`)
const instant = fc.oneof(
  edge,
  day.map((date) => date.toISOString()),
  fc.constantFrom('infinity', '-infinity'),
)

const keysOf: Readonly<
  Record<'integer' | 'numeric' | 'float' | 'text' | 'date' | 'timestamp' | 'timestamptz', fc.Arbitrary<CanonicalKey>>
> = {
  integer: fc
    .oneof(fc.integer({ min: -30, max: 30 }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
    .map(canonical('integer')),
  numeric: fc
    .oneof(
      fc.integer({ min: -300, max: 300 }).map((n) => n / 10),
      fc.constantFrom('NaN', 'Infinity', '-Infinity', '1e30', '-1e30', '10.0000001'),
    )
    .map(canonical('numeric')),
  float: fc.oneof(fc.integer({ min: -30, max: 30 }), fc.double()).map(canonical('float')),
  text: fc
    .string({ maxLength: 3, unit: 'grapheme' })
    .filter((text) => !text.includes('\0'))
    .map(canonical('text')),
  date: instant.map(canonical('date')),
  timestamp: instant.map(canonical('timestamp')),
  timestamptz: instant.map(canonical('timestamptz')),
}

const compare = (type: KeyType, a: CanonicalKey, b: CanonicalKey): number => keyOrder(type)?.(a, b) ?? 0

/** A constraint that the key meets: unknown, some values with the key among them, or a range around it. */
const constraintFor = (type: keyof typeof keysOf, key: CanonicalKey): fc.Arbitrary<KeyConstraint | undefined> => {
  const others = fc.array(keysOf[type], { maxLength: 3 })
  const bound = fc.option(fc.tuple(keysOf[type], fc.boolean()), { nil: undefined })
  const keep = (chosen: readonly [CanonicalKey, boolean] | undefined, side: 1 | -1) => {
    if (chosen === undefined) return undefined
    const order = compare(type, key, chosen[0]) * side
    return order > 0 ? { key: chosen[0], inclusive: chosen[1] } : { key, inclusive: true }
  }
  const ranges = fc.tuple(bound, bound).map(([low, high]): KeyConstraint => {
    const from = keep(low, 1)
    const to = keep(high, -1)
    return { kind: 'range', ...(from && { from }), ...(to && { to }) }
  })
  return fc.oneof(
    fc.constant(undefined),
    others.map((keys): KeyConstraint => ({ kind: 'values', keys: [...keys, key] })),
    ranges,
    ranges,
  )
}

const numbers = range({ shards: { d: [20, null], b: [-10, 0], c: [0, 10], a: [null, -10] } })
const texts = range({ shards: { a: [null, 'h'], b: ['h', 'é'], c: ['🏮', null] } })
const days = (zone: string) => time({ every: 'day', from: '2024-03-01', to: '2024-12-01', zone })
const byTens = custom({
  shards: ['low', 'high'],
  shardOf: (key = '') => (compare('integer', key, '10') < 0 ? 'low' : 'high'),
  prune: ({ from, to }) => [
    ...(from && compare('integer', from.key, '10') >= 0 ? [] : ['low']),
    ...(to && compare('integer', to.key, '10') < 0 ? [] : ['high']),
  ],
})

const cases: readonly (readonly [string, ShardingFunction, readonly (keyof typeof keysOf)[]])[] = [
  ['hash', hash({ shards: 7 }), ['integer']],
  ['hash of two columns', hash({ shards: 7 }), ['text', 'timestamptz']],
  ['range of integers', numbers, ['integer']],
  ['range of numerics', numbers, ['numeric']],
  ['range of floats', numbers, ['float']],
  ['range of texts', texts, ['text']],
  [
    'range of times',
    range({ shards: { a: ['2024-01-01T00:00Z', '2024-06-01T00:00Z'], b: ['2024-07-01T00:00Z', 'infinity'] } }),
    ['timestamptz'],
  ],
  ['list', list({ shards: { a: [1, 2, 3, 4, 5, 6], b: [-1, -2, -3, -4, 0] }, otherwise: 'c' }), ['integer']],
  ['list without otherwise', list({ shards: { a: [1, 2, 3, 4, 5, 6], b: [-1, -2, -3, -4, 0] } }), ['integer']],
  ['days in New York', days('America/New_York'), ['timestamptz']],
  ['days in Berlin', days('Europe/Berlin'), ['timestamptz']],
  ['days of timestamps', days('Europe/Berlin'), ['timestamp']],
  ['weeks of dates', time({ every: 'week', from: '2024-01-01', to: '2024-12-30' }), ['date']],
  ['custom', byTens, ['integer']],
  ['composite', composite(numbers, days('UTC')), ['integer', 'timestamptz']],
  ['composite with hash', composite(hash({ shards: 3 }), texts), ['integer', 'text']],
]

describe('the shards of a key are never pruned away', () => {
  test.each(cases)('%s', (_, fn, types) => {
    const bound = owned(fn.bind(types))
    const keyAndConstraints = fc
      .tuple(...types.map((type) => keysOf[type]))
      .chain((key) =>
        fc.tuple(fc.constant(key), fc.tuple(...types.map((type, at) => constraintFor(type, key[at] ?? '')))),
      )
    let placed = 0
    let pruned = 0
    fc.assert(
      fc.property(keyAndConstraints, ([key, constraints]) => {
        const owner = bound.owner(key)
        const shards = bound.prune(constraints)
        if (shards !== 'all') pruned += 1
        if (owner === undefined) return
        placed += 1
        if (shards !== 'all') expect(shards).toContain(owner)
        expect(owner).toBeLessThan(fn.labels.length)
      }),
      { numRuns: 500, seed: 20_240_229 },
    )
    // the property must not hold by having nothing to say
    expect(placed).toBeGreaterThan(25)
    expect(pruned).toBeGreaterThan(25)
  })
})

describe('what functions return is frozen', () => {
  test.each(cases)('%s', (_, fn, types) => {
    const bound = fn.bind(types)
    for (const value of [
      fn,
      fn.labels,
      bound,
      bound.spaces,
      ...bound.spaces,
      owned(bound).prune(types.map(() => ({ kind: 'values', keys: [] }))),
    ]) {
      expect(Object.isFrozen(value)).toBe(true)
    }
  })
})
