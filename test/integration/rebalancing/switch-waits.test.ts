import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cancelMove, driveMove, finishMove, startMove } from '../../../src/rebalancing/shard-moves'
import type { ShardMoveControlPoint } from '../../../src/transactions/control-point'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { leftovers, type MovingProcess, type MovingWorld, openWorld, planMove, shardObjects } from './moving-shard'

let databases: FreshDatabases
let world: MovingWorld
beforeEach(async () => {
  databases = await createDatabases(2)
  world = await openWorld(databases.nodes, 'schema', 50)
})
afterEach(async () => {
  await world.close()
  await databases.drop()
})

const user = '"user_07"."user"'

/** Does something the first time that a process comes to a point. */
function once({ host }: MovingProcess, at: ShardMoveControlPoint, work: () => Promise<unknown>): void {
  let isDone = false
  host.points.listen(async (point) => {
    if (point !== at || isDone) return
    isDone = true
    await work()
  })
}

/** Waits until the mover waits for the locks of its switch. */
const lockIsAwaited = () =>
  expect
    .poll(
      () =>
        world.sql(
          'a',
          `SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        ),
      {
        timeout: 10_000,
        interval: 10,
      },
    )
    .toHaveLength(1)

describe('a switch', () => {
  it('is given up where the last rows do not arrive in time, and tried again', { timeout: 40_000 }, async () => {
    const process = await world.process({ lockMs: 5_000, pauseMs: 400 })
    const { id } = await planMove(process.host, world, 'schema')
    const [writer, blocker] = [await world.client('a'), await world.client('b')]
    once(process, 'shard-move:before-switch', async () => {
      await writer.query(`BEGIN; UPDATE ${user} SET "name" = 'the last' WHERE "id" = 7`)
      void lockIsAwaited().then(async () => {
        // The worker of the target cannot write from here on.
        await blocker.query(`BEGIN; LOCK TABLE ${user} IN SHARE MODE`)
        await writer.query('COMMIT')
      })
    })
    let tries = 0
    process.host.points.listen(async (point) => {
      if (point !== 'shard-move:after-switch' || ++tries > 1) return
      // Given up: the shard is where it was, and takes writes.
      await writer.query(`UPDATE ${user} SET "name" = 'the very last' WHERE "id" = 8`)
      await blocker.query('COMMIT')
    })
    const moved = await driveMove(process.host, id)
    expect(moved).toMatchObject({ state: 'switched', progress: { switchTries: 1 } })
    expect(await world.sql('b', `SELECT "name" FROM ${user} WHERE "id" IN (7, 8) ORDER BY "id"`)).toEqual([
      { name: 'the last' },
      { name: 'the very last' },
    ])
  })

  it('waits for a prepared transaction, and for no longer than its bound at a time', { timeout: 40_000 }, async () => {
    const process = await world.process()
    const { id } = await planMove(process.host, world, 'schema')
    const writer = await world.client('a')
    const name = randomBytes(6).toString('hex')
    once(process, 'shard-move:before-switch', () =>
      writer.query(`BEGIN; UPDATE ${user} SET "n" = 77 WHERE "id" = 7; PREPARE TRANSACTION '${name}'`),
    )
    let tries = 0
    process.host.points.listen(async (point) => {
      if (point !== 'shard-move:after-switch') return
      tries += 1
      if (tries === 2) await writer.query(`COMMIT PREPARED '${name}'`)
    })
    expect(await driveMove(process.host, id)).toMatchObject({ state: 'switched', progress: { switchTries: 2 } })
    expect(await world.sql('b', `SELECT "n" FROM ${user} WHERE "id" = 7`)).toEqual([{ n: 77 }])
  })

  it('ends with its last try', { timeout: 40_000 }, async () => {
    const process = await world.process({ switchTries: 2 })
    const { id } = await planMove(process.host, world, 'schema')
    const reader = await world.client('a')
    once(process, 'shard-move:before-switch', () => reader.query(`BEGIN; SELECT FROM ${user}`))
    await expect(driveMove(process.host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_STALLED' })
    await reader.query('COMMIT')
    expect((await driveMove(process.host, id)).state).toBe('switched')
  })

  it('goes on with sequences where they were', { timeout: 40_000 }, async () => {
    const process = await world.process()
    const { id } = await planMove(process.host, world, 'schema')
    const insert = `INSERT INTO "user_07"."order" ("userId") VALUES (1) RETURNING "id", "serial"`
    once(process, 'shard-move:after-verify', () => world.sql('a', insert))
    await driveMove(process.host, id)
    // Fifty rows from 10 on in steps of two, and one more.
    expect(await world.sql('b', insert)).toEqual([{ id: 112, serial: 52 }])
  })
})

describe('a move ends without a switch', () => {
  const differs = async (process: MovingProcess, id: string, differences: readonly string[]): Promise<void> => {
    await expect(driveMove(process.host, id)).rejects.toMatchObject({
      code: 'SHARD_MOVE_DIFFERS',
      details: { differences },
    })
    expect((await cancelMove(process.host, id)).state).toBe('cancelled')
    for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
    expect(await shardObjects(world, 'b')).toEqual([])
    expect(world.epochs).toBe(0)
  }

  it('where the source was altered', { timeout: 40_000 }, async () => {
    const process = await world.process()
    const { id } = await planMove(process.host, world, 'schema')
    once(process, 'shard-move:after-verify', () =>
      world.sql('a', `COMMENT ON TABLE ${user} IS 'new'; CREATE INDEX "late" ON ${user} ("n")`),
    )
    await differs(process, id, ['comment table user_07."user" is missing', 'index user_07.late is missing'])
  })

  it('where a row of the target is another one, is missing or is too much', { timeout: 40_000 }, async () => {
    const process = await world.process({ suspectRows: 2 })
    const { id } = await planMove(process.host, world, 'schema')
    once(process, 'shard-move:before-verify', () =>
      world.sql(
        'b',
        `SET session_replication_role = replica; UPDATE ${user} SET "n" = 5 WHERE "id" = 5; DELETE FROM ${user} WHERE "id" = 50; INSERT INTO ${user} VALUES (99, 'x')`,
      ),
    )
    await differs(process, id, ['user_07.user ["5"]', 'user_07.user ["50"]', 'user_07.user ["99"]'])
  })

  it('where a few rows differ, which are compared while writers wait', { timeout: 40_000 }, async () => {
    const process = await world.process()
    const { id } = await planMove(process.host, world, 'schema')
    once(process, 'shard-move:before-verify', () =>
      world.sql('b', `UPDATE "user_07"."line" SET "price" = 0 WHERE "orderId" = 10`),
    )
    await differs(process, id, ['user_07.line ["10","l1"]'])
  })

  it('where the slot is gone', { timeout: 40_000 }, async () => {
    const process = await world.process()
    const { id } = await planMove(process.host, world, 'schema')
    once(process, 'shard-move:after-await-lag', async () => {
      await world.sql('b', `ALTER SUBSCRIPTION "sharding_move_${id}" DISABLE`)
      await expect
        .poll(() =>
          world.sql('a', `SELECT FROM pg_replication_slots WHERE slot_name = 'sharding_move_${id}' AND NOT active`),
        )
        .toHaveLength(1)
      await world.sql('a', `SELECT pg_drop_replication_slot('sharding_move_${id}')`)
    })
    await expect(driveMove(process.host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_DIFFERS' })
    expect((await cancelMove(process.host, id)).state).toBe('cancelled')
    expect(await leftovers(world, 'b')).toEqual([])
  })
})

describe('a move is refused', () => {
  const missing = async (host: MovingProcess['host']): Promise<readonly string[]> => {
    const error: unknown = await startMove(host, world.request('schema')).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'SHARD_MOVE_REFUSED' })
    const { details } = error as { details: { missing: readonly { node: string; what: string }[] } }
    return details.missing.map(({ node, what }) => `${node}: ${what}`)
  }

  it('for what does not move, and what is not there', { timeout: 40_000 }, async () => {
    const { host } = await world.process()
    await world.sql('a', `CREATE VIEW "user_07"."names" AS SELECT "name" FROM ${user}`)
    await world.sql('a', `CREATE UNLOGGED TABLE "user_07"."draft" ("id" int)`)
    await world.sql('a', `CREATE TABLE "user_07"."parts" ("id" int PRIMARY KEY) PARTITION BY RANGE ("id")`)
    await world.sql('a', `CREATE TABLE public."country" ("id" int PRIMARY KEY)`)
    await world.sql(
      'a',
      `CREATE TABLE "user_07"."town" ("id" int PRIMARY KEY, "country" int REFERENCES public."country")`,
    )
    await world.sql('a', `ALTER TABLE "user_07"."town" REPLICA IDENTITY NOTHING`)
    await world.sql('b', 'DROP FUNCTION public.priced')
    await world.sql('b', 'CREATE SCHEMA "user_07"')
    expect(await missing(host)).toEqual([
      'a: table user_07.draft has no primary key',
      ...['partitioned table user_07.parts', 'unlogged table user_07.draft', 'view user_07.names'].map(
        (what) => `a: ${what} does not move`,
      ),
      'a: table user_07.draft has no replica identity',
      'a: table user_07.town has no replica identity',
      'b: function priced(), which the shard refers to, is not there',
      'b: table country, which the shard refers to, is not there',
      'b: schema user_07 is there already',
    ])
    expect(await leftovers(world, 'b')).toEqual([])
  })

  it('where the target does not reach the source, without telling the password', { timeout: 40_000 }, async () => {
    const { host } = await world.process()
    const found = await missing({
      ...host,
      replicationUrl: () => 'postgres://postgres:hush@127.0.0.1:1/none?connect_timeout=2',
    })
    expect(found).toEqual(
      expect.arrayContaining([expect.stringMatching(/^b: it does not reach a: .*could not connect/)]),
    )
    expect(JSON.stringify(found)).not.toContain('hush')
  })

  it('where the shard has one already; and cancelled and finished only in their time', {
    timeout: 40_000,
  }, async () => {
    const { host } = await world.process()
    const { id } = await planMove(host, world, 'schema')
    await expect(planMove(host, world, 'schema')).rejects.toMatchObject({ code: 'SHARD_MOVE_REFUSED' })
    await expect(finishMove(host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_STATE' })
    await expect(driveMove(host, 'none')).rejects.toMatchObject({ code: 'SHARD_MOVE_STATE' })
    await driveMove(host, id)
    await expect(cancelMove(host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_STATE' })
    await finishMove(host, id)
    const back = await startMove(host, { ...world.request('schema'), from: world.identities.b, to: world.identities.a })
    expect((await driveMove(host, back.id)).state).toBe('switched')
    expect(world.place).toBe('a')
  })
})
