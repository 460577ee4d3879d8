import { describe, expect, test } from 'vitest'
import { ShardedError } from '../../../src/errors/sharded-error'
import { canonicalKey } from '../../../src/values/canonical-key'
import type { KeyType } from '../../../src/values/key-type'
import vectors from '../../vectors/canonical-keys.json'

const KEY_TYPES: Readonly<Record<KeyType, true>> = {
  integer: true,
  numeric: true,
  float: true,
  text: true,
  char: true,
  uuid: true,
  boolean: true,
  date: true,
  timestamp: true,
  timestamptz: true,
  bytes: true,
}

const isKeyType = (type: string): type is KeyType => Object.hasOwn(KEY_TYPES, type)

const typeOf = (type: string): KeyType => {
  if (isKeyType(type)) return type
  throw new Error(`no key type ${type}`)
}

const inputOf = ({ js, value }: { readonly js: string; readonly value: unknown }): unknown => {
  if (js === 'bigint') return BigInt(String(value))
  if (js === 'date') return new Date(String(value))
  if (js === 'buffer') return Buffer.from(String(value), 'hex')
  return js === 'undefined' ? undefined : value
}

const failure = (value: unknown, type: KeyType): unknown => {
  try {
    return canonicalKey(value, type)
  } catch (error) {
    return error
  }
}

describe('the vectors', () => {
  test('cover every type of key', () => {
    for (const part of [vectors.keys, vectors.invalid]) {
      expect(new Set(part.map(({ type }) => type))).toEqual(new Set(Object.keys(KEY_TYPES)))
    }
  })

  test.each(vectors.keys)('$type: $js $value is $canonical', (vector) => {
    expect(canonicalKey(inputOf(vector), typeOf(vector.type))).toBe(vector.canonical)
  })

  test.each(vectors.sessionDependent)('$type: $value is up to the session', (vector) => {
    expect(canonicalKey(inputOf(vector), typeOf(vector.type))).toBeUndefined()
  })

  test.each(vectors.invalid)('$type: $js $value is no value', (vector) => {
    expect(failure(inputOf(vector), typeOf(vector.type))).toMatchObject({ code: 'KEY_INVALID' })
  })

  test.each(vectors.keys)('$type: $canonical is its own canonical text', ({ canonical, type }) => {
    expect(canonicalKey(canonical, typeOf(type))).toBe(canonical)
  })
})

describe('errors', () => {
  test('name the JavaScript type and the type of the key', () => {
    const error = failure(true, 'integer')
    expect(error).toBeInstanceOf(ShardedError)
    expect(error).toMatchObject({
      message: expect.stringContaining('A boolean is not a value of an integer shard key.'),
      details: { keyType: 'integer', valueType: 'boolean' },
    })
    expect(failure(null, 'uuid')).toMatchObject({
      message: expect.stringContaining('Null is not a value of a uuid shard key.'),
    })
  })

  test('cut long texts', () => {
    const error = failure('x'.repeat(10_000), 'integer')
    expect(error instanceof Error && error.message.length).toBeLessThan(250)
  })

  test('say how to pass a number that JavaScript has rounded', () => {
    expect(failure(2 ** 53, 'integer')).toMatchObject({
      message: expect.stringContaining('pass it as a bigint or a string'),
    })
  })
})

describe('a Date', () => {
  const date = new Date(2024, 0, 15, 23, 30, 5, 7)

  test('is the local day of a date column and the local wall clock of a timestamp column', () => {
    expect(canonicalKey(date, 'date')).toBe('2024-01-15')
    expect(canonicalKey(date, 'timestamp')).toBe('2024-01-15 23:30:05.007000')
  })

  test('is its instant for a timestamptz column', () => {
    expect(canonicalKey(date, 'timestamptz')).toBe(date.toISOString().replace('007Z', '007000Z'))
  })

  test('before the year 1 is left to the database', () => {
    const ancient = new Date(-99_999_999_999_999)
    for (const type of ['date', 'timestamp', 'timestamptz'] as const)
      expect(canonicalKey(ancient, type)).toBeUndefined()
  })
})

test('an offset that leads before the year 1 is left to the database', () => {
  expect(canonicalKey('0001-01-01 00:00+05', 'timestamptz')).toBeUndefined()
})

test('a lone surrogate is the character that UTF-8 makes of it', () => {
  expect(canonicalKey('a\ud800', 'text')).toBe('a\ufffd')
})

test('a view into a larger buffer is its own bytes', () => {
  expect(canonicalKey(new Uint8Array([1, 2, 3, 4]).subarray(1, 3), 'bytes')).toBe('\\x0203')
})

test('numeric keys are exact up to the limits of PostgreSQL', () => {
  expect(canonicalKey('1e131071', 'numeric')).toHaveLength(131_072)
  expect(canonicalKey('1e-16383', 'numeric')).toHaveLength(16_385)
})
