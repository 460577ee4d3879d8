import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tableOn } from '../../../src/planning/bind-shard-names'
import { cancelMove, driveMove, finishMove, revertMove } from '../../../src/rebalancing/shard-moves'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import {
  describeShard,
  type Layout,
  leftovers,
  type MovingProcess,
  type MovingWorld,
  openWorld,
  planMove,
  shardObjects,
  shardOf,
} from './moving-shard'
import { startWriters } from './shard-writers'

const layouts: readonly Layout[] = ['schema', 'table']

describe.each(layouts)('a switched shard of the layout %s', (layout) => {
  let databases: FreshDatabases
  let world: MovingWorld
  let process: MovingProcess
  const [user, order, line] = ['user', 'order', 'line'].map((table) => tableOn(table, shardOf(layout)))
  const open = async (rows: number): Promise<void> => {
    databases = await createDatabases(2)
    world = await openWorld(databases.nodes, layout, rows)
    process = await world.process()
  }
  afterEach(async () => {
    await world.close()
    await databases.drop()
  })
  const withoutValues = (described: unknown): unknown =>
    JSON.parse(JSON.stringify(described).replace(/"last_value":[^,}]*/g, '"last_value":0'))

  it('goes back with all that was written at its new place', { timeout: 60_000 }, async () => {
    await open(5_000)
    const { host, warnings } = process
    const before = await describeShard(world, 'a', layout)
    const writers = startWriters(world, layout)
    const { id } = await planMove(host, world, layout)
    await driveMove(host, id)
    const atSwitch = writers.count()
    await expect.poll(() => writers.count(), { timeout: 5_000 }).toBeGreaterThan(atSwitch + 100)
    const reverted = await revertMove(host, id)
    const atReturn = writers.count()
    await expect.poll(() => writers.count(), { timeout: 5_000 }).toBeGreaterThan(atReturn + 50)
    const { expected, found } = await writers.stop()
    expect(reverted.state).toBe('reverted')
    expect(reverted.progress.pauseMs).toBeLessThan(1_000)
    expect(world.place).toBe('a')
    expect(found).toEqual(expected)
    expect(warnings).toEqual([])
    expect(Object.keys(writers.errors()).filter((code) => !['3F000', '42P01'].includes(code))).toEqual([])
    expect(withoutValues(await describeShard(world, 'a', layout))).toEqual(withoutValues(before))
    for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
    expect(await shardObjects(world, 'b')).toEqual([])
    const again = await planMove(host, world, layout)
    expect((await driveMove(host, again.id)).state).toBe('switched')
  })

  it('follows at its old place, which nobody else reads or writes', { timeout: 60_000 }, async () => {
    await open(50)
    const [client, cursor] = [await world.client('a'), await world.client('a')]
    const prepared = { name: 'read', text: `SELECT "name" FROM ${user} WHERE "id" = $1`, values: [1] }
    await client.query(prepared)
    const [row] = await world.sql<{ serial: string }>(
      'a',
      `SELECT pg_get_serial_sequence('${order}', 'serial') AS serial`,
    )
    if (layout === 'schema') await world.sql('a', 'GRANT USAGE ON SCHEMA "user_07" TO "move_reader"')
    const { id } = await planMove(process.host, world, layout)
    await driveMove(process.host, id)
    const texts = [
      prepared,
      `SELECT count(*) FROM ${line}`,
      `SELECT max("id") FROM ${user} WHERE "id" = 7`,
      `SELECT * FROM ${user} FOR UPDATE`,
      `SELECT 1 WHERE EXISTS (SELECT FROM ${order})`,
      `INSERT INTO ${user} ("id", "name") VALUES (999, 'x') ON CONFLICT DO NOTHING`,
      `INSERT INTO ${order} ("userId") VALUES (1)`,
      `UPDATE ${user} SET "n" = 5`,
      `DELETE FROM ${line}`,
      `TRUNCATE ${line}`,
      `MERGE INTO ${user} u USING (VALUES (1)) v(i) ON u."id" = v.i WHEN MATCHED THEN DELETE`,
      `COPY (SELECT * FROM ${user}) TO STDOUT`,
      `SELECT nextval('${row?.serial}')`,
      `SET ROLE "move_reader"; SELECT * FROM ${user}`,
    ]
    for (const text of texts)
      expect(
        await client.query(text).then(
          () => text,
          (error: { code: string }) => error.code,
        ),
      ).toBe('42P01')
    await client.query('RESET ROLE')
    await cursor.query('BEGIN')
    await expect(cursor.query(`DECLARE c CURSOR FOR SELECT * FROM ${user}`)).rejects.toMatchObject({ code: '42P01' })
    await cursor.query('ROLLBACK')

    const written = [
      `INSERT INTO ${user} ("id", "name", "tags") VALUES (500, 'new', '{a,b}')`,
      `UPDATE ${user} SET "id" = 501, "n" = 3 WHERE "id" = 500`,
      `DELETE FROM ${user} WHERE "id" = 7`,
      `UPDATE ${line} SET "price" = 10`,
      `TRUNCATE ${line}`,
      `INSERT INTO ${line} VALUES (10, 'z', 4)`,
      `UPDATE ${line} SET "price" = 10`,
      `INSERT INTO ${order} ("userId", "status") VALUES (501, 'it''s paid')`,
    ]
    for (const text of written) await world.sql('b', text)
    const rowsOn = async (node: 'a' | 'b') => {
      const reader = await world.client(node)
      await reader.query(`SET sharding_move.driver = 'on'`)
      const tables = []
      for (const table of [user, order, line])
        tables.push((await reader.query(`SELECT * FROM ${table} ORDER BY 1, 2`)).rows)
      return tables
    }
    const there = await rowsOn('b')
    await expect.poll(() => rowsOn('a'), { timeout: 10_000, interval: 100 }).toEqual(there)
    expect((await revertMove(process.host, id)).state).toBe('reverted')
    expect(await rowsOn('a')).toEqual(there)
    const insert = `INSERT INTO ${order} ("userId") VALUES (1) RETURNING "id", "serial"`
    // Fifty rows from 10 on in steps of two, one that was written at the new place, and this one.
    expect(await world.sql('a', insert)).toEqual([{ id: 112, serial: 52 }])
    // The trigger that fires for replicated rows too fires again for those that are written here.
    expect(await world.sql('a', `UPDATE ${line} SET "price" = 1 RETURNING "price"`)).toEqual([{ price: 2 }])
  })
})

