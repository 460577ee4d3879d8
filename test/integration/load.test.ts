import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  hash,
  type LoadReport,
  type Shard,
  Sharded,
  ShardedDataSource,
  ShardedError,
  ShardKey,
  type StatementEvent,
} from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

class Size {
  @Column('int', { default: 1 }) width!: number
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Item {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int', { default: 5 }) value!: number
  @Column('text', { nullable: true }) note!: string | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Board {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column(() => Size) size!: Size
}

@Entity()
class Setting {
  @PrimaryColumn() name!: string
}

const rowsOf = (count: number, from = 1): { id: number; value: number }[] =>
  Array.from({ length: count }, (_, index) => ({ id: from + index, value: from + index }))

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => Promise.reject(new Error(`It was fulfilled: ${JSON.stringify(value)}`)),
    (error: unknown) => error,
  )

describe('load', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const events: StatementEvent[] = []
  const items = () => dataSource.getRepository(Item)
  const shardOf = (id: number): string => dataSource.locate(Item, id).shard
  const shards = (): string[] => dataSource.shards(Item).map(({ name }) => name)
  const countOn = async (shard: string): Promise<number> => items().onShard(shard).count()
  const onShard = (shard: string, rows: readonly { id: number }[]): number =>
    rows.filter(({ id }) => shardOf(id) === shard).length

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Item, Board, Setting],
      nodes: { a: { url: a }, b: { url: b } },
      // A connection that is not given back is missed at once.
      poolSize: 2,
      connectTimeoutMS: 2_000,
      synchronize: true,
    })
    await dataSource.initialize()
    dataSource.onStatement((event) => events.push(event))
  })
  beforeEach(async () => {
    await items().clear()
    events.length = 0
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('says what each shard took, and sends no more statements than chunks', async () => {
    const rows = rowsOf(2_000)
    const report = await items().load(rows)
    expect(report).toEqual({
      rows: 2_000,
      shards: shards().map((shard) => ({ shard, rows: onShard(shard, rows), skipped: 0, state: 'loaded' })),
    })
    expect(events.filter(({ text }) => text.startsWith('COPY'))).toHaveLength(4)
    for (const shard of shards()) expect(await countOn(shard)).toBe(onShard(shard, rows))
    expect(await items().findOneByOrFail({ id: 77 })).toEqual({ id: 77, value: 77, note: null })
  })

  it('takes nothing of an empty input', async () => {
    expect(await items().load([])).toEqual({ rows: 0, shards: [] })
    expect(await items().load([], { batch: 10 })).toEqual({ rows: 0, shards: [] })
  })

  it('is all or nothing, and names the row that the server refused', async () => {
    const error = await errorOf(items().load([...rowsOf(3_000), { id: 1, value: 1 }]))
    expect(error).toBeInstanceOf(ShardedError)
    expect(error).toMatchObject({
      code: 'LOAD_INCOMPLETE',
      labels: ['no-writes'],
      details: { entity: 'Item', row: 3_001, report: { rows: 3_001 } },
      cause: { driverError: { code: '23505' } },
    })
    expect((error as ShardedError).details['report']).toMatchObject({
      shards: shards().map((shard) => ({ shard, rows: 0, state: 'failed' })),
    })
    expect(await items().count()).toBe(0)
  })

  it('takes no value for the number of a line', async () => {
    for (const text of ['x, line 1', 'x\nCOPY item, line 1, y']) {
      const error = await errorOf(items().load([...rowsOf(50), { id: 51, value: text as never }]))
      expect(error).toMatchObject({ details: { row: 51 }, cause: { driverError: { code: '22P02' } } })
    }
  })

  /** Holds the table of a shard until the work has ended. */
  const whileLocked = async (shard: Shard, work: (blocker: Client) => Promise<void>): Promise<void> => {
    const blocker = new Client({ connectionString: databases.nodes[shard.node === 'a' ? 0 : 1] ?? '' })
    await blocker.connect()
    try {
      await blocker.query(`BEGIN; LOCK TABLE "${shard.name}"."item" IN ACCESS EXCLUSIVE MODE`)
      await work(blocker)
    } finally {
      await blocker.end()
    }
  }
  const firstOf = (node: string): Shard => {
    const shard = dataSource.shards(Item).find((one) => one.node === node)
    if (!shard) throw new RangeError(node)
    return shard
  }
  const reportOf = (error: unknown) => (error as ShardedError).details['report'] as LoadReport

  it('names no row of a shard whose COPY was ended because of another', async () => {
    const refusing = firstOf('b').name
    const rows = rowsOf(400)
    const bad = rows.findIndex(({ id }) => id > 200 && shardOf(id) === refusing)
    rows[bad] = { id: bad + 1, value: 'x' as never }
    await whileLocked(firstOf('a'), async () => {
      const error = await errorOf(items().load(rows))
      expect(error).toMatchObject({ details: { row: bad + 1 }, cause: { driverError: { code: '22P02' } } })
      expect((error as Error).message).toContain(`at row ${bad + 1}: `)
      expect(reportOf(error).shards.map(({ shard, row, error: own }) => [shard, row, own !== undefined])).toEqual(
        shards().map((shard) => (shard === refusing ? [shard, bad + 1, true] : [shard, undefined, false])),
      )
    })
  })

  it('names the row of the cause where several shards refused one', async () => {
    const [first = ''] = shards()
    const last = shards().at(-1) ?? ''
    const idsOf = (shard: string) => rowsOf(100).filter(({ id }) => shardOf(id) === shard)
    const rows = [...idsOf(last), ...idsOf(first), ...idsOf(last).slice(0, 1), ...idsOf(first).slice(0, 1)]
    const error = await errorOf(items().load(rows, { batch: 1_000 }))
    expect(reportOf(error).shards.map(({ row }) => row)).toEqual([rows.length, rows.length - 1])
    const { row } = (error as ShardedError).details
    expect(reportOf(error).shards.find((one) => one.row === row)?.error).toBe((error as Error).cause)
  })

  it('does not say that nothing was written where a shard may have stored a batch', async () => {
    const refusing = firstOf('b').name
    const locked = firstOf('a')
    const rows = rowsOf(200)
    const ofRefusing = rows.filter(({ id }) => shardOf(id) === refusing)
    const input = [...ofRefusing, ...ofRefusing, ...rows.filter(({ id }) => shardOf(id) === locked.name)]
    await whileLocked(locked, async (blocker) => {
      const loading = errorOf(items().load(input, { batch: 1_000 }))
      const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'COPY%' AND wait_event_type = 'Lock'`
      while ((await blocker.query(end)).rows.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 10))
        // In a transaction the server shows the same sessions again.
        await blocker.query('SELECT pg_stat_clear_snapshot()')
      }
      const error = await loading
      expect(error).toMatchObject({ labels: ['outcome-unknown'], cause: { driverError: { code: '23505' } } })
      expect(reportOf(error).shards).toMatchObject([
        { shard: locked.name, rows: 0, error: { code: 'CONNECTION_LOST' } },
        { shard: refusing, rows: 0 },
      ])
    })
  })

  it.each([
    ['without its shard key', { value: 1 }, { code: 'KEY_MISSING' }],
    ['with a key that is none', { id: 'one' as never }, { code: 'KEY_INVALID' }],
    ['that is none', 7 as never, { code: 'LOAD_ROW_INVALID' }],
    [
      'with an expression',
      { id: 5, note: (() => `'a'`) as never },
      { code: 'LOAD_ROW_INVALID', details: { column: 'note' } },
    ],
  ])('names a row %s by its number, and writes nothing', async (_what, row, cause) => {
    const error = await errorOf(items().load([...rowsOf(100), row, ...rowsOf(10, 200)]))
    expect(error).toMatchObject({ code: 'LOAD_INCOMPLETE', labels: ['no-writes'], details: { row: 101 }, cause })
    expect(await items().count()).toBe(0)
  })

  it('refuses an embedded that is no object, and takes none', async () => {
    const boards = dataSource.getRepository(Board)
    expect(await errorOf(boards.load([{ id: 1 }, { id: 2, size: 'wide' as never }]))).toMatchObject({
      code: 'LOAD_INCOMPLETE',
      details: { row: 2 },
      cause: { code: 'LOAD_ROW_INVALID', details: { column: 'size', type: 'string' } },
    })
    await boards.load([{ id: 1 }, { id: 2, size: null as never }, { id: 3, size: { width: 3 } }])
    expect((await boards.find({ order: { id: 'ASC' } })).map(({ size }) => size.width)).toEqual([1, 1, 3])
  })

  it('in batches keeps what is durable, and goes on where a shard refuses', async () => {
    const rows = rowsOf(1_000)
    await items().insert({ id: 500 })
    const bad = shardOf(500)
    const seen: number[] = []
    const error = await errorOf(
      items().load(rows, {
        batch: 50,
        onProgress: ({ shards: own }) => seen.push(own.reduce((sum, one) => sum + one.rows, 0)),
      }),
    )
    expect(error).toMatchObject({
      code: 'LOAD_INCOMPLETE',
      details: { row: 500 },
      cause: { driverError: { code: '23505' } },
    })
    const { report } = (error as ShardedError).details as {
      report: { rows: number; shards: { shard: string; rows: number; state: string }[] }
    }
    expect(report.rows).toBe(1_000)
    for (const { shard, rows: own, state } of report.shards) {
      expect(state).toBe(shard === bad ? 'failed' : 'loaded')
      if (shard === bad) expect(own).toBe(Math.floor(onShard(bad, rowsOf(499)) / 50) * 50)
      expect(await countOn(shard)).toBe(shard === bad ? own + 1 : onShard(shard, rows))
    }
    expect(seen).toEqual([...seen].sort((x, y) => x - y))
    // What is stored is left out, the row that was in the way too.
    const again = await items().load(rows, { batch: 50, resume: true })
    expect(again.shards.every(({ state }) => state === 'loaded')).toBe(true)
    expect(again.shards.reduce((sum, one) => sum + one.rows + one.skipped, 0)).toBe(1_000)
    expect(await items().count()).toBe(1_000)
  })

  it('resumes what is all there already, and needs primary keys for that', async () => {
    await items().load(rowsOf(300))
    const report = await items().load(rowsOf(300), { resume: true })
    expect(report.shards.map(({ rows, skipped }) => rows + skipped).reduce((sum, one) => sum + one, 0)).toBe(300)
    expect(report.shards.every(({ rows }) => rows === 0)).toBe(true)
  })

  it('ends by an abort, also while it waits for the input', async () => {
    const controller = new AbortController()
    let closed = false
    async function* endless() {
      try {
        yield* rowsOf(10)
        setTimeout(() => controller.abort(new Error('enough')), 50)
        await new Promise((resolve) => setTimeout(resolve, 300))
        yield { id: 11 }
      } finally {
        closed = true
      }
    }
    const started = Date.now()
    const error = await errorOf(items().load(endless(), { signal: controller.signal }))
    expect(Date.now() - started).toBeLessThan(250)
    expect(error).toMatchObject({ code: 'LOAD_INCOMPLETE', labels: ['no-writes'], cause: { message: 'enough' } })
    expect(await items().count()).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(closed).toBe(true)
  })

  it('ends when its transaction has been idle for too long, though it waits for the input', async () => {
    const [a = '', b = ''] = databases.nodes
    const own = new ShardedDataSource({
      type: 'postgres',
      entities: [Item, Setting],
      nodes: { a: { url: a }, b: { url: b } },
      timeouts: { transactionIdleMs: 200 },
    })
    await own.initialize()
    async function* silent() {
      yield* rowsOf(10)
      await new Promise(() => undefined)
    }
    const error = await errorOf(own.getRepository(Item).load(silent()))
    expect(error).toMatchObject({ code: 'LOAD_INCOMPLETE', labels: ['no-writes'], cause: { code: 'TRANSACTION_IDLE' } })
    expect(await items().count()).toBe(0)
    await own.destroy()
  })

  it('throws what the input throws, as the cause', async () => {
    // biome-ignore lint/correctness/useYield: it fails before
    async function* broken(): AsyncGenerator<{ id: number }> {
      throw new Error('the file ended')
    }
    expect(await errorOf(items().load(broken()))).toMatchObject({
      code: 'LOAD_INCOMPLETE',
      cause: { message: 'the file ended' },
    })
  })

  it.each([{}, { batch: 100 }])('reads no further than the servers take: %o', async (options) => {
    await whileLocked(firstOf('a'), async () => {
      let read = 0
      function* endless() {
        for (;;) yield { id: ++read }
      }
      const controller = new AbortController()
      const loading = errorOf(items().load(endless(), { ...options, signal: controller.signal }))
      const most = 200_000
      for (let before = -1; before !== read && read < most; ) {
        before = read
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
      expect(read).toBeLessThan(most)
      controller.abort()
      // Cancelled on the server, though the lock is still held.
      expect(await loading).toMatchObject({ code: 'LOAD_INCOMPLETE' })
    })
  })

  it('gives every connection back, whatever happened', async () => {
    for (let round = 0; round < 5; round++) {
      for (const options of [{}, { batch: 7 }]) {
        await errorOf(items().load([{ id: 1 }, { id: 1 }], options))
        await errorOf(items().load([{ id: 2 }, {}], options))
        await errorOf(items().load(rowsOf(100), { ...options, signal: AbortSignal.abort() }))
        await items()
          .load([{ id: 1000 + round }], options)
          .catch(() => undefined)
      }
    }
    expect(await Promise.all([1, 2, 3, 4].map(() => items().count()))).toHaveLength(4)
  })

  it('two at once over small pools', async () => {
    await Promise.all([items().load(rowsOf(3_000)), items().load(rowsOf(3_000, 10_000), { batch: 500 })])
    expect(await items().count()).toBe(6_000)
  })

  it('joins a transaction, and leaves it as it was where it fails', async () => {
    await errorOf(
      dataSource.transaction(async (manager) => {
        await manager.getRepository(Item).insert({ id: 1 })
        await dataSource.getRepository(Setting).count()
        await manager.withRepository(items()).load(rowsOf(50, 10))
        expect(await manager.count(Item)).toBe(51)
        throw new Error('no')
      }),
    )
    expect(await items().count()).toBe(0)
    await dataSource.transaction(async (manager) => {
      const own = manager.withRepository(items())
      await own.load(rowsOf(50))
      await errorOf(own.load([...rowsOf(50, 100), {}]))
      await errorOf(own.load([...rowsOf(50, 100), { id: 3 }]))
      await own.insert({ id: 60 })
      expect(await errorOf(own.load([], { batch: 5 }))).toMatchObject({ code: 'OPTIONS_INVALID' })
    })
    expect(await items().count()).toBe(51)
  })

  it('is narrowed as other writes are', async () => {
    await items()
      .withShardKey(7)
      .load([{ value: 3 }])
    expect(await items().find()).toEqual([{ id: 7, value: 3, note: null }])
    const other = shards().find((shard) => shard !== shardOf(8)) ?? ''
    expect(
      await errorOf(
        items()
          .onShard(other)
          .load([{ id: 8 }]),
      ),
    ).toMatchObject({ cause: { code: 'WRONG_SHARD' } })
    function* endless() {
      for (let id = 1; ; id++) yield { id }
    }
    expect(await errorOf(items().withLimits({ deadlineMs: 50 }).load(endless()))).toMatchObject({
      cause: { code: 'DEADLINE_EXCEEDED' },
    })
  })

  it.each([0, 1.5, 100_001, '5' as never])('refuses batch: %s', async (batch) => {
    expect(await errorOf(items().load([], { batch }))).toMatchObject({
      code: 'OPTIONS_INVALID',
      details: { option: 'batch' },
    })
  })

  it('refuses what is no input, and entities without shards', async () => {
    expect(await errorOf(items().load(5 as never))).toMatchObject({ code: 'OPTIONS_INVALID' })
    expect(await errorOf(dataSource.getRepository(Setting).load([]))).toMatchObject({ code: 'NOT_SHARDED' })
  })
})
