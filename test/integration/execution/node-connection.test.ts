import type { EventEmitter } from 'node:events'
import { Client, type PoolClient } from 'pg'
import QueryStream from 'pg-query-stream'
import { afterAll, beforeAll, describe, expect, it, onTestFailed, vi } from 'vitest'
import { Cancellation } from '../../../src/endpoints/cancellation'
import type { NodeConnection } from '../../../src/endpoints/node-connection'
import { NodePool } from '../../../src/endpoints/node-pool'
import { loadParser } from '../../../src/sql/parser'
import { NodeTransaction } from '../../../src/transactions/node-transaction'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

let databases: FreshDatabases
let pool: NodePool

beforeAll(async () => {
  // Statements are prepared once it is loaded, which a data source does at its start.
  await loadParser()
  databases = await createDatabases(1)
  pool = new NodePool({
    name: 'a',
    pool: { connectionString: databases.nodes[0], max: 1 },
    maxPrepared: 64,
    onPoolError: () => undefined,
  })
})

afterAll(async () => {
  await pool.end()
  await databases.drop()
})

describe('NodeConnection', () => {
  it('is not idle while somebody reads a stream on it', async () => {
    const { connection, release } = await pool.acquire()
    const stream = connection.submit(
      new QueryStream('SELECT n FROM generate_series(1, 40) AS n', [], { batchSize: 2, highWaterMark: 1 }),
    )
    const idle: number[] = []
    for await (const _ of stream) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      idle.push(connection.idleMs)
    }
    release()
    expect(idle).toHaveLength(40)
    expect(Math.max(...idle)).toBeLessThan(200)
  })

  it('is looked after by one timer, however often the background takes one', async () => {
    const intervals = vi.spyOn(globalThis, 'setInterval')
    for (let count = 0; count < 3; count++) await pool.background.query('SELECT 1')
    expect(intervals.mock.calls.length).toBeLessThan(2)
    intervals.mockRestore()
  })

  it('goes back, with its turn, where the watch of locks cannot learn its process', async () => {
    const transaction = await NodeTransaction.open(pool, {}, { isolation: undefined, script: () => [] })
    transaction.connection.destroy(new Error('cut'))
    await expect(transaction.learnPid()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' })
    expect(pool.transactions.counts.taken).toBe(0)
    expect((await pool.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }])
  })

  it('sends statements that are asked for at once one after the other, past one that fails', async () => {
    const { connection, release } = await pool.acquire()
    const texts = ['SELECT 1 AS value', 'SELECT nonsense', 'SELECT $1::int AS value', 'SELECT 3 AS value']
    const settled = await Promise.allSettled(
      texts.map((text) => connection.query(text, text.includes('$1') ? [2] : undefined, undefined)),
    )
    release()
    expect(settled.map((one) => (one.status === 'fulfilled' ? one.value.rows[0].value : one.reason.code))).toEqual([
      1,
      '42703',
      2,
      3,
    ])
  })

  it('keeps the order of asking when another is asked for as one ends', async () => {
    const { connection, release } = await pool.acquire()
    const order: number[] = []
    const ask = (value: number) =>
      connection.query('SELECT $1::int AS value', [value], undefined).then(({ rows }) => order.push(rows[0].value))
    await Promise.all([ask(1).then(() => ask(4)), ask(2), ask(3)])
    release()
    expect(order).toEqual([1, 2, 3, 4])
  })

  it('prepares what comes twice, and plans anew when a table changed', async () => {
    await pool.query('CREATE TABLE thing (id int)')
    const prepared: boolean[] = []
    const stop = pool.onStatement((event) => prepared.push(event.prepared))
    for (let round = 0; round < 3; round++) await pool.query('SELECT * FROM thing')
    for (let round = 0; round < 2; round++) await pool.query('SELECT 1 AS a')
    for (let round = 0; round < 2; round++) await pool.query('SELECT 2 AS b')
    stop()
    expect(prepared).toEqual([false, true, true, false, true, false, true])
    for (let round = 0; round < 2; round++) await pool.query('SELECT * FROM thing')
    await pool.query('ALTER TABLE thing ADD COLUMN name text')
    const { fields } = await pool.query('SELECT * FROM thing')
    expect(fields.map(({ name }) => name)).toEqual(['id', 'name'])
  })

  it('has the rows of a prepared statement described once, and gives the same each time', async () => {
    const { connection, release } = await pool.acquire()
    let described = 0
    wireOf(connection.client).on('rowDescription', () => {
      described += 1
    })
    const text = `SELECT $1::int AS a, $2::text AS b, '2024-02-29T00:00:00Z'::timestamptz AS c, ARRAY[1.5, NULL] AS d, 7 AS a`
    const results = []
    for (const b of ['x', null, 'y', '', 'z']) {
      const result = await connection.query(text, [1, b], undefined)
      results.push(result)
      expect(result.rows).toEqual([{ a: 7, b, c: new Date('2024-02-29T00:00:00Z'), d: [1.5, null] }])
      result.rows[0].b = 'mine'
    }
    const [first, ...others] = results.map(({ fields, command, rowCount, oid }) => ({ fields, command, rowCount, oid }))
    for (const other of others) expect(other).toEqual(first)
    expect(described).toBe(2)
    release()
  })

  it('prepares writes, with and without rows, of one row and none', async () => {
    await pool.query('CREATE TABLE written (id int)')
    const insert = async (text: string, id: number) => {
      const { rows, rowCount, command } = await pool.query(text, [id])
      return { rows, rowCount, command }
    }
    for (const id of [1, 2, 3]) {
      expect(await insert('INSERT INTO written SELECT $1::int', id)).toEqual({
        rows: [],
        rowCount: 1,
        command: 'INSERT',
      })
      const written = { rows: [{ id }], rowCount: 1, command: 'DELETE' }
      expect(await insert('DELETE FROM written WHERE id = $1 RETURNING id', id)).toEqual(written)
    }
    expect((await insert('DELETE FROM written WHERE id = $1 RETURNING id', 1)).rows).toEqual([])
  })

  it('parses by the parsers that are set when a statement runs', async () => {
    const { connection, release } = await pool.acquire()
    const one = async () => (await connection.query('SELECT 1::int8 AS one', undefined, undefined)).rows[0].one
    expect([await one(), await one(), await one()]).toEqual(['1', '1', '1'])
    connection.client.setTypeParser(20, (text: string) => BigInt(text))
    expect([await one(), await one()]).toEqual([1n, 1n])
    connection.client.setTypeParser(20, (text: string) => text)
    expect([await one(), await one()]).toEqual(['1', '1'])
    release()
  })

  it.each([
    ['', 'SELECT'],
    [' in a transaction', 'BEGIN'],
    [' in a transaction that waits for its first statement', 'START TRANSACTION'],
  ])('may be used on after a value that cannot be sent%s', async (_where, begin) => {
    const { connection, release } = await pool.acquire()
    await connection.query(begin, undefined, undefined)
    const ask = (value: unknown) => connection.query('SELECT $1::text AS value', [value], undefined)
    const bad = {
      toPostgres: () => {
        throw new RangeError('no such value')
      },
    }
    for (const _ of [1, 2, 3]) {
      expect((await ask('good')).rows).toEqual([{ value: 'good' }])
      await expect(ask(bad)).rejects.toThrow('no such value')
    }
    await connection.query('ROLLBACK', undefined, undefined)
    release()
  })

  it('sends several statements in one text as often as it is asked to', async () => {
    for (const _ of [1, 2, 3]) {
      const results: unknown = await pool.query('SELECT 1 AS one; SELECT 2 AS two')
      expect(results).toMatchObject([{ rows: [{ one: 1 }] }, { rows: [{ two: 2 }] }])
    }
  })

  it('knows the state of its transaction from the server, however it was begun and ended', async () => {
    const { connection, release } = await pool.acquire()
    const ask = (text: string) => connection.query(text, undefined, undefined).catch(() => undefined)
    const failed: boolean[] = []
    for (const text of [
      'SELECT 1; begin',
      'SELECT nonsense',
      'rollback /* all */',
      '/* a comment */ start transaction; SAVEPOINT s',
      'SELECT nonsense',
      'ROLLBACK TO s',
      'end',
      'SELECT nonsense',
    ]) {
      await ask(text)
      failed.push(connection.isTransactionFailed)
    }
    release()
    expect(failed).toEqual([false, true, false, false, true, false, false, false])
  })

  describe('starts a transaction with its first statement', () => {
    /** Nothing is dropped from it, which would be a message more. */
    let roomy: NodePool
    beforeAll(() => {
      roomy = new NodePool({
        name: 'a',
        pool: { connectionString: databases.nodes[0], max: 1 },
        maxPrepared: 20,
        onPoolError: () => undefined,
      })
    })
    /** A failed test keeps no connection from those after it. */
    const acquire = async () => {
      const lease = await roomy.acquire()
      onTestFailed(() => lease.release(true))
      return lease
    }
    afterAll(() => roomy.end())
    const ask = (connection: NodeConnection) => async (text: string, values?: readonly unknown[]) =>
      (await connection.query(text, values, undefined)).rows[0]
    /** The transaction of the statement: each outside of one has an id of its own. */
    const which = 'SELECT pg_current_xact_id()::text AS id, current_setting($1) AS level'

    it('in one message, however that is sent', async () => {
      const ready: unknown[] = []
      for (const [text, values, messages] of [
        [which, ['transaction_isolation'], 1],
        [which, ['transaction_isolation'], 1],
        [which, ['transaction_isolation'], 1],
        [which.replace('$1', `'transaction_isolation'`), undefined, 2],
        [which.replace('$1', `'transaction_isolation'`), undefined, 1],
      ] as const) {
        const { connection, release } = await acquire()
        const heard = () => ready.push(0)
        wireOf(connection.client).on('readyForQuery', heard)
        const query = ask(connection)
        await query('START TRANSACTION ISOLATION LEVEL SERIALIZABLE')
        expect(connection.inTransaction).toBe(true)
        ready.length = 0
        const first = await query(text, values)
        expect(ready).toHaveLength(messages)
        expect(first.level).toBe('serializable')
        expect(await query(text, values)).toEqual(first)
        await query('COMMIT')
        expect(connection.inTransaction).toBe(false)
        expect((await query(text, values)).id).not.toBe(first.id)
        wireOf(connection.client).off('readyForQuery', heard)
        release()
      }
    })

    it('before a stream of pg, and before a COPY', async () => {
      await pool.query('CREATE TABLE IF NOT EXISTS copied (id int)')
      const { connection, release } = await acquire()
      const query = ask(connection)
      await query('START TRANSACTION')
      const [row] = await connection.submit(new QueryStream('SELECT pg_current_xact_id()::text AS id')).toArray()
      expect((await query('SELECT pg_current_xact_id()::text AS id')).id).toBe(row.id)
      await query('ROLLBACK')
      await query('START TRANSACTION')
      expect(await connection.copy('COPY copied FROM STDIN', Buffer.from('1\n2\n'), 's')).toBe(2)
      await query('ROLLBACK')
      release()
      expect((await pool.query('SELECT count(*)::int AS count FROM copied')).rows).toEqual([{ count: 0 }])
    })

    it('and fails with it as in one that was started before', async () => {
      const { connection, release } = await acquire()
      const query = ask(connection)
      for (const [text, values, code] of [
        ['SELECT $1::text FROM nowhere', ['1'], '42P01'],
        ['SELECT 1 / $1::int', [0], '22012'],
        ['SELECT nonsense', undefined, '42703'],
      ] as const)
        for (let round = 0; round < 3; round++) {
          await query('START TRANSACTION')
          await expect(query(text, values)).rejects.toMatchObject({ code })
          expect(connection.isTransactionFailed).toBe(true)
          await expect(query('SELECT $1::int', [1])).rejects.toMatchObject({ code: '25P02' })
          expect((await connection.query('COMMIT', undefined, undefined)).command).toBe('ROLLBACK')
          expect(await query('SELECT $1::int AS one', [1])).toEqual({ one: 1 })
        }
      release()
    })

    it('never a statement without it', async () => {
      const { connection, release } = await acquire()
      const query = ask(connection)
      for (const [text, values] of [
        ['SELECT $1::int AS one', [1]],
        ['SELECT 1 AS one', undefined],
      ] as const) {
        await query('START TRANSACTION ISOLATION LEVEL NONSENSE')
        for (let round = 0; round < 3; round++)
          await expect(query(text, values)).rejects.toMatchObject({ code: '42601' })
        await query('ROLLBACK')
        expect(await query(text, values)).toEqual({ one: 1 })
      }
      release()
      expect(roomy.counts).toEqual({ total: 1, idle: 1, waiting: 0 })
    })

    it('and where that is cancelled', async () => {
      const { connection, release } = await acquire()
      const query = ask(connection)
      await query('START TRANSACTION')
      const cancellation = new Cancellation()
      const slow = connection.query('SELECT pg_sleep($1)', [600], undefined, cancellation)
      await seen('SELECT pg_sleep($1)')
      cancellation.cancel('enough')
      await expect(slow).rejects.toMatchObject({ reason: 'enough' })
      expect(connection.isTransactionFailed).toBe(true)
      await query('ROLLBACK')
      expect(await query('SELECT 1 AS one')).toEqual({ one: 1 })
      release()
    })

    it('and sends nothing where there is none', async () => {
      const texts: string[] = []
      const stop = roomy.onStatement(({ text }) => texts.push(text))
      const { connection, release } = await acquire()
      for (const end of ['COMMIT', 'ROLLBACK']) {
        await connection.query('START TRANSACTION', undefined, undefined)
        expect((await connection.query(end, undefined, undefined)).command).toBe(end)
        expect(connection.inTransaction).toBe(false)
      }
      await connection.query('START TRANSACTION', undefined, undefined)
      release()
      expect((await roomy.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
      stop()
      expect(texts).toEqual(['SELECT 1 AS one'])
    })
  })

  it('is not given to others in the middle of a transaction', async () => {
    const first = await pool.acquire()
    const { rows: before } = await first.connection.query('SELECT pg_backend_pid() AS pid', undefined, undefined)
    await first.connection.query('BEGIN', undefined, undefined)
    first.release()
    await expect(first.connection.query('SELECT 1', undefined, undefined)).rejects.toThrow(/after it was given back/)
    const { rows } = await pool.query('SELECT pg_backend_pid() AS pid')
    expect(rows[0].pid).not.toBe(before[0].pid)
  })

  it('has the server end a statement, and may be used on', async () => {
    const events: unknown[] = []
    const stop = pool.onStatement(({ text, failed, cancelled }) => events.push({ text, failed, cancelled }))
    const { connection, release } = await pool.acquire()
    const { rows } = await connection.query('SELECT pg_backend_pid() AS pid', undefined, undefined)
    const cancellation = new Cancellation()
    const slow = connection.query('SELECT pg_sleep(600)', undefined, undefined, cancellation)
    const queued = connection.query('SELECT 2', undefined, undefined, cancellation)
    const other = connection.query('SELECT 3 AS value', undefined, undefined)
    await seen('SELECT pg_sleep(600)')
    cancellation.cancel('enough')
    expect(await Promise.allSettled([slow, queued])).toMatchObject([
      { status: 'rejected', reason: { reason: 'enough' } },
      { status: 'rejected', reason: { reason: 'enough' } },
    ])
    expect((await other).rows).toEqual([{ value: 3 }])
    expect((await connection.query('SELECT pg_backend_pid() AS pid', undefined, undefined)).rows).toEqual(rows)
    release()
    stop()
    expect(pool.counts).toEqual({ total: 1, idle: 1, waiting: 0 })
    expect(events).toEqual([
      { text: 'SELECT pg_backend_pid() AS pid', failed: false, cancelled: false },
      { text: 'SELECT pg_sleep(600)', failed: true, cancelled: true },
      { text: 'SELECT 3 AS value', failed: false, cancelled: false },
      { text: 'SELECT pg_backend_pid() AS pid', failed: false, cancelled: false },
    ])
  })

  it('lets no late cancel request hit the next statement', async () => {
    const { connection, release } = await pool.acquire()
    for (let round = 0; round < 150; round++) {
      const cancellation = new Cancellation()
      const first = connection
        .query('SELECT pg_sleep(0.001)', undefined, undefined, cancellation)
        .catch(() => undefined)
      const timer = setTimeout(() => cancellation.cancel('race'), round % 4)
      await first
      // It would fail with 57014, query_canceled.
      await connection.query('SELECT pg_sleep(0.004)', undefined, undefined)
      clearTimeout(timer)
    }
    release()
    expect(pool.counts).toEqual({ total: 1, idle: 1, waiting: 0 })
  })

  it('lets rows go beyond the budget and has the server stop', async () => {
    const { connection, release } = await pool.acquire()
    const cancellation = new Cancellation({ rowBudget: 1_000 })
    const endless = connection.query(
      `SELECT generate_series(1, 1e15::bigint), repeat('x', 1000)`,
      undefined,
      undefined,
      cancellation,
    )
    await expect(endless).rejects.toMatchObject({
      reason: { code: 'ROW_BUDGET_EXCEEDED', details: { rowBudget: 1_000 } },
    })
    expect((await connection.query('SELECT 1 AS one', undefined, undefined)).rows).toEqual([{ one: 1 }])
    release()
  })

  it('does not go back while a statement runs that pg waits for no longer', async () => {
    const impatient = new NodePool({
      name: 'a',
      pool: { connectionString: databases.nodes[0], max: 1, query_timeout: 500 },
      maxPrepared: 64,
      onPoolError: () => undefined,
    })
    await expect(impatient.query('SELECT pg_sleep(3)')).rejects.toThrow('Query read timeout')
    expect((await impatient.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await impatient.end()
  })

  it('is not waited for when the pool ends', async () => {
    const ending = new NodePool({
      name: 'a',
      pool: { connectionString: databases.nodes[0], max: 1 },
      maxPrepared: 64,
      onPoolError: () => undefined,
    })
    await ending.query('SELECT 1')
    // pg hands out an idle connection on the next tick, and forgets who waits for it when it ends before that.
    const refused = [ending.acquire(), ending.acquire(), ending.background.acquire()].map((lease) =>
      expect(lease).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' }),
    )
    await ending.end()
    await Promise.all(refused)
  })

  it('is not waited for by an operation that has ended, and goes back when it comes', async () => {
    const held = await pool.acquire()
    const cancellation = new Cancellation()
    const waits = pool.acquire(undefined, cancellation)
    cancellation.cancel('enough')
    await expect(waits).rejects.toMatchObject({ reason: 'enough' })
    held.release()
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(pool.counts).toEqual({ total: 1, idle: 1, waiting: 0 })
  })
})

/** pg's connection below a client; its types leave it out. */
const wireOf = (client: PoolClient): EventEmitter => (client as unknown as { connection: EventEmitter }).connection

/** Waits until the server runs a statement of this text. */
async function seen(text: string): Promise<void> {
  const client = new Client({ connectionString: databases.nodes[0] })
  await client.connect()
  const running = `SELECT 1 FROM pg_stat_activity WHERE query = $1 AND state = 'active' AND datname = current_database()`
  while ((await client.query(running, [text])).rows.length === 0);
  await client.end()
}
