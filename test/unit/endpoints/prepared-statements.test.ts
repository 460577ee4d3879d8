import { beforeAll, describe, expect, it } from 'vitest'
import { connectionBroke, isConnectionError, unavailable } from '../../../src/endpoints/connection-errors'
import { PreparedStatements } from '../../../src/endpoints/prepared-statements'
import { loadParser } from '../../../src/sql/parser'

beforeAll(loadParser)

describe('PreparedStatements', () => {
  it('names a text from its second time on', () => {
    const statements = new PreparedStatements(2)
    expect(statements.nameFor('SELECT 1', 0)).toBeUndefined()
    const named = statements.nameFor('SELECT 1', 0)
    expect(named).toEqual({ name: expect.any(String), text: 'SELECT 1', witnesses: 0 })
    expect(statements.nameFor('SELECT 1', 0)).toEqual(named)
    expect(statements.size).toBe(1)
  })

  it('gives a text the same name on every connection, and no other text', () => {
    const nameOf = (text: string) => {
      const statements = new PreparedStatements(1)
      statements.nameFor(text, 0)
      return statements.nameFor(text, 0)?.name
    }
    expect(nameOf('SELECT 1')).toBe(nameOf('SELECT 1'))
    const names = Array.from({ length: 100 }, (_, index) => nameOf(`DELETE FROM t WHERE id = ${index}`))
    expect(new Set(names).size).toBe(100)
    expect(names).toEqual(names.map(() => expect.stringMatching(/^ts_[\w-]{22}$/)))
  })

  it('names no text of rows that are sent as arrays: how many there are decides how they are joined', () => {
    const statements = new PreparedStatements(2)
    const sent =
      'WITH "__m0__"("id") AS (SELECT u.v0::integer FROM unnest($1::text[]) AS u(v0)) SELECT count(*) FROM "__m0__"'
    expect([1, 2, 3].map(() => statements.nameFor(sent, 1))).toEqual([undefined, undefined, undefined])
    const finished = sent.replaceAll('__m0__', '__shipped__')
    expect([1, 2].map(() => statements.nameFor(finished, 1)?.name)).toEqual([undefined, expect.any(String)])
  })

  it('lets a text go for one that is used more often, and never goes beyond its bound', () => {
    const dropped: string[] = []
    const statements = new PreparedStatements(2, (name) => dropped.push(name))
    const use = (text: string, times: number) => {
      for (let time = 1; time < times; time++) statements.nameFor(text, 0)
      return statements.nameFor(text, 0)
    }
    const first = use('SELECT 1', 9)
    const second = use('SELECT 2', 3)
    expect(use('SELECT 3', 4)).toBeUndefined()
    expect(use('SELECT 3', 1)).toMatchObject({ name: expect.any(String) })
    expect(dropped).toEqual([second?.name])
    expect(use('SELECT 1', 1)).toEqual(first)
    expect(statements.size).toBe(2)
    for (let index = 0; index < 1000; index++) statements.nameFor(`SELECT ${index} + 0`, 0)
    expect(use('SELECT 1', 1)).toEqual(first)
  })

  it('prepares the text of 128 shards, and of so long ones only so many', () => {
    const dropped: string[] = []
    const statements = new PreparedStatements(256, (name) => dropped.push(name))
    const long = (seed: number) => `SELECT ${seed} /*${'x'.repeat(200_000)}*/`
    const use = (text: string, times: number) => {
      for (let time = 1; time < times; time++) statements.nameFor(text, 0)
      return statements.nameFor(text, 0)
    }
    const first = use(long(0), 2)
    expect(first).toMatchObject({ name: expect.any(String) })
    for (let seed = 1; seed < 5; seed++) expect(use(long(seed), 9)).toMatchObject({ name: expect.any(String) })
    expect(statements.size).toBe(5)
    expect(use(long(5), 4)).toMatchObject({ name: expect.any(String) })
    expect(dropped).toEqual([first?.name])
    expect(statements.size).toBe(5)
    expect(use(`SELECT 1 /*${'x'.repeat(262_144)}*/`, 9)).toBeUndefined()
  })

  it('keeps a part of a working set that is larger than its bound', () => {
    let dropped = 0
    let named = 0
    const statements = new PreparedStatements(64, () => {
      dropped += 1
    })
    let state = 7
    for (let index = 0; index < 20_000; index++) {
      state = (state * 48_271) % 2_147_483_647
      if (statements.nameFor(`SELECT * FROM order_${state % 128} WHERE id = $1`, 1)) named += 1
    }
    expect(named / 20_000).toBeGreaterThan(0.4)
    expect(dropped / 20_000).toBeLessThan(0.05)
  })

  it('remembers texts that have no name within a bound of their letters', () => {
    const statements = new PreparedStatements(256)
    const long = (index: number) => `SELECT ${index} AS x ${' '.repeat(60_000)}`
    for (let index = 0; index < 200; index++) expect(statements.nameFor(long(index), 0)).toBeUndefined()
    expect(statements.nameFor(long(199), 0)).toBeDefined()
    expect(statements.nameFor(long(0), 0)).toBeUndefined()
    expect(statements.nameFor(`SELECT ${'1'.repeat(270_000)}`, 0)).toBeUndefined()
    expect(statements.nameFor(`SELECT ${'1'.repeat(270_000)}`, 0)).toBeUndefined()
  })

  it('names nothing that is no query, that is several, that is long, or where it may not', () => {
    const twice = (max: number, text: string, parameters = 0) => {
      const statements = new PreparedStatements(max)
      statements.nameFor(text, parameters)
      return statements.nameFor(text, parameters)
    }
    for (const text of ['START TRANSACTION', 'COMMIT', 'TRUNCATE t', 'CREATE TABLE t ()', 'SELECT 1; SELECT 2'])
      expect(twice(8, text)).toBeUndefined()
    for (const text of [
      'select 1',
      'SELECT 1 ; ',
      ' (SELECT 1)',
      'WITH x AS (SELECT 1) SELECT 1',
      'insert into t values (1)',
    ])
      expect(twice(8, text)).toBeDefined()
    expect(twice(8, 'SELECT 1', 10_000)).toBeUndefined()
    expect(twice(0, 'SELECT 1')).toBeUndefined()
  })

  it('forgets all names', () => {
    const statements = new PreparedStatements(2)
    statements.nameFor('SELECT 1', 0)
    statements.nameFor('SELECT 1', 0)
    statements.clear()
    expect(statements.size).toBe(0)
  })
})

