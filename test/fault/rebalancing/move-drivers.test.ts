import { afterEach, describe, expect, it } from 'vitest'
import { tableOn } from '../../../src/planning/bind-shard-names'
import { cancelMove, driveMove, finishMove, listMoves, revertMove } from '../../../src/rebalancing/shard-moves'
import { type ShardMoveControlPoint, shardMoveControlPoints } from '../../../src/transactions/control-point'
import {
  describeShard,
  type Layout,
  leftovers,
  type MovingWorld,
  openWorld,
  planMove,
  shardObjects,
  shardOf,
} from '../../integration/rebalancing/moving-shard'
import { startWriters } from '../../integration/rebalancing/shard-writers'
import { createDatabases } from '../../support/databases'
import { dieAt, stopAt } from '../../support/dying-driver'
import type { FreshDatabases } from '../../support/fresh-databases'
import { nightlyShareOf } from '../../support/share-of'

const rows = 300

/** Points that a move which nothing disturbs does not come to. */
const isOfSettling = (point: string): boolean => point.includes('settle')
const isOfCancelling = (point: string): boolean => /target-removed|remove-target/.test(point)
const isOfFinishing = (point: string): boolean => /finish$|source-removed/.test(point)
const firstBack = shardMoveControlPoints.indexOf('shard-move:before-verify-back')
const onTheWay = shardMoveControlPoints
  .slice(0, firstBack)
  .filter((point) => !isOfSettling(point) && !isOfCancelling(point) && !isOfFinishing(point))
const onTheWayBack = shardMoveControlPoints
  .slice(firstBack)
  // A driver opens the source by itself only after another one that has died when the new place was left.
  .filter((point) => !isOfSettling(point) && !point.endsWith('open-source'))
const beforeSwitch = onTheWay.slice(0, onTheWay.indexOf('shard-move:before-switching'))

