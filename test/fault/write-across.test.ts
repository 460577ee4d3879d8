import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isWhole } from '../support/share-of'
import { type OpenNodes, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

const sides: readonly Side[] = ['left', 'right']

/** Each item meets one of the other side. */
const text =
  'UPDATE item SET value = other.value + 100 FROM item other WHERE other.id = item.id + 1 - 2 * (item.id % 2) RETURNING other.id'

describe('an UPDATE by rows of other shards', () => {
  let nodes: TwoNodes
  let open: OpenNodes

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open()
    // A node dies while it writes, and not after it.
    for (const side of sides)
      await open.query(
        side,
        `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
        CREATE TRIGGER linger BEFORE UPDATE ON "item_${side}"."item" FOR EACH ROW EXECUTE FUNCTION linger()`,
      )
  })
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  const values = async () => (await Promise.all(sides.map((side) => open.values(side)))).flat()
  const leftBehind = async () => {
    const found = await Promise.all(
      sides.map((side) =>
        open.query(
          side,
          `SELECT gid AS name FROM pg_prepared_xacts UNION ALL SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'`,
        ),
      ),
    )
    return found.flat()
  }

  it('is done whole or not at all when a node dies at any of its statements', async () => {
    const { dataSource } = open
    const sent: string[] = []
    const end = dataSource.onStatement((statement) => void sent.push(statement.text))
    expect(await dataSource.query(text)).toMatchObject([expect.toSatisfy((rows) => rows.length === 10), 10])
    end()
    let round = 1
    expect(await values()).toEqual(Array(10).fill(100 * round))
    // Both sides are read, both are written, and both commit in two phases.
    expect(sent.length).toBeGreaterThanOrEqual(6)
    const outcomes = new Set<string>()
    const places = sent.flatMap((_, point) => sides.map((side) => ({ point, side })))
    for (const { point, side } of isWhole ? places : places.filter((_, index) => index % 5 === 0)) {
      let count = 0
      let killed: Promise<void> | undefined
      const stop = dataSource.onStatement(() => {
        if (count === point) killed = nodes.clusters[side].kill()
        count += 1
      })
      const started = Date.now()
      const outcome: unknown = await dataSource.query(text).catch((error: unknown) => error)
      stop()
      expect(Date.now() - started).toBeLessThan(20_000)
      await killed
      await nodes.clusters[side].restart()
      await until(async () => (await leftBehind().catch(() => [undefined])).length === 0, 30_000)
      const [first = 0, ...others] = await values()
      expect(others).toEqual(Array(9).fill(first))
      // Of an outcome that nobody knows, the rows tell.
      const done = first === 100 * (round + 1)
      if (!done) expect(first).toBe(100 * round)
      if (!(outcome instanceof Error)) expect(done).toBe(true)
      else if (Reflect.get(outcome, 'code') !== 'COMMIT_OUTCOME_UNKNOWN')
        expect({ point, side, done, code: Reflect.get(outcome, 'code') }).toEqual({
          point,
          side,
          done: false,
          code: 'SHARD_UNAVAILABLE',
        })
      outcomes.add(outcome instanceof Error ? 'failed' : 'done')
      if (done) round += 1
      // The pools work again.
      await until(() =>
        dataSource.query(text).then(
          () => true,
          () => false,
        ),
      )
      round += 1
      expect(await values()).toEqual(Array(10).fill(100 * round))
    }
    expect(outcomes).toContain('failed')
  }, 300_000)
})
