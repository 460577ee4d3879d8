import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { errorOf, Item, type OpenNodes, startTwoNodes, type TwoNodes, until } from './two-nodes'

const lockTimeoutMs = 400

describe('a transaction over nodes that waits for a lock', () => {
  let nodes: TwoNodes
  let open: OpenNodes

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open({ lockTimeoutMs })
  })
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  /** Updates one item, waits for the other transaction to have done so, and then the other item. */
  const inOrder = (first: number, second: number, met: () => Promise<void>) =>
    open.dataSource.transaction(async (manager) => {
      await manager.increment(Item, { id: first }, 'value', 1)
      await met()
      await manager.increment(Item, { id: second }, 'value', 1)
    })
  const meeting = (count: number) => {
    let come = 0
    return () => {
      come += 1
      return until(async () => come >= count)
    }
  }

  it('ends a deadlock that no server sees, and names both sides', async () => {
    const met = meeting(2)
    const outcomes = await Promise.allSettled([inOrder(2, 3, met), inOrder(3, 2, met)])
    const failed = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(failed.length).toBeGreaterThan(0)
    const [error] = failed
    expect(error).toMatchObject({
      code: 'LOCK_TIMEOUT',
      labels: ['retryable', 'no-writes'],
      details: {
        node: expect.stringMatching(/left|right/),
        pid: expect.any(Number),
        statement: expect.stringContaining('UPDATE'),
        blockers: [{ pid: expect.any(Number), application: open.options.applicationName, state: expect.any(String) }],
      },
    })
    expect(String(error)).toMatch(/session \d+ \(UPDATE .* waited 400 ms for session \d+ of .*UPDATE/)
    const won = outcomes.length - failed.length
    expect(await open.dataSource.getRepository(Item).sum('value')).toBe(2 * won)
  })

  it('goes on waiting where a statement is slow and waits for no lock', async () => {
    await open.dataSource.transaction(async (manager) => {
      await manager.increment(Item, { id: 2 }, 'value', 1)
      await manager.increment(Item, { id: 3 }, 'value', 1)
      await manager.query(`SELECT pg_sleep(${(lockTimeoutMs * 3) / 1000})`)
    })
    expect(await open.dataSource.getRepository(Item).sum('value')).toBe(2)
  })

  it('waits for ever on one node, as plain TypeORM does', async () => {
    const holder = await open.client('right')
    await holder.query('BEGIN')
    await holder.query('UPDATE "item_right"."item" SET value = 7 WHERE id = 3')
    const update = open.dataSource.transaction((manager) => manager.increment(Item, { id: 3 }, 'value', 1))
    await new Promise((resolve) => setTimeout(resolve, lockTimeoutMs * 3))
    await holder.query('COMMIT')
    await update
    expect(await open.dataSource.getRepository(Item).findOneByOrFail({ id: 3 })).toEqual({ id: 3, value: 8 })
  })

  it('leaves a deadlock inside one node to its server', async () => {
    const met = meeting(2)
    const error = await errorOf(Promise.all([inOrder(3, 5, met), inOrder(5, 3, met)]))
    expect(error).toMatchObject({ code: '40P01' })
  })

  it('has no deadlock between two writes that each change all rows, whose statements are sent to all nodes at once', async () => {
    // The one comes to the left node first, and the other to the right one.
    for (const [side, slow] of [
      ['left', 1],
      ['right', 2],
    ] as const)
      await open.query(
        side,
        `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF current_query() LIKE '%' || ${slow} || 00 || '%' THEN PERFORM pg_sleep(0.1); END IF; RETURN NULL; END $$;
         CREATE TRIGGER wait BEFORE UPDATE ON "item_${side}"."item" FOR EACH STATEMENT EXECUTE FUNCTION wait()`,
      )
    const items = open.dataSource.getRepository(Item)
    const setTo = (value: number) =>
      items
        .createQueryBuilder()
        .update()
        .set({ value: () => `${value}00` })
        .execute()
    const [first, second] = await Promise.all([setTo(1), setTo(2)])
    expect([first.affected, second.affected]).toEqual([10, 10])
    const values = [...(await open.values('left')), ...(await open.values('right'))]
    expect(new Set(values).size).toBe(1)
    await open.idle()
  })

  it('is bounded by a number', async () => {
    await expect(nodes.open({ lockTimeoutMs: 0 })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
  })
})
