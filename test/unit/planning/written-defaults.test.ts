import { beforeAll, describe, expect, it } from 'vitest'
import { templateOf } from '../../../src/planning/statement-template'
import { withWrittenDefaults } from '../../../src/planning/written-defaults'
import { parseStatement } from '../../../src/sql/parse-statement'
import { loadParser } from '../../../src/sql/parser'
import { clockExpression } from '../../../src/typeorm/binding/clock-defaults'

const statementOf = (text: string) => {
  const [statement] = parseStatement(text)?.statements ?? []
  if (!statement) throw new RangeError(text)
  return statement
}

/** With the defaults of two columns: the text as the printer writes it. */
function written(text: string): string {
  const defaults = new Map(
    ['now()', 'CURRENT_DATE'].flatMap((value, index) => {
      const expression = clockExpression(value)
      return expression ? [[['at', 'day'][index] ?? '', expression]] : []
    }),
  )
  return templateOf(withWrittenDefaults(statementOf(text), defaults)).text.replace(/\s+/g, ' ')
}

const printed = (text: string): string => templateOf(statementOf(text)).text.replace(/\s+/g, ' ')

describe('defaults that a write takes', () => {
  beforeAll(() => loadParser())

  it.each([
    [
      'INSERT INTO t (id, at) VALUES ($1, DEFAULT), ($2, $3) RETURNING at',
      'INSERT INTO t (id, at, day) VALUES ($1, now(), CURRENT_DATE), ($2, $3, CURRENT_DATE) RETURNING at',
    ],
    [
      'INSERT INTO t (id) SELECT c0 FROM unnest($1) WITH ORDINALITY AS g(c0, p) ORDER BY p',
      'INSERT INTO t (id, at, day) SELECT c0, now(), CURRENT_DATE FROM unnest($1) WITH ORDINALITY AS g(c0, p) ORDER BY p',
    ],
    [
      'INSERT INTO t (id, at) SELECT 1, $1 UNION SELECT a, b FROM u',
      'INSERT INTO t (id, at, day) SELECT 1, $1, CURRENT_DATE UNION SELECT a, b, CURRENT_DATE FROM u',
    ],
    ['INSERT INTO t DEFAULT VALUES', 'INSERT INTO t (at, day) VALUES (now(), CURRENT_DATE)'],
    [
      'INSERT INTO t (id, at, day) VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n, at = DEFAULT',
      'INSERT INTO t (id, at, day) VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n, at = now()',
    ],
    ['UPDATE t SET at = DEFAULT, n = DEFAULT WHERE id = 1', 'UPDATE t SET at = now(), n = DEFAULT WHERE id = 1'],
  ])('%s', (text, expected) => {
    expect(written(text)).toBe(printed(expected))
  })

  it.each([
    'INSERT INTO t (id, at, day) VALUES (1, $1, $2)',
    'INSERT INTO t VALUES (1, $1)',
    'UPDATE t SET at = $1',
    'DELETE FROM t',
  ])('leaves what takes none: %s', (text) => {
    expect(written(text)).toBe(printed(text))
  })
})

describe('a default', () => {
  beforeAll(() => loadParser())

  it.each([
    'now()',
    'CURRENT_TIMESTAMP(3)',
    'LOCALTIMESTAMP',
    'CURRENT_DATE',
    `now() + interval '1 day'`,
    `date_trunc('day', transaction_timestamp())`,
    'CURRENT_USER',
    'session_user',
  ])('%s is one value for a transaction', (text) => {
    expect(clockExpression(text)).toBeDefined()
  })

  it.each([
    'clock_timestamp()',
    'statement_timestamp()',
    'gen_random_uuid()',
    `now() + random() * interval '1 day'`,
    'mine(now())',
    `'2024-01-01'`,
    '7',
  ])('%s is the node’s own', (text) => {
    expect(clockExpression(text)).toBeUndefined()
  })
})
