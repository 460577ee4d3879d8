import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { errorOf, Item, type OpenNodes, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

describe('a best-effort commit that fails', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const items = () => open.dataSource.getRepository(Item)
  const zeros = [0, 0, 0, 0, 0]
  const fives = [5, 5, 5, 5, 5]

  /** Runs a body at COMMIT of a transaction that updated an item of this side. */
  const atCommit = async (side: Side, body: string) => {
    const client = await open.client(side)
    await client.query(`
      CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON "item_${side}"."item"
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit()`)
  }
  const killAtCommit = async (side: Side, write: () => Promise<unknown>) => {
    await atCommit(side, 'PERFORM pg_sleep(30)')
    const error = errorOf(write())
    await until(async () => (await open.sessions(side)).some(({ waits }) => waits === 'Timeout'))
    await nodes.clusters[side].kill()
    const thrown = await error
    await nodes.clusters[side].restart()
    return thrown
  }

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open({ transactions: 'best-effort' })
  })
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  it('tells who committed when the second node dies at COMMIT', async () => {
    const error = await killAtCommit('right', () => items().updateAll({ value: 5 }))
    expect(error).toMatchObject({
      code: 'PARTIAL_COMMIT',
      details: { committed: ['item_left'], failed: [], unknown: ['item_right'] },
      cause: { code: 'COMMIT_OUTCOME_UNKNOWN', details: { node: 'right' } },
    })
    expect(String(error)).toMatch(/item_left.*item_right/)
    expect([await open.values('left'), await open.values('right')]).toEqual([fives, zeros])
  })

  it('rolls the others back when the first node dies at COMMIT, and says that the first is not known', async () => {
    const error = await killAtCommit('left', () => items().updateAll({ value: 5 }))
    expect(error).toMatchObject({
      code: 'PARTIAL_COMMIT',
      details: { committed: [], failed: ['item_right'], unknown: ['item_left'] },
    })
    expect([await open.values('left'), await open.values('right')]).toEqual([zeros, zeros])
  })

  it('does not know the outcome of a commit on one node', async () => {
    const error = await killAtCommit('right', () => items().save({ id: 3, value: 5 }))
    expect(error).toMatchObject({
      code: 'COMMIT_OUTCOME_UNKNOWN',
      labels: ['outcome-unknown'],
      details: { node: 'right' },
    })
    expect(await items().findOneByOrFail({ id: 3 })).toEqual({ id: 3, value: 0 })
  })

  it('does not know the outcome of the caller’s commit on one node', async () => {
    const error = await killAtCommit('right', () =>
      open.dataSource.transaction((manager) => manager.update(Item, { id: 3 }, { value: 5 })),
    )
    expect(error).toMatchObject({ code: 'COMMIT_OUTCOME_UNKNOWN' })
    expect(await items().findOneByOrFail({ id: 3 })).toEqual({ id: 3, value: 0 })
  })

  it('commits nothing where the first node refuses, with the node’s own error', async () => {
    await atCommit('left', `RAISE EXCEPTION 'not today' USING ERRCODE = '23514'`)
    const error = await errorOf(items().updateAll({ value: 5 }))
    expect(error).toMatchObject({ code: '23514', message: expect.stringContaining('not today') })
    expect([await open.values('left'), await open.values('right')]).toEqual([zeros, zeros])
    expect(await items().sum('value')).toBe(0)
  })

  it('tells who committed where the second node refuses', async () => {
    await atCommit('right', `RAISE EXCEPTION 'not today' USING ERRCODE = '23514'`)
    const error = await errorOf(
      open.dataSource.transaction(async (manager) => {
        await manager.update(Item, { id: 2 }, { value: 5 })
        await manager.update(Item, { id: 3 }, { value: 5 })
      }),
    )
    expect(error).toMatchObject({
      code: 'PARTIAL_COMMIT',
      details: { committed: ['item_left'], failed: ['item_right'], unknown: [] },
      cause: { code: '23514' },
    })
    expect([await open.values('left'), await open.values('right')]).toEqual([[0, 5, 0, 0, 0], zeros])
  })

  it('refuses to commit a transaction whose failed statement the caller swallowed', async () => {
    const error = await errorOf(
      open.dataSource.transaction(async (manager) => {
        await manager.update(Item, { id: 3 }, { value: 5 })
        await manager.insert(Item, { id: 2 }).catch(() => undefined)
      }),
    )
    expect(error).toMatchObject({ code: 'TRANSACTION_ABORTED' })
    expect([await open.values('left'), await open.values('right')]).toEqual([zeros, zeros])
    await items().updateAll({ value: 5 })
    expect(await items().sum('value')).toBe(50)
  })
})
