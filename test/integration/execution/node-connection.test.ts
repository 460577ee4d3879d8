import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Fuse } from '../../../src/execution/fuse'
import { NodePool } from '../../../src/execution/node-pool'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

let databases: FreshDatabases
let pool: NodePool

beforeAll(async () => {
  databases = await createDatabases(1)
  pool = new NodePool({
    name: 'a',
    pool: { connectionString: databases.nodes[0], max: 1 },
    maxPrepared: 2,
    onPoolError: () => undefined,
  })
})

afterAll(async () => {
  await pool.end()
  await databases.drop()
})

describe('NodeConnection', () => {
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

  it('prepares what comes twice, drops the oldest beyond the bound, and plans anew when a table changed', async () => {
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
    const fuse = new Fuse()
    const slow = connection.query('SELECT pg_sleep(600)', undefined, undefined, fuse)
    const queued = connection.query('SELECT 2', undefined, undefined, fuse)
    const other = connection.query('SELECT 3 AS value', undefined, undefined)
    await seen('SELECT pg_sleep(600)')
    fuse.blow('enough')
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
      const fuse = new Fuse()
      const first = connection.query('SELECT pg_sleep(0.001)', undefined, undefined, fuse).catch(() => undefined)
      const timer = setTimeout(() => fuse.blow('race'), round % 4)
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
    const fuse = new Fuse({ rowBudget: 1_000 })
    const endless = connection.query(
      `SELECT generate_series(1, 1e15::bigint), repeat('x', 1000)`,
      undefined,
      undefined,
      fuse,
    )
    await expect(endless).rejects.toMatchObject({
      reason: { code: 'ROW_BUDGET_EXCEEDED', details: { rowBudget: 1_000 } },
    })
    expect((await connection.query('SELECT 1 AS one', undefined, undefined)).rows).toEqual([{ one: 1 }])
    release()
  })

  it('is not waited for by an operation that has ended, and goes back when it comes', async () => {
    const held = await pool.acquire()
    const fuse = new Fuse()
    const waits = pool.acquire(undefined, fuse)
    fuse.blow('enough')
    await expect(waits).rejects.toMatchObject({ reason: 'enough' })
    held.release()
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(pool.counts).toEqual({ total: 1, idle: 1, waiting: 0 })
  })
})

/** Waits until the server runs a statement of this text. */
async function seen(text: string): Promise<void> {
  const client = new Client({ connectionString: databases.nodes[0] })
  await client.connect()
  const running = `SELECT 1 FROM pg_stat_activity WHERE query = $1 AND state = 'active' AND datname = current_database()`
  while ((await client.query(running, [text])).rows.length === 0);
  await client.end()
}
