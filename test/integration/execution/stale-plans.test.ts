import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NodePool } from '../../../src/endpoints/node-pool'
import { loadParser } from '../../../src/sql/parser'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

describe('prepared statements', () => {
  let databases: FreshDatabases
  let pool: NodePool
  let admin: NodePool
  const warnings: string[] = []
  const open = (maxPrepared: number): NodePool =>
    new NodePool({
      name: 'a',
      pool: { connectionString: databases.nodes[0], max: 2 },
      maxPrepared,
      onPoolError: () => undefined,
      warn: (text) => void warnings.push(text),
    })
  const happy = 'SELECT id FROM person WHERE mood = $1 ORDER BY id'
  /** As a migration of an enum replaces it. */
  const replaceType = async (by = admin): Promise<void> => {
    for (const text of [
      `CREATE TYPE new_mood AS ENUM ('sad', 'happy', 'new')`,
      'ALTER TABLE person ALTER mood TYPE new_mood USING mood::text::new_mood',
      'DROP TYPE mood',
      'ALTER TYPE new_mood RENAME TO mood',
    ])
      await by.query(text)
  }

  beforeAll(async () => {
    // Statements are prepared once it is loaded, which a data source does at its start.
    await loadParser()
    databases = await createDatabases(1)
    admin = open(0)
  })
  beforeEach(async () => {
    warnings.length = 0
    await admin.query('DROP TABLE IF EXISTS person')
    await admin.query('DROP TYPE IF EXISTS mood')
    await admin.query(`CREATE TYPE mood AS ENUM ('sad', 'happy')`)
    await admin.query('CREATE TABLE person (id int PRIMARY KEY, mood mood)')
    await admin.query(`INSERT INTO person VALUES (1, 'sad'), (2, 'happy'), (3, 'happy')`)
    pool = open(4)
  })
  const expected = [{ id: 2 }, { id: 3 }]

  it('of a replaced enum type are planned anew, and nobody hears of it', async () => {
    for (let round = 0; round < 8; round++) expect((await pool.query(happy, ['happy'])).rows).toEqual(expected)
    await replaceType()
    for (let round = 0; round < 4; round++) expect((await pool.query(happy, ['happy'])).rows).toEqual(expected)
    expect(warnings).toEqual([])
    await pool.end()
  })

  it('of a replaced enum type end one transaction, which may be repeated', async () => {
    const { connection, release } = await pool.acquire()
    const work = async () => {
      await connection.query('START TRANSACTION', undefined, undefined)
      try {
        await connection.query('SELECT 1', undefined, undefined)
        return (await connection.query(happy, ['happy'], undefined)).rows
      } finally {
        await connection.query('ROLLBACK', undefined, undefined)
      }
    }
    for (let round = 0; round < 3; round++) await work()
    await replaceType()
    await expect(work()).rejects.toMatchObject({ code: 'PLAN_STALE', labels: ['retryable', 'no-writes'] })
    expect(await work()).toEqual(expected)
    expect(await work()).toEqual(expected)
    release()
    await pool.end()
  })

  it('are planned anew as the first statement of a transaction, which has done nothing else', async () => {
    const { connection, release } = await pool.acquire()
    const work = async () => {
      await connection.query('START TRANSACTION ISOLATION LEVEL SERIALIZABLE', undefined, undefined)
      const { rows } = await connection.query(happy, ['happy'], undefined)
      const { rows: levels } = await connection.query('SHOW transaction_isolation', undefined, undefined)
      await connection.query('COMMIT', undefined, undefined)
      return [rows, levels]
    }
    for (let round = 0; round < 3; round++) await work()
    await replaceType()
    for (let round = 0; round < 2; round++)
      expect(await work()).toEqual([expected, [{ transaction_isolation: 'serializable' }]])
    expect(connection.inTransaction).toBe(false)
    release()
    await pool.end()
  })

  it('are planned anew in the first transaction too after the pool itself has replaced the type', async () => {
    const { connection, release } = await pool.acquire()
    const work = async () => {
      await connection.query('START TRANSACTION', undefined, undefined)
      try {
        return (await connection.query(happy, ['happy'], undefined)).rows
      } finally {
        await connection.query('ROLLBACK', undefined, undefined)
      }
    }
    for (let round = 0; round < 3; round++) await work()
    await replaceType(pool)
    expect(await work()).toEqual(expected)
    release()
    await pool.end()
  })

  it('are forgotten by all connections of a node when one of them has met this', async () => {
    const [first, second] = [await pool.acquire(), await pool.acquire()]
    for (const { connection } of [first, second])
      for (let round = 0; round < 3; round++) await connection.query(happy, ['happy'], undefined)
    await replaceType()
    expect((await first.connection.query(happy, ['happy'], undefined)).rows).toEqual(expected)
    await second.connection.query('START TRANSACTION', undefined, undefined)
    for (let round = 0; round < 3; round++)
      expect((await second.connection.query(happy, ['happy'], undefined)).rows).toEqual(expected)
    await second.connection.query('COMMIT', undefined, undefined)
    first.release()
    second.release()
    await pool.end()
  })

  it('survive DEALLOCATE ALL and DISCARD ALL, alone and among other statements', async () => {
    const { connection, release } = await pool.acquire()
    for (const text of ['DEALLOCATE ALL', 'DISCARD ALL', 'SELECT 1; DEALLOCATE ALL']) {
      for (let round = 0; round < 3; round++) await connection.query(happy, ['happy'], undefined)
      await connection.query(text, undefined, undefined)
      await connection.query('START TRANSACTION', undefined, undefined)
      for (let round = 0; round < 3; round++)
        expect((await connection.query(happy, ['happy'], undefined)).rows).toEqual(expected)
      await connection.query('COMMIT', undefined, undefined)
    }
    expect(warnings).toEqual([])
    release()
    await pool.end()
  })

  it('never run what another session has prepared under their name', async () => {
    const one = await pool.acquire()
    for (let round = 0; round < 2; round++) await one.connection.query(happy, ['happy'], undefined)
    const { rows } = await one.connection.query('SELECT name FROM pg_prepared_statements', undefined, undefined)
    const [{ name }] = rows
    const other = await pool.acquire()
    await other.connection.query(`PREPARE "${name}" (mood) AS DELETE FROM person WHERE mood = $1`, undefined, undefined)
    for (let round = 0; round < 3; round++)
      expect((await other.connection.query(happy, ['happy'], undefined)).rows).toEqual(expected)
    expect((await admin.query('SELECT count(*)::int AS n FROM person')).rows).toEqual([{ n: 3 }])
    expect(warnings).toEqual([expect.stringContaining('pooler in transaction mode')])
    const named: boolean[] = []
    pool.onStatement(({ prepared }) => named.push(prepared))
    for (let round = 0; round < 3; round++) await one.connection.query(happy, ['happy'], undefined)
    expect(named).toEqual([false, false, false])
    one.release()
    other.release()
    await pool.end()
  })

  it('of a working set larger than the bound are dropped without a message of their own', async () => {
    const { connection, release } = await pool.acquire()
    const texts: string[] = []
    pool.onStatement(({ text }) => void texts.push(text))
    for (let round = 0; round < 400; round++)
      await connection.query(`SELECT id + ${(round * 7) % 12} AS n FROM person WHERE id = $1`, [1], undefined)
    expect(texts).toHaveLength(400)
    const { rows } = await connection.query(
      'SELECT count(*)::int AS n FROM pg_prepared_statements',
      undefined,
      undefined,
    )
    expect(rows[0].n).toBeLessThanOrEqual(4)
    release()
    await pool.end()
  })

  afterAll(async () => {
    await admin.end()
    await databases.drop()
  })
})
