import { afterEach, describe, expect, it } from 'vitest'
import { cancelMove, driveMove, finishMove, listMoves } from '../../../src/rebalancing/shard-moves'
import { type ShardMoveControlPoint, shardMoveControlPoints } from '../../../src/transactions/control-point'
import {
  describeShard,
  type Layout,
  leftovers,
  type MovingProcess,
  type MovingWorld,
  openWorld,
  planMove,
  shardObjects,
} from '../../integration/rebalancing/moving-shard'
import { startWriters } from '../../integration/rebalancing/shard-writers'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { nightlyShareOf } from '../../support/share-of'

const rows = 300

/** Points that a move which nothing disturbs does not come to. */
const isOfSettling = (point: string): boolean => point.includes('settle')
const isOfCancelling = (point: string): boolean => /target-removed|remove-target/.test(point)
const isOfFinishing = (point: string): boolean => point.endsWith('finish')
const onTheWay = shardMoveControlPoints.filter(
  (point) => !isOfSettling(point) && !isOfCancelling(point) && !isOfFinishing(point),
)
const beforeSwitch = onTheWay.slice(0, onTheWay.indexOf('shard-move:before-switching'))

/** The promise resolves when the process has come to the point, where it stays until it is told to go on. */
function stopAt({ host }: MovingProcess, stop: ShardMoveControlPoint) {
  let goOn = (): void => undefined
  const reached = new Promise<void>((resolve) => {
    host.points.listen((point) => {
      if (point !== stop) return
      resolve()
      return new Promise<void>((go) => {
        goOn = go
      })
    })
  })
  return { reached, goOn: () => goOn() }
}

/** Drives a move until the process dies at a point: its connections end, and nothing more is done. */
async function dieAt(
  process: MovingProcess,
  point: ShardMoveControlPoint,
  work: () => Promise<unknown>,
): Promise<void> {
  const { reached } = stopAt(process, point)
  const working = work()
  working.catch(() => undefined)
  await Promise.race([reached, working.then(() => Promise.reject(new Error(`${point} was not reached.`)))])
  await process.end()
}

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
    expect(await shardObjects(world, 'a')).toEqual([])
    expect(await leftovers(world, 'b')).toEqual([])
    expect((await finishMove(next.host, id)).state).toBe('done')
    expect(await leftovers(world, 'a')).toEqual([])
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
      expect(await leftovers(world, 'a')).toEqual([])
      expect((await listMoves(second.host)).map(({ state }) => state)).toEqual(['done'])
    },
  )
})
