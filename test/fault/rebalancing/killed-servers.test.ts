import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MoveHost } from '../../../src/rebalancing/move-host'
import { cancelMove, driveMove, finishMove, listMoves, revertMove } from '../../../src/rebalancing/shard-moves'
import type { ShardMoveControlPoint } from '../../../src/transactions/control-point'
import {
  describeShard,
  leftovers,
  type MovingWorld,
  openWorld,
  planMove,
  shardObjects,
} from '../../integration/rebalancing/moving-shard'
import { startWriters } from '../../integration/rebalancing/shard-writers'
import { type Cluster, startCluster } from '../../support/cluster'
import { type FreshDatabases, freshDatabases } from '../../support/fresh-databases'
import { nightlyShareOf } from '../../support/share-of'

const points: readonly ShardMoveControlPoint[] = [
  'shard-move:after-subscribe',
  'shard-move:after-enable',
  'shard-move:after-await-copy',
  'shard-move:before-verify',
  'shard-move:locked',
  'shard-move:after-switching',
  'shard-move:before-rename',
  'shard-move:after-rename',
  'shard-move:epoch-committed',
  'shard-move:subscription-removed',
  'shard-move:followed',
]
const pointsBack: readonly ShardMoveControlPoint[] = [
  'shard-move:locked-back',
  'shard-move:after-switching-back',
  'shard-move:before-leave',
  'shard-move:after-leave',
  'shard-move:return-committed',
  'shard-move:way-back-removed',
]
const victims = ['a', 'b'] as const
const deathsAt = (all: readonly ShardMoveControlPoint[]) =>
  all.flatMap((point) => victims.map((victim) => ({ point, victim })))

