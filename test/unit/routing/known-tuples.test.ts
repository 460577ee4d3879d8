import { describe, expect, it } from 'vitest'
import { knownTuples } from '../../../src/routing/known-tuples'
import type { Predicate } from '../../../src/routing/predicate'

const is = (column: number, ...keys: string[]): Predicate => ({
  kind: 'key',
  column,
  constraint: { kind: 'values', keys },
})
const above = (column: number, key: string): Predicate => ({
  kind: 'key',
  column,
  constraint: { kind: 'range', from: { key, inclusive: true } },
})
const and = (...of: Predicate[]): Predicate => ({ kind: 'and', of })
const or = (...of: Predicate[]): Predicate => ({ kind: 'or', of })
const unknown: Predicate = { kind: 'unknown' }
const tuples = (predicate: Predicate, columns = 1, most = 10) =>
  knownTuples(predicate, { columns, most })?.map((tuple) => tuple.join(' '))

describe('knownTuples', () => {
  it('are those of equalities and lists', () => {
    expect(tuples(is(0, 'a'))).toEqual(['a'])
    expect(tuples(and(is(0, 'a', 'b'), unknown))).toEqual(['a', 'b'])
    expect(tuples(and(is(0, 'a', 'b'), is(1, 'x', 'y')), 2)).toEqual(['a x', 'a y', 'b x', 'b y'])
  })

  it('are none where the condition contradicts itself', () => {
    expect(tuples(and(is(0, 'a'), is(0, 'b')))).toEqual([])
    expect(tuples(or())).toEqual([])
  })

  it('are not known where a column, or a branch, is not', () => {
    expect(tuples(unknown)).toBeUndefined()
    expect(tuples(above(0, 'a'))).toBeUndefined()
    expect(tuples(is(0, 'a'), 2)).toBeUndefined()
    expect(tuples(or(is(0, 'a'), unknown))).toBeUndefined()
  })

  it('unite the branches of an OR, each with what is known around it', () => {
    expect(tuples(or(is(0, 'a'), is(0, 'b'), is(0, 'a')))).toEqual(['a', 'b'])
    expect(tuples(and(is(0, 'a'), or(is(1, 'x'), is(1, 'y'))), 2)).toEqual(['a x', 'a y'])
    expect(tuples(and(is(0, 'a', 'b', 'c'), or(is(0, 'a'), is(0, 'b'))))).toEqual(['a', 'b'])
  })

  it('are bounded', () => {
    expect(tuples(is(0, 'a', 'b', 'c'), 1, 2)).toBeUndefined()
    expect(tuples(or(is(0, 'a', 'b'), is(0, 'c')), 1, 2)).toBeUndefined()
  })
})
