import { getEventListeners } from 'node:events'
import { In, MoreThan, Raw } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type ShardedDataSourceOptions, ShardedError, type StatementEvent } from '../../src/index'
import { errorOf, Item, type OpenNodes, Setting, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

/** Sleeps on the row of one id, and so on one node; divides by zero on that of another. */
const troubled = ({ sleeps, fails = -1 }: { readonly sleeps: number; readonly fails?: number }) => ({
  value: Raw(
    (column) =>
      `CASE id WHEN ${sleeps} THEN length(pg_sleep(600)::text) WHEN ${fails} THEN 1 / (id - ${fails}) ELSE ${column} END >= 0`,
  ),
})
const slowLeft = troubled({ sleeps: 2 })
const slowLeftFailingRight = troubled({ sleeps: 2, fails: 3 })

describe('limits of operations', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  const items = () => open.dataSource.getRepository(Item)
  const pools = () => (['left', 'right'] as const).map((side) => open.dataSource.runtime.pool(side))
  const start = async (options: Partial<ShardedDataSourceOptions> = {}) => {
    await open?.close()
    open = await nodes.open(options)
  }
  const isSleeping = async (side: Side) => (await open.sessions(side)).some(({ waits }) => waits === 'Timeout')

  /** Nothing runs on the servers, every connection is idle and usable, and no permit is held. */
  const atRest = async () => {
    for (const pool of pools()) {
      expect(pool.counts.idle).toBe(pool.counts.total)
      expect(pool.counts.waiting).toBe(0)
      expect([pool.scatters.counts, pool.streams.counts]).toEqual([
        { taken: 0, waiting: 0 },
        { taken: 0, waiting: 0 },
      ])
      await Promise.all(Array.from({ length: pool.counts.total }, () => pool.query('SELECT 1')))
    }
    await open.idle()
    expect(await items().count()).toBe(10)
  }

  beforeAll(async () => {
    process.on('warning', onWarning)
    nodes = await startTwoNodes()
  })
  beforeEach(() => start())
  afterEach(async () => {
    await open.close()
    expect(warnings.map(({ name }) => name)).toEqual([])
  })
  afterAll(async () => {
    process.off('warning', onWarning)
    await nodes.stop()
  })

  it('cancel a slow node on its server when another fails', async () => {
    const client = await open.client('right')
    await client.query('BEGIN; LOCK TABLE "item_right"."item" IN ACCESS EXCLUSIVE MODE')
    const events: StatementEvent[] = []
    open.dataSource.onStatement((event) => events.push(event))
    const error = errorOf(items().find({ where: slowLeftFailingRight }))
    await until(() => isSleeping('left'))
    await client.query('ROLLBACK')
    expect(await error).toMatchObject({ code: '22012', node: 'right' })
    expect(await isSleeping('left')).toBe(false)
    expect(events.map(({ node, failed, cancelled }) => ({ node, failed, cancelled }))).toEqual([
      { node: 'right', failed: true, cancelled: false },
      { node: 'left', failed: true, cancelled: true },
    ])
    await atRest()
  })

  it('cancel a slow node on its server when exists knows its answer', async () => {
    const events: StatementEvent[] = []
    open.dataSource.onStatement((event) => events.push(event))
    const where = { id: In([2, 3]), ...slowLeft }
    expect(await items().exists({ where })).toBe(true)
    expect(await items().withLimits({ rowBudget: 5, deadlineMs: 60_000 }).existsBy(where)).toBe(true)
    expect(await isSleeping('left')).toBe(false)
    expect(events.map(({ node, failed, cancelled }) => ({ node, failed, cancelled }))).toEqual(
      [0, 1].flatMap(() => [
        { node: 'right', failed: false, cancelled: false },
        { node: 'left', failed: true, cancelled: true },
      ]),
    )
    await atRest()
    // A node that answers soon is not cancelled, and one that fails fails the operation.
    events.length = 0
    expect(await items().exists()).toBe(true)
    expect(await items().existsBy({ value: 1 })).toBe(false)
    expect(events.filter(({ failed }) => failed)).toEqual([])
    expect(await errorOf(items().existsBy({ id: In([2, 3]), ...troubled({ sleeps: 2, fails: 3 }) }))).toMatchObject({
      code: '22012',
    })
    const none = { id: In([2, 3]), ...troubled({ sleeps: 2 }), value: MoreThan(5) }
    expect(await items().existsBy(none)).toBe(false)
    await atRest()
  })

  it('do not abort a transaction when exists knows its answer', async () => {
    await open.dataSource.transaction(async (manager) => {
      const napping = Raw((column) => `CASE id WHEN 2 THEN length(pg_sleep(0.3)::text) ELSE ${column} END >= 0`)
      expect(await manager.existsBy(Item, { id: In([2, 3]), value: napping })).toBe(true)
      expect(await manager.countBy(Item, { id: In([2, 3]) })).toBe(2)
    })
    await atRest()
  })

  it('cancel all nodes at the deadline, which counts from the start of the operation', async () => {
    const error = await errorOf(items().withLimits({ deadlineMs: 200 }).find({ where: slowLeft }))
    expect(error).toBeInstanceOf(ShardedError)
    expect(error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      details: { deadlineMs: 200 },
      labels: ['retryable', 'no-writes'],
    })
    expect(await isSleeping('left')).toBe(false)
    await atRest()
  })

  it('take the deadline of the data source and of the entity where the operation gives none', async () => {
    await start({ scatter: { deadlineMs: 200 } })
    expect(await errorOf(items().count({ where: slowLeft }))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(await items().withLimits({ deadlineMs: 60_000 }).count()).toBe(10)
    await atRest()
  })

  it('throw the reason of an abort, before, during and never after', async () => {
    for (const reason of [new Error('gone'), 'text', null]) {
      const before = new AbortController()
      before.abort(reason)
      const events: unknown[] = []
      const stop = open.dataSource.onStatement((event) => events.push(event))
      expect(await errorOf(items().withLimits({ signal: before.signal }).find())).toBe(reason)
      expect(await errorOf(items().withLimits({ signal: before.signal }).findOneBy({ id: 2 }))).toBe(reason)
      expect(events).toEqual([])
      stop()
      const during = new AbortController()
      const error = errorOf(items().withLimits({ signal: during.signal }).find({ where: slowLeft }))
      await until(() => isSleeping('left'))
      during.abort(reason)
      expect(await error).toBe(reason)
      expect(await isSleeping('left')).toBe(false)
    }
    const after = new AbortController()
    expect(await items().withLimits({ signal: after.signal }).find()).toHaveLength(10)
    after.abort()
    expect(getEventListeners(after.signal, 'abort')).toEqual([])
    await atRest()
  })

  it('hold on one shard too, for reads and writes', async () => {
    const controller = new AbortController()
    const abort = new Error('gone')
    const left = items().onShard('item_left').withLimits({ signal: controller.signal })
    const error = errorOf(left.find({ where: slowLeft }))
    await until(() => isSleeping('left'))
    controller.abort(abort)
    expect(await error).toBe(abort)
    expect(
      await errorOf(
        items()
          .withLimits({ deadlineMs: 150 })
          .findBy({ id: 2, ...slowLeft }),
      ),
    ).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    })
    const limited = items().withLimits({ deadlineMs: 60_000, rowBudget: 3 })
    expect(await limited.save({ id: 4, value: 5 })).toMatchObject({ id: 4, value: 5 })
    expect(await limited.findBy({ id: In([0, 2, 4]) })).toHaveLength(3)
    expect(await errorOf(limited.findBy({ id: In([0, 2, 4, 6]) }))).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED' })
    const client = await open.client('left')
    await client.query('BEGIN; SELECT 1 FROM "item_left"."item" FOR UPDATE')
    const writes = items().withLimits({ deadlineMs: 150 })
    for (const write of [
      () => writes.update({ id: 2 }, { value: 9 }),
      () => writes.save({ id: 2, value: 9 }),
      () => writes.updateAll({ value: 9 }),
      () =>
        writes.save([
          { id: 2, value: 9 },
          { id: 3, value: 9 },
        ]),
    ])
      expect(await errorOf(write())).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await client.query('ROLLBACK')
    expect([await open.values('left'), await open.values('right')]).toEqual([
      [0, 0, 5, 0, 0],
      [0, 0, 0, 0, 0],
    ])
    await atRest()
  })

  it('count the rows of all shards', async () => {
    const limited = items().withLimits({ rowBudget: 9 })
    expect(await errorOf(limited.find())).toMatchObject({
      code: 'ROW_BUDGET_EXCEEDED',
      details: { rowBudget: 9 },
      labels: ['no-writes'],
    })
    expect(await limited.find({ where: { id: MoreThan(0) } })).toHaveLength(9)
    expect(await items().withLimits({ rowBudget: 10 }).find()).toHaveLength(10)
    expect(await limited.withLimits({ rowBudget: 10 }).find()).toHaveLength(10)
    await start({ scatter: { rowBudget: 9 } })
    expect(await errorOf(items().find())).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED' })
    expect(await items().withLimits({ rowBudget: Number.POSITIVE_INFINITY }).find()).toHaveLength(10)
    await atRest()
  })

  it('count the rows of an unsharded table that are sent to the shards', async () => {
    await start({ scatter: { rowBudget: 12 } })
    const beside = (count: number) =>
      open.dataSource.query(
        'SELECT count(*)::int AS n FROM item i JOIN setting s ON s.name = i.id::text WHERE i.value < $1',
        [count],
      )
    const names = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => ({ name: String(from + index) }))
    await open.dataSource.getRepository(Setting).insert(names(0, 12))
    expect(await beside(1)).toEqual([{ n: 10 }])
    await open.dataSource.getRepository(Setting).insert(names(12, 13))
    expect(await errorOf(beside(2))).toMatchObject({
      code: 'ROW_BUDGET_EXCEEDED',
      details: { table: 'setting', rowBudget: 12 },
    })
    await atRest()
  })

  it('bound what a gather copies, in rows and in letters, of all its tables together', async () => {
    const pairs = 'SELECT count(*)::int AS n FROM item a JOIN item b ON a.value = b.value'
    for (const [gather, option] of [
      [{ rows: 19 }, 'gather.rows'],
      [{ bytes: 19 }, 'gather.bytes'],
    ] as const) {
      await start({ gather })
      const error: unknown = await errorOf(open.dataSource.query(pairs))
      expect(error).toMatchObject({ code: 'GATHER_TOO_LARGE', details: { option, tables: ['a', 'b'] } })
      expect(String(error)).toMatch(/postgres_fdw/)
      await atRest()
    }
    for (const gather of [{ rows: 9 }, { bytes: 9 }]) {
      await start({ gather })
      const far = 'UPDATE item SET value = b.value + 1 FROM item b WHERE b.id = item.id + 1'
      expect(await errorOf(open.dataSource.query(far))).toMatchObject({
        code: 'GATHER_TOO_LARGE',
        details: { tables: ['b'] },
      })
      expect(await open.values('left')).toEqual([0, 0, 0, 0, 0])
      await atRest()
    }
    await start({ gather: { rows: 20, bytes: Number.POSITIVE_INFINITY } })
    expect(await open.dataSource.query(pairs)).toEqual([{ n: 100 }])
    await expect(start({ gather: { rows: 0 } })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
  })

  it('combine with hints in either order, and keep the class', async () => {
    const controller = new AbortController()
    controller.abort('gone')
    const limits = { signal: controller.signal }
    const key = 2
    for (const narrowed of [
      items().withLimits(limits).onShard('item_left'),
      items().onShard('item_left').withLimits(limits),
      items().withLimits(limits).withShardKey(key),
      items().withShardKey(key).withLimits(limits),
      items().withLimits(limits).acrossShards(),
      items().acrossShards().withLimits(limits).withLimits({ deadlineMs: 1_000 }),
    ]) {
      expect(narrowed).toBeInstanceOf(items().constructor)
      expect(await errorOf(narrowed.find())).toBe('gone')
    }
    const here = items().withLimits({ deadlineMs: 60_000 }).onShard('item_left')
    expect((await here.find({ order: { id: 'ASC' } })).map(({ id }) => id)).toEqual([0, 2, 4, 6, 8])
    expect(await here.query('SELECT count(*)::int AS count FROM "__shard__"."item"')).toEqual([{ count: 5 }])
    const manager = open.dataSource.manager.withLimits(limits)
    expect(await errorOf(manager.find(Item))).toBe('gone')
  })

  it('end query builders and raw SQL, on shards and at home', async () => {
    const condition = 'CASE item.id WHEN 2 THEN length(pg_sleep(600)::text) ELSE item.value END >= 0'
    const text = `SELECT count(*)::int AS n FROM item WHERE ${condition}`
    for (const ask of [
      (repository: ReturnType<typeof items>) => repository.createQueryBuilder('item').where(condition).getMany(),
      (repository: ReturnType<typeof items>) =>
        repository.createQueryBuilder('item').where(condition).clone().getCount(),
      (repository: ReturnType<typeof items>) =>
        repository.onShard('item_left').createQueryBuilder('item').where(condition).getMany(),
      (repository: ReturnType<typeof items>) =>
        repository
          .createQueryBuilder('item')
          .update()
          .set({ value: 9 })
          .where(condition.replaceAll('item.', ''))
          .execute(),
      (repository: ReturnType<typeof items>) => repository.manager.query(text),
      (repository: ReturnType<typeof items>) => repository.query(text),
      (repository: ReturnType<typeof items>) => repository.manager.query('SELECT pg_sleep(600)'),
    ]) {
      const controller = new AbortController()
      const error = errorOf(ask(items().withLimits({ signal: controller.signal })))
      await until(() => isSleeping('left'))
      controller.abort('gone')
      expect(await error).toBe('gone')
      expect(await isSleeping('left')).toBe(false)
    }
    expect(await items().withLimits({ rowBudget: 10 }).createQueryBuilder('item').getMany()).toHaveLength(10)
    const few = items().withLimits({ rowBudget: 9 }).createQueryBuilder('item')
    expect(await errorOf(few.getMany())).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED' })
    await atRest()
  })

  it('are refused where they do not reach', async () => {
    const manager = open.dataSource.manager.withLimits({ deadlineMs: 1_000 })
    for (const refused of [
      () => manager.transaction(async () => undefined),
      async () => manager.getTreeRepository(Item),
      () => manager.find(Setting),
      () => manager.save(Setting, { name: 'x' }),
      () => open.dataSource.getRepository(Setting).withLimits({ rowBudget: 1 }).find(),
    ])
      expect(await errorOf(refused())).toMatchObject({ code: 'LIMITS_UNSUPPORTED' })
    expect(() => items().withLimits({ deadlineMs: 0 })).toThrow(/OPTIONS_INVALID/)
    expect(() => items().withLimits({ rowBudget: -1 })).toThrow(/OPTIONS_INVALID/)
  })

  it('leave a transaction to be rolled back, in whole or to a savepoint', async () => {
    await open.dataSource.transaction(async (outer) => {
      await outer.update(Item, { id: In([2, 3]) }, { value: 5 })
      const error = await errorOf(
        outer.transaction(async (inner) => {
          await inner.getRepository(Item).update({ id: 4 }, { value: 7 })
          const limited = inner.getRepository(Item) as ReturnType<typeof items>
          await limited.withLimits({ deadlineMs: 150 }).find({ where: slowLeft })
        }),
      )
      expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
      const again = await errorOf(
        outer.transaction(async (inner) => {
          const limited = inner.getRepository(Item) as ReturnType<typeof items>
          await limited.withLimits({ deadlineMs: 150 }).findBy({ id: 2, ...slowLeft })
        }),
      )
      expect(again).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
      expect(await outer.find(Item, { where: { value: MoreThan(0) }, order: { id: 'ASC' } })).toMatchObject([
        { id: 2, value: 5 },
        { id: 3, value: 5 },
      ])
    })
    expect([await open.values('left'), await open.values('right')]).toEqual([
      [0, 5, 0, 0, 0],
      [0, 5, 0, 0, 0],
    ])
    const error = await errorOf(
      open.dataSource.transaction(async (manager) => {
        await manager.update(Item, {}, { value: 1 }).catch(() => manager.updateAll(Item, { value: 1 }))
        await manager.getRepository(Item).find({ where: slowLeftFailingRight })
      }),
    )
    expect(error).toMatchObject({ code: '22012' })
    expect(await items().sum('value')).toBe(10)
    await atRest()
  })

  it('let two hundred scatters and as many transactions and single reads through pools of three', async () => {
    const patient = { deadlineMs: Number.POSITIVE_INFINITY }
    await start({ poolSize: 3, connectTimeoutMS: 300_000, scatter: patient })
    const transaction = () =>
      open.dataSource.transaction(async (manager) => {
        await manager.find(Item, { order: { id: 'ASC' } })
        return (await manager.find(Item, { where: { id: MoreThan(4) } })).length
      })
    const asked = Array.from({ length: 200 }, () => [
      items().find({ order: { id: 'DESC' }, take: 3 }),
      transaction(),
      items().findOneBy({ id: 7 }),
    ]).flat()
    const answers = await Promise.all<unknown>(asked)
    expect(answers.filter((_, index) => index % 3 === 1)).toEqual(Array.from({ length: 200 }, () => 5))
    expect(pools().map((pool) => pool.counts.total)).toEqual([3, 3])
    await atRest()
  }, 300_000)

  it('leave a connection to single reads however many scatters sleep', async () => {
    await start({ poolSize: 3 })
    const controller = new AbortController()
    const limited = items().withLimits({ signal: controller.signal })
    const sleeping = Array.from({ length: 20 }, () => errorOf(limited.find({ where: slowLeft })))
    await until(async () => (await open.sessions('left')).filter(({ waits }) => waits === 'Timeout').length === 2)
    expect(await items().findOneBy({ id: 2 })).toMatchObject({ id: 2 })
    // The other node has answered all of them.
    await expect
      .poll(() => pools().map((pool) => pool.scatters.counts))
      .toEqual([
        { taken: 2, waiting: 18 },
        { taken: 0, waiting: 0 },
      ])
    controller.abort('enough')
    expect(await Promise.all(sleeping)).toEqual(Array.from({ length: 20 }, () => 'enough'))
    await atRest()
  })

  it('leave nothing behind after a thousand aborted scatters', async () => {
    await start({ poolSize: 3 })
    const one = new AbortController()
    const repository = items().withLimits({ signal: one.signal })
    let aborted = 0
    for (let round = 0; round < 100; round++) {
      const each = Array.from({ length: 9 }, (_, index) => {
        const own = new AbortController()
        setTimeout(() => own.abort('own'), index)
        return items()
          .withLimits({ signal: own.signal })
          .find({ order: { value: 'ASC', id: 'ASC' } })
      })
      const late = AbortSignal.timeout(5)
      const slow = repository.withLimits({ signal: late }).find({ where: slowLeft })
      const settled = await Promise.allSettled<unknown>([...each, slow])
      aborted += settled.filter(({ status }) => status === 'rejected').length
    }
    expect(aborted).toBeGreaterThan(100)
    expect(getEventListeners(one.signal, 'abort')).toEqual([])
    await atRest()
  }, 300_000)

  it('end an operation on a node that does not even cancel, and close that connection', async () => {
    const client = await open.client('left')
    await client.query('BEGIN; SELECT 1 FROM "item_left"."item" FOR UPDATE')
    // In its transaction, a session sees the same activity all the time.
    const watcher = await open.client('left')
    const controller = new AbortController()
    const limited = items().withLimits({ signal: controller.signal })
    const errors = Promise.all([
      errorOf(limited.find({ where: slowLeft })),
      errorOf(limited.update({ id: 2 }, { value: 9 })),
    ])
    const busy = async () => {
      const { rows } = await watcher.query(
        `SELECT pid FROM pg_stat_activity WHERE wait_event_type IN ('Timeout', 'Lock') AND datname = current_database()`,
      )
      return rows.map(({ pid }: { pid: number }) => pid)
    }
    await until(async () => (await busy()).length === 2)
    const frozen = await busy()
    for (const pid of frozen) process.kill(pid, 'SIGSTOP')
    try {
      controller.abort('gone')
      expect(await errors).toMatchObject(['gone', { code: 'CONNECTION_LOST', labels: ['outcome-unknown'] }])
    } finally {
      for (const pid of frozen) process.kill(pid, 'SIGCONT')
    }
    await client.query('ROLLBACK')
    await until(async () => (await busy()).length === 0)
    expect(await items().findOneBy({ id: 2 })).toMatchObject({ id: 2 })
  }, 30_000)
})