describe('errors of connections', () => {
  const place = { node: 'a', shard: 'user_01' }
  const withCode = (code: string) => Object.assign(new Error('x'), { code })

  it.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', '57P01', '57P03', '08006', '53300'])('%s is one', (code) => {
    expect(isConnectionError(withCode(code))).toBe(true)
  })
  it.each(['23505', '40001', '57014', '0A000'])('%s is none', (code) => {
    expect(isConnectionError(withCode(code))).toBe(false)
  })
  it('knows pg’s own by their text', () => {
    expect(isConnectionError(new Error('Connection terminated unexpectedly'))).toBe(true)
    expect(isConnectionError(new Error('timeout exceeded when trying to connect'))).toBe(true)
    expect(isConnectionError(new Error('boom'))).toBe(false)
    expect(isConnectionError('Connection terminated')).toBe(false)
  })

  it.each([
    ['COMMIT', true, 'COMMIT_OUTCOME_UNKNOWN', ['outcome-unknown']],
    ['COMMIT', false, 'COMMIT_OUTCOME_UNKNOWN', ['outcome-unknown']],
    ['SELECT 1', false, 'SHARD_UNAVAILABLE', ['retryable', 'no-writes']],
    ['(SELECT 1) UNION ALL (SELECT 2)', false, 'SHARD_UNAVAILABLE', ['retryable', 'no-writes']],
    ['START TRANSACTION ISOLATION LEVEL SERIALIZABLE', false, 'SHARD_UNAVAILABLE', ['retryable', 'no-writes']],
    ['ROLLBACK', false, 'SHARD_UNAVAILABLE', ['retryable', 'no-writes']],
    ["ROLLBACK PREPARED 'x'", false, 'CONNECTION_LOST', ['outcome-unknown']],
    ['UPDATE t SET x = 1', true, 'SHARD_UNAVAILABLE', ['retryable', 'no-writes']],
    ['UPDATE t SET x = 1', false, 'CONNECTION_LOST', ['outcome-unknown']],
    ['WITH x AS (DELETE FROM t) SELECT 1', false, 'CONNECTION_LOST', ['outcome-unknown']],
  ] as const)('%s, in a transaction %s: %s', (text, inTransaction, code, labels) => {
    const cause = new Error('gone')
    expect(connectionBroke(place, text, inTransaction, cause)).toMatchObject({ code, labels, cause, details: place })
  })

  it('names the place where no connection could be had', () => {
    expect(unavailable({ node: 'a', shard: undefined }, new Error('why'))).toMatchObject({
      code: 'SHARD_UNAVAILABLE',
      message: expect.stringContaining('Node a gave no connection: why.'),
    })
    expect(unavailable(place, 'text').message).toContain('Shard user_01 on node a')
  })
})
