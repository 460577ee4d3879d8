import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
})
