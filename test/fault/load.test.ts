import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type LoadReport, ShardedError } from '../../src/index'
import { errorOf, Item, type OpenNodes, startTwoNodes, type TwoNodes, until } from './two-nodes'

const count = 20_000
const rowsOf = () => Array.from({ length: count }, (_, index) => ({ id: 100 + index, value: index }))

describe('a load whose node dies', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const items = () => open.dataSource.getRepository(Item)
  const onLeft = (report: LoadReport) => report.shards.find(({ shard }) => shard.endsWith('left'))
  const onRight = (report: LoadReport) => report.shards.find(({ shard }) => shard.endsWith('right'))
  const reportOf = (error: unknown): LoadReport => {
    expect(error).toBeInstanceOf(ShardedError)
    return (error as ShardedError).details['report'] as LoadReport
  }
  /** The rows, the right node being killed when so many of them have been read. */
  async function* killing(at: number) {
    for (const [index, row] of rowsOf().entries()) {
      if (index === at) await nodes.clusters.right.kill()
      yield row
    }
  }

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open()
  })
  afterEach(async () => {
    await nodes.clusters.right.restart()
    await open.close()
  })
  afterAll(() => nodes.stop())

  it('in one transaction has stored nothing', async () => {
    const error = await errorOf(items().load(killing(count / 2)))
    expect(error).toMatchObject({
      code: 'LOAD_INCOMPLETE',
      labels: ['no-writes'],
      cause: { code: 'SHARD_UNAVAILABLE' },
    })
    expect(reportOf(error).shards.map(({ rows, state }) => [rows, state])).toEqual([
      [0, 'failed'],
      [0, 'failed'],
    ])
    await nodes.clusters.right.restart()
    expect(await items().count()).toBe(10)
    await items().load(rowsOf())
    expect(await items().count()).toBe(10 + count)
  })

  it.each([500, 7_001, 13_333])(
    'in batches says what is durable, and goes on from there: killed at row %d',
    async (at) => {
      const error = await errorOf(items().load(killing(at), { batch: 100 }))
      expect(error).toMatchObject({ code: 'LOAD_INCOMPLETE' })
      const report = reportOf(error)
      expect(onLeft(report)).toMatchObject({ rows: count / 2, state: 'loaded' })
      expect(onRight(report)).toMatchObject({ state: 'failed' })
      await nodes.clusters.right.restart()
      await until(async () => (await open.values('right').catch(() => [])).length > 0)
      // A batch that was not acknowledged may be stored as well, as a whole.
      const durable = onRight(report)?.rows ?? 0
      expect([durable, durable + 100]).toContain((await open.values('right')).length - 5)
      const again = await items().load(rowsOf(), { batch: 100, resume: true })
      expect(again.shards.map(({ rows, skipped, state }) => [rows + skipped, state])).toEqual([
        [count / 2, 'loaded'],
        [count / 2, 'loaded'],
      ])
      expect(await items().count()).toBe(10 + count)
      expect(await items().sum('value')).toBe((count * (count - 1)) / 2)
    },
  )
})
