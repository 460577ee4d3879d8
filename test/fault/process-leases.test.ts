import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../src/index'
import { errorOf, Item, type OpenNodes, Setting, startTwoNodes, type TwoNodes, until } from './two-nodes'

describe('leases of processes', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  let other: ShardedDataSource
  const epochs = async (by: ShardedDataSource) => (await by.topology.processes()).map(({ epoch }) => epoch)

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open()
    other = await new ShardedDataSource(open.options).initialize()
  })
  afterEach(async () => {
    await nodes.clusters.left.restart()
    if (other.isInitialized) await other.destroy()
    await open.close()
  })
  afterAll(() => nodes.stop())

  it('say who serves by which epoch, and go with their processes', async () => {
    const { epoch } = open.dataSource.shardMap
    const found = await open.dataSource.topology.processes()
    expect(found).toMatchObject([
      { pid: process.pid, epoch },
      { pid: process.pid, epoch },
    ])
    for (const { startedAt, expiresAt } of found) {
      expect(Math.abs(startedAt.getTime() - Date.now())).toBeLessThan(30_000)
      expect(expiresAt.getTime() - Date.now()).toBeGreaterThan(5_000)
    }
    await other.destroy()
    expect(await epochs(open.dataSource)).toEqual([epoch])
  })

  it('are waited for until all obey a change of the map', async () => {
    const { epoch } = open.dataSource.shardMap
    await open.query('left', `INSERT INTO sharding.epochs (author, reason) VALUES ('test', 'by hand')`)
    expect(await open.dataSource.topology.awaitProcesses()).toEqual([])
    expect(await epochs(other)).toEqual([epoch + 1, epoch + 1])
    // One that was killed is waited for until its lease ends.
    const ghost = '00000000-0000-4000-8000-000000000000'
    await open.query(
      'left',
      `INSERT INTO sharding.processes (id, author, pid, epoch, expires_at) VALUES ('${ghost}', 'gone', 1, 0, clock_timestamp() + interval '2 s')`,
    )
    expect(await open.dataSource.topology.awaitProcesses({ timeoutMs: 100 })).toMatchObject([{ id: ghost, epoch: 0 }])
    expect(await open.dataSource.topology.awaitProcesses()).toEqual([])
  })

  it('are held on another node while the home node is down, and keyed operations go on', async () => {
    const items = open.dataSource.getRepository(Item)
    await nodes.clusters.left.kill()
    // Each renews within ten seconds.
    const onRight = () => open.query('right', 'SELECT FROM sharding.processes').catch(() => [])
    await until(async () => (await onRight()).length === 2, 20_000)
    expect(await errorOf(open.dataSource.topology.processes())).toMatchObject({ code: 'SHARD_UNAVAILABLE' })
    await items.update({ id: 3 }, { value: 4 })
    expect(await items.findOneBy({ id: 3 })).toEqual({ id: 3, value: 4 })
    await nodes.clusters.left.restart()
    expect(await epochs(open.dataSource)).toHaveLength(2)
    await open.dataSource.getRepository(Setting).find()
  }, 40_000)
})
