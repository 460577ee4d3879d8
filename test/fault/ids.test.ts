import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WorkerIds } from '../../src/catalog/worker-ids'
import { NodePool } from '../../src/endpoints/node-pool'
import { idLayouts } from '../../src/ids/id-layout'
import { nextId } from '../../src/ids/id-maker'
import { type Cluster, startCluster } from '../support/cluster'

describe('ids while the home node dies and comes back', () => {
  let cluster: Cluster
  let home: NodePool

  beforeAll(async () => {
    cluster = await startCluster({ name: 'home' })
    home = new NodePool({
      name: 'home',
      pool: { connectionString: cluster.url(), max: 3 },
      maxPrepared: 0,
      onPoolError: () => undefined,
    })
  })
  afterAll(async () => {
    await home.end()
    await cluster.stop()
  })

  it('are made from what was reserved, refused beyond, and made again, none twice', async () => {
    const makers = [0, 1, 2].map(() => new WorkerIds(home, idLayouts['64-bit']))
    const ids: string[] = []
    /** How many of one slot each maker makes until it fails; with what code. */
    const burst = async (): Promise<readonly unknown[]> =>
      Promise.all(
        makers.map(async (maker) => {
          try {
            for (let index = 0; index < 20_000; index++) ids.push(maker.take(9) ?? (await nextId(maker, 9)))
            return 'all'
          } catch (error) {
            return [Reflect.get(Object(error), 'code'), Reflect.get(Object(error), 'labels')]
          }
        }),
      )
    for (const maker of makers) ids.push(await nextId(maker, 9))
    await cluster.kill()
    const unavailable = ['SHARD_UNAVAILABLE', ['retryable', 'no-writes']]
    expect(await burst()).toEqual([unavailable, unavailable, unavailable])
    // A minute's ticks of each were there.
    expect(ids.length).toBeGreaterThan(3 * 15_000)
    expect(await burst()).toEqual([unavailable, unavailable, unavailable])
    await cluster.restart()
    expect(await burst()).toEqual(['all', 'all', 'all'])
    // What was reserved is on disk: who starts anew starts after it.
    const [first] = makers
    await first?.close()
    makers[0] = new WorkerIds(home, idLayouts['64-bit'])
    expect(await burst()).toEqual(['all', 'all', 'all'])
    expect(new Set(ids).size).toBe(ids.length)
    await Promise.all(makers.map((maker) => maker.close()))
  })

  it('are made by 3 makers through kills at any moment, none twice', { timeout: 60_000 }, async () => {
    const ids: string[] = []
    let isOver = false
    const makeAll = async (): Promise<void> => {
      while (!isOver) {
        const maker = new WorkerIds(home, idLayouts['64-bit'])
        try {
          for (let index = 0; index < 40_000 && !isOver; index++) ids.push(maker.take(3) ?? (await nextId(maker, 3)))
        } catch (error) {
          expect(Reflect.get(Object(error), 'code')).toBe('SHARD_UNAVAILABLE')
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
        await maker.close().catch(() => undefined)
      }
    }
    const working = Promise.all([makeAll(), makeAll(), makeAll()])
    for (let kill = 0; kill < 4; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 100 + 150 * kill))
      await cluster.kill()
      await cluster.restart()
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
    isOver = true
    await working
    expect(ids.length).toBeGreaterThan(10_000)
    expect(new Set(ids).size).toBe(ids.length)
  })
})
