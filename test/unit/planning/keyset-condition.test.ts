import { describe, expect, it } from 'vitest'
import { type KeysetTerm, keysetCondition } from '../../../src/planning/keyset-condition'

const term = (name: string, more: Partial<KeysetTerm> = {}): KeysetTerm => ({
  expression: name,
  value: `$${name}`,
  isNull: false,
  descending: false,
  nullsFirst: false,
  nullable: false,
  ...more,
})
const down = { descending: true, nullsFirst: true }

describe('keysetCondition', () => {
  it.each<readonly [string, readonly KeysetTerm[], string]>([
    ['one term', [term('a')], 'a > $a'],
    ['one term downwards', [term('a', down)], 'a < $a'],
    ['terms one way, as a row', [term('a'), term('b'), term('c')], '(a, b, c) > ($a, $b, $c)'],
    ['terms downwards, as a row', [term('a', down), term('b', down)], '(a, b) < ($a, $b)'],
    ['both ways, behind a bound', [term('a', down), term('b')], '(a <= $a AND (a < $a OR (a = $a AND b > $b)))'],
    [
      'runs of one way',
      [term('a'), term('b'), term('c', down), term('d', down)],
      '((a, b) >= ($a, $b) AND ((a, b) > ($a, $b) OR ((a, b) = ($a, $b) AND (c, d) < ($c, $d))))',
    ],
    [
      'NULLs still to come',
      [term('a', { nullable: true }), term('b')],
      '((a > $a OR a IS NULL) OR (a = $a AND b > $b))',
    ],
    [
      'NULLs behind',
      [term('a', { nullable: true, nullsFirst: true }), term('b')],
      '(a >= $a AND (a > $a OR (a = $a AND b > $b)))',
    ],
    ['in the NULLs at the end', [term('a', { nullable: true, isNull: true }), term('b')], '(a IS NULL AND b > $b)'],
    [
      'in the NULLs at the start',
      [term('a', { nullable: true, isNull: true, nullsFirst: true }), term('b')],
      '(a IS NOT NULL OR (a IS NULL AND b > $b))',
    ],
    ['at the very last NULL', [term('a', { nullable: true, isNull: true })], 'FALSE'],
    ['NULL in a column that should have none', [term('a', { isNull: true }), term('b')], '(a IS NULL AND b > $b)'],
  ])('compares %s', (_, terms, sql) => {
    expect(keysetCondition(terms)).toBe(sql)
  })
})