describe('a move whose server is killed', () => {
  let clusters: Readonly<Record<'a' | 'b', Cluster>>
  let databases: FreshDatabases
  beforeAll(async () => {
    const [a, b] = await Promise.all([startCluster({ name: 'source' }), startCluster({ name: 'target' })])
    clusters = { a, b }
  })
  afterAll(() => Promise.all([clusters.a.stop(), clusters.b.stop()]))

  const dieOnce = (host: MoveHost, point: ShardMoveControlPoint, victim: 'a' | 'b') => {
    const death = { count: 0 }
    host.points.listen(async (reached) => {
      if (reached !== point || death.count > 0) return
      death.count += 1
      await clusters[victim].kill()
      await clusters[victim].restart()
    })
    return death
  }

  const inWorld = async (work: (world: MovingWorld) => Promise<void>): Promise<void> => {
    databases = await freshDatabases([clusters.a.url(), clusters.b.url()], 2)
    const world = await openWorld(databases.nodes, 'schema', 2_000)
    try {
      await work(world)
    } finally {
      await world.close()
      await databases.drop()
    }
  }

  it.each(nightlyShareOf(deathsAt(points), 'SHARD_MOVES'))(
    'goes on: $victim at $point',
    { timeout: 90_000 },
    ({ point, victim }) =>
      inWorld(async (world) => {
        const before = await describeShard(world, 'a', 'schema')
        const { host } = await world.process({ tries: 300 })
        const { id } = await planMove(host, world, 'schema')
        const writers = startWriters(world, 'schema', { writers: 2, users: 100, everyMs: 3 })
        const death = dieOnce(host, point, victim)
        expect((await driveMove(host, id)).state).toBe('switched')
        const { expected, found } = await writers.stop()
        expect(death.count).toBe(1)
        expect(found).toEqual(expected)
        const [after, described] = [await describeShard(world, 'b', 'schema'), before]
        expect(after).toMatchObject({ triggers: (described as { triggers: unknown }).triggers })
        // Each row has come back, and none twice.
        expect((await revertMove(host, id)).state).toBe('reverted')
        expect((await writers.found()).orders).toEqual(expected.orders)
        for (const node of victims) expect(await leftovers(world, node)).toEqual([])
      }),
  )

  it.each(nightlyShareOf(deathsAt(pointsBack), 'SHARD_MOVES'))(
    'goes back: $victim at $point',
    { timeout: 90_000 },
    ({ point, victim }) =>
      inWorld(async (world) => {
        const before = await describeShard(world, 'a', 'schema')
        const { host } = await world.process({ tries: 300 })
        const { id } = await planMove(host, world, 'schema')
        await driveMove(host, id)
        const writers = startWriters(world, 'schema', { writers: 2, users: 100, everyMs: 3 })
        const death = dieOnce(host, point, victim)
        expect((await revertMove(host, id)).state).toBe('reverted')
        const { expected, found } = await writers.stop()
        expect(death.count).toBe(1)
        expect(found).toEqual(expected)
        expect(await describeShard(world, 'a', 'schema')).toMatchObject({
          triggers: (before as { triggers: unknown }).triggers,
        })
        for (const node of victims) expect(await leftovers(world, node)).toEqual([])
      }),
  )

  it('is finished at its new place, which keeps no WAL, where the old one is down', { timeout: 60_000 }, () =>
    inWorld(async (world) => {
      const made = await world.process({ tries: 2 })
      const host = { ...made.host, home: made.host.node(world.identities.b) }
      const { id } = await planMove(host, world, 'schema')
      await driveMove(host, id)
      await clusters.a.kill()
      await expect(finishMove(host, id)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' })
      expect(await leftovers(world, 'b')).toEqual([])
      await expect(revertMove(host, id)).rejects.toMatchObject({ code: 'SHARD_MOVE_STATE' })
      await clusters.a.restart()
      expect((await finishMove(host, id)).state).toBe('done')
      expect(await leftovers(world, 'a')).toEqual([])
    }),
  )

  it(
    'is cancelled at its source at once where the target is down, and there when it is back',
    { timeout: 60_000 },
    () =>
      inWorld(async (world) => {
        const [{ host }, second] = [await world.process(), await world.process({ tries: 2 })]
        const { id } = await planMove(host, world, 'schema')
        const aborted = new AbortController()
        host.points.listen((point) => {
          if (point === 'shard-move:after-enable') aborted.abort(new Error('enough'))
        })
        await expect(driveMove(host, id, aborted.signal)).rejects.toThrow('enough')
        await clusters.b.kill()
        await expect(cancelMove(second.host, id)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' })
        expect(await leftovers(world, 'a')).toEqual([])
        const [stored] = await listMoves(second.host)
        expect(stored).toMatchObject({ state: 'cancelling' })
        expect(stored?.error).toContain('SHARD_UNAVAILABLE')
        await clusters.b.restart()
        expect((await cancelMove(second.host, id)).state).toBe('cancelled')
        for (const node of ['a', 'b'] as const) expect(await leftovers(world, node)).toEqual([])
        expect(await shardObjects(world, 'b')).toEqual([])
      }),
  )

  it('is cancelled without its target where that does not come back', { timeout: 60_000 }, () =>
    inWorld(async (world) => {
      const { host } = await world.process({ tries: 2 })
      const { id } = await planMove(host, world, 'schema')
      const aborted = new AbortController()
      host.points.listen((point) => {
        if (point === 'shard-move:after-await-copy') aborted.abort(new Error('enough'))
      })
      await expect(driveMove(host, id, aborted.signal)).rejects.toThrow('enough')
      await clusters.b.kill()
      expect((await cancelMove(host, id, { abandonTarget: true })).state).toBe('cancelled')
      expect(await leftovers(world, 'a')).toEqual([])
      await clusters.b.restart()
      await world.sql('b', `ALTER SUBSCRIPTION "sharding_move_${id}" DISABLE`)
      await world.sql('b', `ALTER SUBSCRIPTION "sharding_move_${id}" SET (slot_name = NONE)`)
      await world.sql('b', `DROP SUBSCRIPTION "sharding_move_${id}"`)
    }),
  )
})
