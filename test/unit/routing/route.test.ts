import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { hash, loadHash, slotOfKey } from '../../../src/functions/hash'
import { range } from '../../../src/functions/range'
import { bothConstraints } from '../../../src/routing/constrain'
import type { Predicate } from '../../../src/routing/predicate'
import { keyText, ownerOf, routePredicate } from '../../../src/routing/route'
import { checkScatter } from '../../../src/routing/scatter-policy'
import { key, placedEntity, shardedEntity } from './sharded-entity'

beforeAll(loadHash)

const equal = (value: number, column = 0): Predicate => values([value], column)
const values = (list: readonly number[], column = 0): Predicate => ({
  kind: 'key',
  column,
  constraint: { kind: 'values', keys: list.map((one) => key(one)) },
})
const between = (from: number, to: number): Predicate => ({
  kind: 'key',
  column: 0,
  constraint: { kind: 'range', from: { key: key(from), inclusive: true }, to: { key: key(to), inclusive: true } },
})
const unknown: Predicate = { kind: 'unknown' }
const and = (...of: Predicate[]): Predicate => ({ kind: 'and', of })
const or = (...of: Predicate[]): Predicate => ({ kind: 'or', of })

const hashed = () => placedEntity(hash({ shards: 8 }), ['integer'])
const tens = () => placedEntity(range({ shards: { a: [0, 10], b: [10, 20], c: [20, 30], d: [30, 40] } }), ['integer'])

describe('routePredicate', () => {
  it('explains each kind of route', () => {
    expect(routePredicate(tens(), equal(5))).toEqual({
      shards: [0],
      reason: 'the condition on Order.key0 leaves 1 of 4 shards',
    })
    expect(routePredicate(tens(), unknown).reason).toBe('the condition says nothing that narrows Order.key0')
    expect(routePredicate(tens(), and(equal(5), equal(15)))).toEqual({
      shards: [0],
      reason: 'the condition on Order.key0 contradicts itself: one shard gives the empty answer',
    })
  })

  it('refuses keys that nobody owns', () => {
    for (const predicate of [equal(99), values([1, 99]), or(equal(1), equal(99)), and(unknown, equal(99))])
      expect(() => routePredicate(tens(), predicate)).toThrow(expect.objectContaining({ code: 'KEY_NOT_OWNED' }))
    expect(() => ownerOf(tens(), [key(40)])).toThrow(/Order\.key0 = 40/)
  })

  it('routes a nest of twenty factors in linear time', () => {
    const factor = (n: number): Predicate => or(equal(n % 40), equal((n * 7) % 40), and(unknown, between(n, n + 1)))
    let nest: Predicate = equal(5)
    for (let depth = 0; depth < 20; depth++) nest = or(and(factor(depth), factor(depth + 1)), and(nest, factor(depth)))
    const started = performance.now()
    for (let round = 0; round < 10; round++) routePredicate(hashed(), nest)
    expect(performance.now() - started).toBeLessThan(500)
  })

  it('names composite keys in brackets', () => {
    expect(keyText(shardedEntity(hash({ shards: 2 }), ['integer', 'text']))).toBe('Order.(key0, key1)')
  })

  it('never leaves out the owner of a key that meets the predicate', () => {
    const n = fc.integer({ min: 0, max: 39 })
    const leaf = fc.oneof(
      n.map((value) => equal(value)),
      fc.array(n, { maxLength: 4 }).map((list) => values(list)),
      fc.tuple(n, n).map(([a, b]) => between(Math.min(a, b), Math.max(a, b))),
      fc
        .array(n, { maxLength: 3 })
        .map((list): Predicate => ({ kind: 'slots', slots: list.map((value) => slotOfKey([key(value)])) })),
      fc.constant(unknown),
    )
    const { tree } = fc.letrec<{ tree: Predicate }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc.array(tie('tree'), { minLength: 1, maxLength: 4 }).map((of) => and(...of)),
        fc.array(tie('tree'), { minLength: 1, maxLength: 4 }).map((of) => or(...of)),
      ),
    }))
    const meets = (predicate: Predicate, value: number): boolean => {
      if (predicate.kind === 'and') return predicate.of.every((one) => meets(one, value))
      if (predicate.kind === 'or') return predicate.of.some((one) => meets(one, value))
      if (predicate.kind === 'unknown') return true
      if (predicate.kind === 'slots') return predicate.slots.includes(slotOfKey([key(value)]))
      const { constraint } = predicate
      if (constraint.kind === 'values') return constraint.keys.includes(key(value))
      return value >= Number(constraint.from?.key) && value <= Number(constraint.to?.key)
    }
    fc.assert(
      fc.property(tree, (predicate) => {
        for (const entity of [hashed(), tens()]) {
          const { shards } = routePredicate(entity, predicate)
          for (let value = 0; value < 40; value++) {
            if (meets(predicate, value)) expect(shards).toContain(ownerOf(entity, [key(value)]))
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('bothConstraints', () => {
  const some = { kind: 'values', keys: ['1', '2'] } as const
  const low = { kind: 'range', from: { key: '1', inclusive: true } } as const
  const high = { kind: 'range', to: { key: '9', inclusive: false } } as const

  it('intersects values, prefers values, and closes ranges', () => {
    expect(bothConstraints(some, { kind: 'values', keys: ['2', '3'] })).toEqual({ kind: 'values', keys: ['2'] })
    expect(bothConstraints(some, low)).toBe(some)
    expect(bothConstraints(low, some)).toBe(some)
    expect(bothConstraints(low, high)).toEqual({ kind: 'range', from: low.from, to: high.to })
  })
})

describe('checkScatter', () => {
  const operation = { name: 'find', writes: false, width: 4, explicit: false }

  it.each([
    ['allow', false, undefined],
    ['warn', false, 'Order.find does not narrow Order.key0 and reaches 4 shards.'],
    ['warn', true, undefined],
    ['forbid', true, undefined],
  ] as const)('by the policy %s, explicit %s', (reads, explicit, expected) => {
    expect(checkScatter(shardedEntity(hash({ shards: 4 }), ['integer'], { reads }), { ...operation, explicit })).toBe(
      expected,
    )
  })

  it('forbids, and counts what acrossShards() may not pass either', () => {
    const entity = shardedEntity(hash({ shards: 4 }), ['integer'], { reads: 'forbid', maxShards: 3 })
    expect(checkScatter(entity, { ...operation, width: 1 })).toBeUndefined()
    expect(() => checkScatter(entity, { ...operation, width: 3 })).toThrow(
      expect.objectContaining({ code: 'SCATTER_FORBIDDEN' }),
    )
    expect(checkScatter(entity, { ...operation, width: 3, writes: true })).toBeUndefined()
    expect(() => checkScatter(entity, { ...operation, explicit: true })).toThrow(
      expect.objectContaining({ code: 'SCATTER_TOO_WIDE' }),
    )
  })
})
