import { QueryFailedError } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ShardedError } from '../../src/index'
import { isWhole } from '../support/share-of'
import { type OpenNodes, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

const sides: readonly Side[] = ['left', 'right']

/** More rows than are sent as arrays: they go into temporary tables. */
const rows = 4_000
const text = `SELECT count(*)::int AS pairs, sum(a.id)::int AS sum FROM item a JOIN item b ON a.value = b.value AND a.id <> b.id`

/** As many statements as it sends: reads of two tables on two nodes; two tables made, filled and settled; the query. */
const leastStatements = 10

describe('a gather', () => {
  let nodes: TwoNodes
  let open: OpenNodes

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open()
    const items = open.dataSource.getRepository('Item')
    await items.clear()
    await items.insert(Array.from({ length: rows }, (_, id) => ({ id, value: id % (rows / 2) })))
    for (const side of sides) await open.query(side, 'ANALYZE')
  })
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  const expected = [{ pairs: rows, sum: (rows * (rows - 1)) / 2 }]
  /** Sessions of the data source do nothing, and have no tables of their own. */
  const isClean = async (): Promise<void> => {
    await open.idle()
    for (const side of sides) expect(await temporaryTables(side)).toBe(0)
  }
  const temporaryTables = async (side: Side) =>
    (await open.query(side, `SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'`)).length

  it('leaves nothing when a node dies at any of its statements', async () => {
    const { dataSource } = open
    const sent: string[] = []
    const end = dataSource.onStatement(({ text }) => void sent.push(text))
    expect(await dataSource.query(text)).toEqual(expected)
    end()
    await isClean()
    expect(sent.length).toBeGreaterThanOrEqual(leastStatements)
    expect(sent.some((one) => /create temp/i.test(one))).toBe(true)
    const outcomes = new Set<string>()
    // The other node is only asked for rows; the one of the tables, which is asked to the end, is the first.
    const places = sent.map((_, point) => ({ point, side: sides[point % 2] ?? 'left' }))
    for (const { point, side } of isWhole ? places : places.filter(({ point }) => point === 0 || point === 6)) {
      let count = 0
      let killed: Promise<void> | undefined
      const stop = dataSource.onStatement(() => {
        if (count === point) killed = nodes.clusters[side].kill()
        count += 1
      })
      const started = Date.now()
      const outcome: unknown = await dataSource.query(text).catch((error: unknown) => error)
      stop()
      expect(Date.now() - started).toBeLessThan(15_000)
      if (outcome instanceof Error) {
        expect(outcome instanceof ShardedError || outcome instanceof QueryFailedError).toBe(true)
        expect(outcome).toMatchObject({ code: 'SHARD_UNAVAILABLE' })
      } else expect(outcome).toEqual(expected)
      outcomes.add(outcome instanceof Error ? 'failed' : 'answered')
      await killed
      await nodes.clusters[side].restart()
      await isClean()
      // The pools work again, and the copies of before are in nobody's way.
      await until(async () => {
        const again: unknown = await dataSource.query(text).catch(() => undefined)
        if (again !== undefined) expect(again).toEqual(expected)
        return again !== undefined
      })
      await isClean()
    }
    expect(outcomes).toContain('failed')
  }, 180_000)
})