describe('a reversal', () => {
  let databases: FreshDatabases
  let world: MovingWorld
  let process: MovingProcess
  beforeEach(async () => {
    databases = await createDatabases(2)
    world = await openWorld(databases.nodes, 'schema', 50)
    process = await world.process()
  })
  afterEach(async () => {
    await world.close()
    await databases.drop()
  })
  const user = '"user_07"."user"'

  const switched = async (): Promise<string> => {
    const { id } = await planMove(process.host, world, 'schema')
    await driveMove(process.host, id)
    return id
  }
  const nothingIsLeft = async (): Promise<void> => {
    for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
  }

  it('waits for readers of the new place, and for no longer than its bound at a time', {
    timeout: 40_000,
  }, async () => {
    const id = await switched()
    const reader = await world.client('b')
    await reader.query(`BEGIN; SELECT FROM ${user}`)
    let tries = 0
    process.host.points.listen(async (point) => {
      if (point !== 'shard-move:after-switch-back' || ++tries !== 2) return
      await world.sql('b', `UPDATE "user_07"."line" SET "price" = 9 WHERE "orderId" = 10`)
      await reader.query('COMMIT')
    })
    expect(await revertMove(process.host, id)).toMatchObject({ state: 'reverted', progress: { switchTries: 2 } })
    expect(await world.sql('a', `SELECT "price" FROM "user_07"."line" WHERE "orderId" = 10`)).toEqual([{ price: 10 }])
    await nothingIsLeft()
  })

  it('is cancelled, and the shard stays at its new place', { timeout: 40_000 }, async () => {
    const id = await switched()
    process.host.points.listen((point) => {
      if (point === 'shard-move:after-verify-back') aborted.abort(new Error('enough'))
    })
    const aborted = new AbortController()
    await expect(revertMove(process.host, id, { signal: aborted.signal })).rejects.toThrow('enough')
    expect((await cancelMove(process.host, id)).state).toBe('switched')
    await world.sql('b', `UPDATE ${user} SET "n" = 4 WHERE "id" = 4`)
    expect((await finishMove(process.host, id)).state).toBe('done')
    expect(world.place).toBe('b')
    await nothingIsLeft()
    expect(await shardObjects(world, 'a')).toEqual([])
  })

  it('ends where rows or tables are no longer the same, and the move can still be finished', {
    timeout: 40_000,
  }, async () => {
    const id = await switched()
    await world.sql('a', `SET sharding_move.driver = 'on'; UPDATE ${user} SET "n" = 5 WHERE "id" = 5`)
    const differences = (found: readonly string[]) => ({ code: 'SHARD_MOVE_DIFFERS', details: { differences: found } })
    await expect(revertMove(process.host, id)).rejects.toMatchObject(differences(['user_07.user ["5"]']))
    await world.sql('a', `SET sharding_move.driver = 'on'; UPDATE ${user} SET "n" = 0 WHERE "id" = 5`)
    await world.sql('b', `CREATE INDEX "late" ON ${user} ("n")`)
    await expect(revertMove(process.host, id)).rejects.toMatchObject(differences(['index user_07.late is missing']))
    await expect(world.sql('a', `SELECT FROM ${user}`)).rejects.toMatchObject({ code: '42P01' })
    expect((await finishMove(process.host, id)).state).toBe('done')
    await nothingIsLeft()
  })

  it('is not to be had before the switch, or after its end', { timeout: 40_000 }, async () => {
    const { id } = await planMove(process.host, world, 'schema')
    await expect(revertMove(process.host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_STATE' })
    await driveMove(process.host, id)
    await finishMove(process.host, id)
    await expect(revertMove(process.host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_STATE' })
  })

  it('is possible after a switch that was given up when its tables were published', { timeout: 40_000 }, async () => {
    const { id } = await planMove(process.host, world, 'schema')
    const sequence = await world.client('a')
    let tries = 0
    process.host.points.listen(async (point) => {
      // What locks a sequence, and no table, is met when the source is closed.
      if (point === 'shard-move:locked' && ++tries === 1)
        await sequence.query(`BEGIN; SELECT nextval('"user_07"."order_serial_seq"')`)
      if (point !== 'shard-move:after-switch' || tries !== 1) return
      await sequence.query('COMMIT')
      await world.sql('a', `UPDATE ${user} SET "n" = 8 WHERE "id" = 8`)
      await world.sql('a', `INSERT INTO ${user} ("id", "name") VALUES (600, 'after')`)
    })
    expect(await driveMove(process.host, id)).toMatchObject({ state: 'switched', progress: { switchTries: 1 } })
    await world.sql('b', `UPDATE ${user} SET "n" = 9 WHERE "id" = 600`)
    expect((await revertMove(process.host, id)).state).toBe('reverted')
    expect(await world.sql('a', `SELECT "n" FROM ${user} WHERE "id" IN (8, 600) ORDER BY "id"`)).toEqual([
      { n: 8 },
      { n: 9 },
    ])
  })
})
