import { In } from 'typeorm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CommitOutcomeUnknownError } from '../../src/index'
import { formatPreparedId } from '../../src/transactions/prepared-transaction'
import { isWhole } from '../support/share-of'
import { errorOf, Item, type OpenNodes, startTwoNodes, type TwoNodes, until } from './two-nodes'

/** A step of a commit has 30 seconds, and a question ten: so long, and some for a busy machine. */
const commitBoundMs = 70_000
/** Two questions, one after the other, and one that another caller has asked already. */
const recoveryBoundMs = 35_000

let nodes: TwoNodes
let open: OpenNodes

beforeAll(async () => {
  nodes = await startTwoNodes()
  open = await nodes.open({ transactions: 'two-phase', connectTimeoutMS: 1_000 })
})
afterAll(async () => {
  await open.close()
  await nodes.stop()
})

const items = () => open.dataSource.getRepository(Item)
const prepared = async () => (await open.query('right', 'SELECT gid FROM pg_prepared_xacts')).map(({ gid }) => gid)
const identity = async (side: 'left' | 'right'): Promise<string> =>
  (await open.query(side, 'SELECT id FROM sharding.nodes'))[0]?.['id'] ?? ''

/** Leaves an item of the right side updated and prepared, by a coordinator that died before its decider had decided. */
async function leavePrepared(decider: string, digit: string, id: number): Promise<string> {
  const transaction = digit.repeat(32)
  const text = formatPreparedId({ decider, transaction, participant: await identity('right') })
  const update = `UPDATE "item_right"."item" SET value = 9 WHERE id = ${id}`
  await open.query('right', `BEGIN; ${update}; PREPARE TRANSACTION '${text}'`)
  return text
}

// It waits for most of a minute for bounds that are no options: `.ci/run` does.
it.skipIf(!isWhole)(
  'survives that the decider falls silent and closes no connection',
  { timeout: 2 * commitBoundMs },
  async () => {
    const [left, right] = [await identity('left'), await identity('right')]
    const thaws: (() => void)[] = []
    const end = open.dataSource.onControlPoint(async (point) => {
      if (point !== 'commit:before-decision') return
      end()
      thaws.push(await nodes.clusters.left.freeze())
    })
    try {
      const started = performance.now()
      const elapsed = () => performance.now() - started
      const inDoubt = errorOf(items().update({ id: In([0, 1]) }, { value: 5 })).then((error) => {
        expect(elapsed()).toBeLessThan(commitBoundMs)
        expect(error).toBeInstanceOf(CommitOutcomeUnknownError)
      })
      await until(async () => thaws.length > 0)
      // Recovery of what other nodes decide goes on.
      const own = await leavePrepared(right, 'a', 3)
      const others = await leavePrepared(left, 'b', 5)
      await until(async () => {
        const { pending } = await open.dataSource.recoverTransactions()
        expect(pending).toContainEqual({ node: 'left', id: undefined, reason: expect.any(String) })
        return !(await prepared()).includes(own)
      }, recoveryBoundMs)
      expect(await items().findOneBy({ id: 3 })).toEqual({ id: 3, value: 0 })
      // So does all else that does not need the silent one.
      await items().update({ id: 3 }, { value: 1 })
      await inDoubt
      // What it may have decided stays prepared.
      expect(await prepared()).toHaveLength(2)
      expect(await prepared()).toContain(others)
    } finally {
      for (const thaw of thaws) thaw()
    }
    await until(async () => {
      await open.dataSource.recoverTransactions()
      return (await prepared()).length === 0
    }, recoveryBoundMs)
    const [of0 = -1] = await open.values('left')
    expect([0, 5]).toContain(of0)
    expect(await open.values('right')).toEqual([of0, 1, 0, 0, 0])
  },
)