describe('drivers of a move', () => {
  let databases: FreshDatabases
  let world: MovingWorld
  const layoutOf = (point: string): Layout =>
    shardMoveControlPoints.indexOf(point as ShardMoveControlPoint) % 2 === 0 ? 'schema' : 'table'
  const open = async (layout: Layout): Promise<void> => {
    databases = await createDatabases(2)
    world = await openWorld(databases.nodes, layout, rows)
  }
  afterEach(async () => {
    await world.close()
    await databases.drop()
  })

  /** Another process goes on to the end. */
  const takeOver = async (id: string, layout: Layout, before: unknown): Promise<void> => {
    const next = await world.process()
    const writers = startWriters(world, layout, { writers: 2, users: 100, everyMs: 5 })
    await expect
      .poll(
        () =>
          driveMove(next.host, id).then(
            ({ state }) => state,
            (error: { code?: string }) => error.code,
          ),
        { timeout: 25_000, interval: 200 },
      )
      .toBe('switched')
    const { expected, found } = await writers.stop()
    expect(found).toEqual(expected)
    expect(world.place).toBe('b')
    expect(await describeShard(world, 'b', layout)).toMatchObject({
      triggers: (before as { triggers: unknown }).triggers,
    })
    expect(await rowsThatFollow(layout)).toEqual([{ changes: expected.changes }])
    expect((await finishMove(next.host, id)).state).toBe('done')
    for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
    expect(await shardObjects(world, 'a')).toEqual([])
  }

  /** What the old place has of the writers' changes, when it has as many as the new one. */
  const rowsThatFollow = async (layout: Layout) => {
    const changes = `SELECT sum("n")::int AS changes FROM ${tableOn('user', shardOf(layout))}`
    const there = await world.sql('b', changes)
    const reader = await world.client('a')
    await reader.query(`SET sharding_move.driver = 'on'`)
    await expect.poll(async () => (await reader.query(changes)).rows, { timeout: 10_000, interval: 50 }).toEqual(there)
    return there
  }

  /** Another process goes on until the shard is at its old place again. */
  const takeBack = async (id: string, layout: Layout, before: unknown): Promise<void> => {
    const next = await world.process()
    const writers = startWriters(world, layout, { writers: 2, users: 100, everyMs: 5 })
    const states = () =>
      revertMove(next.host, id).then(
        ({ state }) => state,
        (error: { code?: string }) => error.code,
      )
    await expect.poll(states, { timeout: 25_000, interval: 200 }).toBe('reverted')
    const { expected, found } = await writers.stop()
    expect(found.orders).toEqual(expected.orders)
    expect(world.place).toBe('a')
    expect(await describeShard(world, 'a', layout)).toMatchObject({
      triggers: (before as { triggers: unknown }).triggers,
    })
    for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
    expect(await shardObjects(world, 'b')).toEqual([])
  }

  it.each(nightlyShareOf(onTheWay, 'SHARD_MOVES'))(
    'that die at %s are followed by others',
    { timeout: 60_000 },
    async (point) => {
      const layout = layoutOf(point)
      await open(layout)
      const before = await describeShard(world, 'a', layout)
      const first = await world.process()
      const { id } = await planMove(first.host, world, layout)
      await dieAt(first, point, () => driveMove(first.host, id))
      await takeOver(id, layout, before)
    },
  )

  it.each(['shard-move:before-settle', 'shard-move:after-settle'] as const)(
    'that die at %s, after another has died with the source locked',
    { timeout: 60_000 },
    async (point) => {
      await open('schema')
      const before = await describeShard(world, 'a', 'schema')
      const [first, second] = [await world.process(), await world.process()]
      const { id } = await planMove(first.host, world, 'schema')
      await dieAt(first, 'shard-move:before-rename', () => driveMove(first.host, id))
      await new Promise((resolve) => setTimeout(resolve, 1_200))
      await dieAt(second, point, () => driveMove(second.host, id))
      await takeOver(id, 'schema', before)
    },
  )

  it.each(nightlyShareOf(onTheWayBack, 'SHARD_MOVES'))(
    'that die at %s are followed by others on the way back',
    { timeout: 60_000 },
    async (point) => {
      const layout = layoutOf(point)
      await open(layout)
      const before = await describeShard(world, 'a', layout)
      const [first, second] = [await world.process(), await world.process()]
      const { id } = await planMove(first.host, world, layout)
      await driveMove(first.host, id)
      await dieAt(second, point, () => revertMove(second.host, id))
      await takeBack(id, layout, before)
    },
  )

  const twice = [
    ['shard-move:after-leave', 'shard-move:before-open-source'],
    ['shard-move:before-leave', 'shard-move:before-settle-back'],
    ['shard-move:before-leave', 'shard-move:after-settle-back'],
    ['shard-move:after-leave', 'shard-move:after-open-source'],
  ] as const
  it.each(nightlyShareOf(twice, 'SHARD_MOVES'))(
    'that die at %s, and then at %s',
    { timeout: 60_000 },
    async (firstPoint, secondPoint) => {
      const layout = layoutOf(secondPoint)
      await open(layout)
      const before = await describeShard(world, 'a', layout)
      const [first, second, third] = [await world.process(), await world.process(), await world.process()]
      const { id } = await planMove(first.host, world, layout)
      await driveMove(first.host, id)
      await dieAt(second, firstPoint, () => revertMove(second.host, id))
      await new Promise((resolve) => setTimeout(resolve, 1_200))
      await dieAt(third, secondPoint, () => revertMove(third.host, id))
      await takeBack(id, layout, before)
    },
  )

  it('are woken too late on the way back: the shard is at one place', { timeout: 60_000 }, async () => {
    await open('schema')
    const before = await describeShard(world, 'a', 'schema')
    const [first, second] = [await world.process(), await world.process()]
    const { id } = await planMove(first.host, world, 'schema')
    await driveMove(first.host, id)
    const { reached, goOn } = stopAt(first, 'shard-move:before-leave')
    const late = revertMove(first.host, id).then(
      ({ state }) => state,
      (error: { code?: string }) => error.code,
    )
    await reached
    await world.sql('a', `UPDATE sharding.moves SET driven_until = 'epoch'`)
    const other = stopAt(second, 'shard-move:after-settle-back')
    const driving = revertMove(second.host, id)
    await other.reached
    goOn()
    expect(await late).toBe('SHARD_MOVE_TAKEN')
    await expect(world.sql('a', 'SELECT FROM "user_07"."user"')).rejects.toMatchObject({ code: '42P01' })
    expect(await world.sql('b', 'SELECT count(*)::int AS n FROM "user_07"."user"')).toEqual([{ n: rows }])
    other.goOn()
    expect((await driving).state).toBe('reverted')
    await takeBack(id, 'schema', before)
  })

  it.each(['schema', 'table'] as const)(
    'are woken too late: nothing of the layout %s is done twice',
    { timeout: 60_000 },
    async (layout) => {
      await open(layout)
      const [first, second] = [await world.process(), await world.process()]
      const { id } = await planMove(first.host, world, layout)
      const { reached, goOn } = stopAt(first, 'shard-move:after-switching')
      const late = driveMove(first.host, id).then(
        () => 'switched',
        (error: { code?: string }) => error.code,
      )
      await reached
      await world.sql('a', `UPDATE sharding.moves SET driven_until = 'epoch'`)
      const driving = driveMove(second.host, id)
      const other = stopAt(second, 'shard-move:after-settle')
      await other.reached
      goOn()
      expect(await late).toBe('SHARD_MOVE_TAKEN')
      expect(await shardObjects(world, 'a')).not.toEqual([])
      other.goOn()
      expect((await driving).state).toBe('switched')
      expect(world.epochs).toBe(1)
    },
  )

  it.each(nightlyShareOf(beforeSwitch, 'SHARD_MOVES'))(
    'leave nothing behind where the move is cancelled at %s',
    { timeout: 60_000 },
    async (point) => {
      const layout = layoutOf(point)
      await open(layout)
      const before = await describeShard(world, 'a', layout)
      const [first, second] = [await world.process(), await world.process()]
      const { id } = await planMove(first.host, world, layout)
      const { reached, goOn } = stopAt(first, point)
      const driving = driveMove(first.host, id).then(
        () => 'switched',
        (error: { code?: string }) => error.code,
      )
      await reached
      expect((await cancelMove(second.host, id)).state).toBe('cancelled')
      goOn()
      expect(await driving).toBe('SHARD_MOVE_TAKEN')
      for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
      expect(await shardObjects(world, 'b')).toEqual([])
      expect(await describeShard(world, 'a', layout)).toEqual(before)
    },
  )

  it.each(shardMoveControlPoints.filter(isOfCancelling))(
    'that die at %s while they cancel are followed by others',
    { timeout: 60_000 },
    async (point) => {
      const layout = layoutOf(point)
      await open(layout)
      const [first, second, third] = [await world.process(), await world.process(), await world.process()]
      const { id } = await planMove(first.host, world, layout)
      await dieAt(first, 'shard-move:after-verify', () => driveMove(first.host, id))
      await dieAt(second, point, () => cancelMove(second.host, id))
      await expect
        .poll(
          () =>
            driveMove(third.host, id).then(
              ({ state }) => state,
              (error: { code?: string }) => error.code,
            ),
          { timeout: 10_000, interval: 200 },
        )
        .toBe('cancelled')
      for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
      expect(await shardObjects(world, 'b')).toEqual([])
    },
  )

  it.each(shardMoveControlPoints.filter(isOfFinishing))(
    'that die at %s are followed by others',
    { timeout: 60_000 },
    async (point) => {
      await open('schema')
      const [first, second] = [await world.process(), await world.process()]
      const { id } = await planMove(first.host, world, 'schema')
      await driveMove(first.host, id)
      await dieAt(first, point, () => finishMove(first.host, id))
      await expect
        .poll(
          () =>
            finishMove(second.host, id).then(
              ({ state }) => state,
              (error: { code?: string }) => error.code,
            ),
          { timeout: 10_000, interval: 200 },
        )
        .toBe('done')
      for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
      expect((await listMoves(second.host)).map(({ state }) => state)).toEqual(['done'])
    },
  )
})
