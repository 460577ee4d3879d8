import { describe, expect, it } from 'vitest'
import { connectionBroke, isConnectionError, unavailable } from '../../../src/execution/connection-errors'
import { PreparedStatements } from '../../../src/execution/prepared-statements'

describe('PreparedStatements', () => {
  it('names a text from its second time on', () => {
    const statements = new PreparedStatements(2)
    expect(statements.nameFor('SELECT 1', 0)).toBeUndefined()
    const named = statements.nameFor('SELECT 1', 0)
    expect(named).toEqual({ name: expect.any(String) })
    expect(statements.nameFor('SELECT 1', 0)).toEqual(named)
    expect(statements.size).toBe(1)
  })

  it('evicts the text that was used least recently, and never goes beyond its bound', () => {
    const statements = new PreparedStatements(2)
    const use = (text: string) => statements.nameFor(text, 0) ?? statements.nameFor(text, 0)
    const first = use('SELECT 1')
    const second = use('SELECT 2')
    use('SELECT 1')
    expect(use('SELECT 3')).toMatchObject({ evicted: second?.name })
    expect(statements.nameFor('SELECT 1', 0)).toEqual({ name: first?.name })
    expect(statements.size).toBe(2)
    for (let index = 0; index < 1000; index++) statements.nameFor(`SELECT ${index} + 0`, 0)
    expect(statements.nameFor('SELECT 1', 0)).toEqual({ name: first?.name })
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
