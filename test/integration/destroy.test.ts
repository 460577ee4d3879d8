import { CannotExecuteNotConnectedError, Column, Entity, PrimaryColumn, QueryRunnerAlreadyReleasedError } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Account {
  @ShardKey() @PrimaryColumn('bigint') @ShardedId() id!: string
  @Column('text') name!: string
}

@Entity()
class Setting {
  @PrimaryColumn('int') id!: number
}

type Outcome = 'pending' | 'done' | 'refused' | Error

const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

describe('destroy() amid operations', () => {
  let databases: FreshDatabases
  beforeAll(async () => {
    databases = await createDatabases(2)
  })
  afterAll(() => databases.drop())

  const open = (poolSize: number, destroyMs = 5_000): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    return new ShardedDataSource({
      type: 'postgres',
      entities: [Account, Setting],
      nodes: { a: { url: a }, b: { url: b } },
      poolSize,
      timeouts: { destroyMs },
      cursors: { secret: 'a secret that all processes share' },
      synchronize: true,
    }).initialize() as Promise<ShardedDataSource>
  }
  /** TypeORM's QueryFailedError takes over the code of its cause. As TypeORM's, destroy() releases the query runners of transactions. */
  const isRefusal = (error: Error): boolean =>
    ('code' in error && error.code === 'SHARD_UNAVAILABLE') ||
    error instanceof CannotExecuteNotConnectedError ||
    error instanceof QueryRunnerAlreadyReleasedError

  const transaction = (dataSource: ShardedDataSource) =>
    dataSource.transaction(async (manager) => {
      await manager.count(Account)
      await manager.save(Account, { name: 'x' })
      return manager.count(Account)
    })
  const operations: readonly ((dataSource: ShardedDataSource) => Promise<unknown>)[] = [
    transaction,
    transaction,
    transaction,
    (dataSource) => dataSource.manager.count(Account),
    (dataSource) => dataSource.manager.count(Setting),
    (dataSource) => dataSource.manager.save(Account, { name: 'y' }),
    (dataSource) => dataSource.query('SELECT name, count(*) FROM account GROUP BY name'),
    (dataSource) => dataSource.transaction((manager) => manager.query('SELECT count(*) FROM account, setting')),
    async (dataSource) => {
      for await (const account of dataSource.getRepository(Account).stream({ order: { id: 'ASC' } })) void account
    },
    (dataSource) => dataSource.getRepository(Account).findPage({ order: { name: 'ASC', id: 'ASC' }, take: 5 }),
    (dataSource) => dataSource.verifyPlacement(),
  ]

  it.each([
    { poolSize: 2, copies: 1 },
    { poolSize: 2, copies: 3 },
    { poolSize: 10, copies: 1 },
    { poolSize: 10, copies: 3 },
  ])('settles each of them: poolSize $poolSize, $copies of each kind', { timeout: 60_000 }, async (given) => {
    for (const waitMs of [0, 5, 10, 15, 20, 25, 30, 40]) {
      const dataSource = await open(given.poolSize)
      const started = Array.from({ length: given.copies }, () => operations).flat()
      const outcomes = started.map((): Outcome => 'pending')
      for (const [index, start] of started.entries())
        start(dataSource).then(
          () => (outcomes[index] = 'done'),
          (error: Error) => (outcomes[index] = isRefusal(error) ? 'refused' : error),
        )
      await later(waitMs)
      await dataSource.destroy()
      // What was refused unwinds through its callers.
      await later(100)
      expect(
        outcomes.filter((outcome) => outcome !== 'done' && outcome !== 'refused'),
        `after ${waitMs} ms`,
      ).toEqual([])
    }
  })

  const endless = (load: (dataSource: ShardedDataSource, rows: AsyncIterable<object>) => Promise<unknown>) => load
  const loads = [
    { how: 'at once', load: endless((dataSource, rows) => dataSource.getRepository(Account).load(rows)) },
    {
      how: 'in batches',
      load: endless((dataSource, rows) => dataSource.getRepository(Account).load(rows, { batch: 5 })),
    },
    {
      how: 'in a transaction of the caller',
      load: endless((dataSource, rows) =>
        dataSource.transaction((manager) => manager.withRepository(dataSource.getRepository(Account)).load(rows)),
      ),
    },
  ]
  it.each(
    loads.flatMap((one) => [
      { ...one, source: 'slow', silentAfter: Number.POSITIVE_INFINITY },
      { ...one, source: 'silent', silentAfter: 30 },
    ]),
  )('ends a load $how whose input is $source', async ({ load, silentAfter }) => {
    const dataSource = await open(2, 300)
    let given = 0
    async function* accounts() {
      for (;;) {
        await (given === silentAfter ? new Promise(() => undefined) : later(2))
        given += 1
        yield { name: 'x' }
      }
    }
    const ended = load(dataSource, accounts()).then(
      () => undefined,
      (error: unknown) => error,
    )
    await later(200)
    await dataSource.destroy()
    const error = await Promise.race([ended, later(500)])
    expect(error).toMatchObject({ code: 'LOAD_INCOMPLETE', cause: { code: 'SHARD_UNAVAILABLE' } })
    // One may have been asked for already.
    await later(50)
    const atEnd = given
    await later(50)
    expect(given).toBe(atEnd)
  })
})
