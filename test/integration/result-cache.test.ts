import { Client } from 'pg'
import { DataSource, type EntityManager, type QueryRunner } from 'typeorm'
import type { QueryResultCache } from 'typeorm/cache/QueryResultCache'
import type { QueryResultCacheOptions } from 'typeorm/cache/QueryResultCacheOptions'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource, type ShardedDataSourceOptions } from '../../src/index'
import { Account, bank, ids, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

const hour = 3_600_000

/** A cache in memory that notes how it is used. */
class Memory implements QueryResultCache {
  readonly calls: string[] = []
  readonly kept = new Map<string, QueryResultCacheOptions>()
  isOver = false

  async connect(): Promise<void> {
    this.calls.push('connect')
  }
  async disconnect(): Promise<void> {
    this.calls.push('disconnect')
  }
  async synchronize(): Promise<void> {}
  async getFromCache(options: QueryResultCacheOptions): Promise<QueryResultCacheOptions | undefined> {
    this.calls.push(`get ${options.identifier ?? ''}`)
    return this.kept.get(nameOf(options))
  }
  async storeInCache(options: QueryResultCacheOptions, saved: QueryResultCacheOptions | undefined): Promise<void> {
    this.calls.push(`store ${options.identifier ?? ''} ${saved ? 'over' : 'anew'} for ${options.duration} ms`)
    this.kept.set(nameOf(options), options)
  }
  isExpired(): boolean {
    return this.isOver
  }
  async clear(): Promise<void> {
    this.kept.clear()
  }
  async remove(identifiers: string[]): Promise<void> {
    this.calls.push(`remove ${identifiers.join()}`)
    for (const identifier of identifiers) this.kept.delete(identifier)
  }
}

/** A cache that has nothing, and asks the database by the runner that it is given. */
class Asking extends Memory {
  readonly heard: unknown[] = []
  /** What a call does after its question. */
  after: (name: string) => void = () => undefined

  constructor(private readonly own: () => DataSource | undefined) {
    super()
  }

  override async getFromCache(_options: QueryResultCacheOptions, runner?: QueryRunner): Promise<undefined> {
    await this.ask('get', runner)
  }
  override async storeInCache(
    _options: QueryResultCacheOptions,
    _saved: QueryResultCacheOptions | undefined,
    runner?: QueryRunner,
  ): Promise<void> {
    await this.ask('store', runner)
  }

  private async ask(name: string, runner: QueryRunner | undefined): Promise<void> {
    const [row] = (await runner?.query('SELECT count(*)::int AS n FROM "account"')) ?? []
    // Of no sharded table: the runner then has a connection of its own.
    const [home] = (await runner?.query('SELECT 1 AS n')) ?? []
    this.heard.push({
      name,
      rows: row?.n,
      home: home?.n,
      counted: await runner?.manager.count(Account),
      isOurs: runner?.dataSource === this.own() && runner?.manager.queryRunner === runner,
      isInTransaction: runner?.isTransactionActive,
      isReleased: runner?.isReleased,
    })
    this.after(name)
  }
}

const nameOf = ({ identifier, query = '' }: QueryResultCacheOptions): string => identifier ?? query

describe('the cache of results', () => {
  let databases: FreshDatabases
  let plain: DataSource
  let sharded: ShardedDataSource
  const open = async (cache: ShardedDataSourceOptions['cache'], poolSize = 10) => {
    const [a = '', b = ''] = databases.nodes
    return new ShardedDataSource({
      type: 'postgres',
      entities: [...bank.entities],
      nodes: { a: { url: a, poolSize }, b: { url: b, poolSize } },
      groups: { account: { shards: hash({ shards: 4 }) } },
      ...(cache !== undefined && { cache }),
    }).initialize()
  }
  const tables = async (url: string) => {
    const client = new Client({ connectionString: url })
    await client.connect()
    const { rows } = await client.query(`SELECT 1 FROM pg_tables WHERE tablename = 'query-result-cache'`)
    await client.end()
    return rows.length
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    const entities = [...bank.entities]
    plain = await new DataSource({ type: 'postgres', url: databases.oracle, entities, cache: true }).initialize()
    await plain.synchronize()
    sharded = await open(true)
    await sharded.synchronize()
  })
  beforeEach(async () => {
    for (const dataSource of [plain, sharded]) {
      await dataSource.queryResultCache?.clear()
      await dataSource.getRepository(Account).clear({ cascade: true })
      await dataSource.getRepository(Account).insert(twelveAccounts())
    }
  })
  afterAll(async () => {
    await plain.destroy()
    await sharded.destroy()
    await databases.drop()
  })

  it('has its table on the home node only, and keeps it over schema work', async () => {
    expect(await Promise.all(databases.nodes.map(tables))).toEqual([1, 0])
    await sharded.synchronize()
    expect(await Promise.all(databases.nodes.map(tables))).toEqual([1, 0])
  })

  it('answers as plain TypeORM does, from the cache and past it', async () => {
    const run = async (dataSource: DataSource) => {
      const repository = dataSource.getRepository(Account)
      const ask = async (cache: number | { id: string; milliseconds: number } | false) => [
        (await repository.find({ cache, order: { id: 'ASC' } })).map(({ id, owner }) => [id, owner]),
        (await repository.findAndCount({ cache, where: { owner: 'x' } }))[1],
        await repository.count({ cache }),
        (await repository.find({ cache, where: { id: '5' } })).length,
        await repository
          .createQueryBuilder('a')
          .cache(cache !== false, hour)
          .where("a.owner = 'x'")
          .getCount(),
      ]
      const first = await ask(hour)
      await repository.update({ id: '5' }, { owner: 'x' })
      await repository.delete({ id: '7' })
      return [first, await ask(hour), await ask(false)]
    }
    const answers = await run(sharded)
    expect(answers).toEqual(await run(plain))
    expect(answers[1]).toEqual(answers[0])
    expect(answers[2]).not.toEqual(answers[0])
  })

  it('is forgotten by identifier', async () => {
    const accounts = sharded.getRepository(Account)
    const ask = () => accounts.createQueryBuilder('a').cache('all', hour).getCount()
    expect(await ask()).toBe(12)
    await accounts.delete({ id: '7' })
    expect(await ask()).toBe(12)
    await sharded.queryResultCache?.remove(['all'])
    expect(await ask()).toBe(11)
  })

  it('never mixes shards', async () => {
    const accounts = sharded.getRepository(Account)
    const counts = async () => {
      const found: number[] = []
      for (const { name } of sharded.shards(Account)) {
        const cache = { id: 'same', milliseconds: hour }
        found.push((await accounts.onShard(name).find({ cache })).length)
        found.push(await accounts.onShard(name).createQueryBuilder('a').cache('count', hour).getCount())
        found.push(await sharded.shard(name).getRepository(Account).count({ cache: hour }))
      }
      return found
    }
    const first = await counts()
    expect(first.reduce((sum, one) => sum + one, 0)).toBe(3 * ids.length)
    expect(new Set(first).size).toBeGreaterThan(1)
    await accounts.deleteAll()
    expect(await counts()).toEqual(first)
  })

  it('is always asked where it is always enabled', async () => {
    const always = await open({ alwaysEnabled: true, duration: hour })
    const accounts = always.getRepository(Account)
    expect(await accounts.count()).toBe(12)
    await sharded.getRepository(Account).delete({ id: '7' })
    expect(await accounts.count()).toBe(12)
    expect(await accounts.count({ cache: false })).toBe(11)
    await always.destroy()
  })

  it('asks again when the time is over, as plain TypeORM does', async () => {
    const run = async (dataSource: DataSource) => {
      const accounts = dataSource.getRepository(Account)
      const ask = async () => [
        await accounts.count({ cache: 1_500 }),
        (await accounts.find({ cache: { id: 'soon', milliseconds: 1_500 }, order: { id: 'ASC' } })).length,
        await accounts.createQueryBuilder('a').cache(1_500).getCount(),
        (await accounts.find({ cache: 1_500, where: { id: '7' } })).length,
      ]
      const first = await ask()
      await accounts.delete({ id: '7' })
      const cached = await ask()
      await new Promise((resolve) => setTimeout(resolve, 1_600))
      const again = await ask()
      await accounts.delete({ id: '8' })
      return [first, cached, again, await ask()]
    }
    const answers = await run(sharded)
    expect(answers).toEqual([
      [12, 12, 12, 1],
      [12, 12, 12, 1],
      [11, 11, 11, 0],
      [11, 11, 11, 0],
    ])
    expect(answers).toEqual(await run(plain))
  })

  it('may be a provider of the user, who is asked what plain TypeORM would ask', async () => {
    const run = async (make: (cache: NonNullable<ShardedDataSourceOptions['cache']>) => Promise<DataSource>) => {
      const memory = new Memory()
      const dataSource = await make({ provider: () => memory })
      const accounts = dataSource.getRepository(Account)
      const ask = async () => [
        (await accounts.find({ cache: hour, order: { id: 'ASC' } })).map(({ id }) => id),
        await accounts.count({ cache: { id: 'count', milliseconds: hour } }),
        (await accounts.find({ cache: { id: 'one', milliseconds: hour }, where: { id: '5' } })).length,
      ]
      const first = await ask()
      await accounts.delete({ id: '7' })
      const second = await ask()
      await dataSource.queryResultCache?.remove(['count'])
      const third = await ask()
      memory.isOver = true
      const fourth = await ask()
      await dataSource.destroy()
      return { answers: [first, second, third, fourth], calls: memory.calls }
    }
    const ours = await run(open)
    expect(ours.answers.map(([, count]) => count)).toEqual([12, 12, 11, 11])
    expect(ours.answers.map(([found]) => (found as string[]).length)).toEqual([12, 12, 12, 11])
    const theirs = await run(plainWith)
    expect(ours).toEqual(theirs)
  })

  /** Every way to ask, each with the cache, alone and in a transaction that has written. */
  const askEverywhere = async (dataSource: DataSource) => {
    const answers: unknown[] = []
    const ask = async (work: () => Promise<unknown>) =>
      answers.push(await work().catch((error: unknown) => String(error)))
    const all = async (manager: EntityManager) => {
      const byBuilder = () => manager.createQueryBuilder(Account, 'a').cache(hour)
      await ask(async () => (await manager.find(Account, { cache: hour, order: { id: 'ASC' } })).length)
      await ask(async () => (await manager.find(Account, { cache: hour, order: { id: 'ASC' }, take: 3 })).length)
      await ask(async () => (await manager.find(Account, { cache: hour, where: { id: '5' } })).length)
      await ask(() => manager.count(Account, { cache: hour }))
      await ask(async () => (await byBuilder().getMany()).length)
      await ask(() => byBuilder().where('a.id = :id', { id: '5' }).getCount())
      await ask(async () => (await byBuilder().select('a.owner').where('a.id = :id', { id: '5' }).getRawMany()).length)
    }
    await all(dataSource.manager)
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    await runner.manager.insert(Account, { ...twelveAccounts()[0], id: '1000' })
    await all(runner.manager)
    await runner.rollbackTransaction()
    await runner.release()
    return answers
  }
  const plainWith = (cache: NonNullable<ShardedDataSourceOptions['cache']>, poolSize = 10) =>
    new DataSource({
      type: 'postgres',
      url: databases.oracle,
      entities: [...bank.entities],
      cache,
      poolSize,
    }).initialize()

  it('may be a provider that asks by the query runner of the application', async () => {
    const run = async (make: (cache: NonNullable<ShardedDataSourceOptions['cache']>) => Promise<DataSource>) => {
      let dataSource: DataSource | undefined
      const provider = new Asking(() => dataSource)
      dataSource = await make({ provider: () => provider })
      const answers = await askEverywhere(dataSource)
      await dataSource.destroy()
      return { answers, heard: provider.heard }
    }
    const theirs = await run(plainWith)
    expect(theirs.heard).toHaveLength(28)
    expect(await run(open)).toEqual(theirs)
  })

  it.each([
    { fails: 'get', ignoreErrors: false },
    { fails: 'store', ignoreErrors: false },
    { fails: 'get', ignoreErrors: true },
    { fails: 'store', ignoreErrors: true },
    { fails: 'none', ignoreErrors: false },
  ])('keeps no connection of a provider, errors in $fails, ignored: $ignoreErrors', async ({ fails, ignoreErrors }) => {
    const run = async (make: typeof plainWith) => {
      let dataSource: DataSource | undefined
      const provider = new Asking(() => dataSource)
      provider.after = (name) => {
        if (name === fails) throw new RangeError(`no ${name}`)
      }
      // As many as a transaction and a query beside it need.
      dataSource = await make({ provider: () => provider, ignoreErrors }, 2)
      const { manager } = dataSource
      const answers = [await askEverywhere(dataSource), await askEverywhere(dataSource)]
      // Each keeps a connection of the home node for its provider while it asks all nodes.
      const counts = await Promise.allSettled(Array.from({ length: 6 }, () => manager.count(Account, { cache: hour })))
      answers.push(counts.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason))))
      await dataSource.destroy()
      return answers
    }
    const theirs = await run(plainWith)
    expect(theirs.flat().includes(`RangeError: no ${fails}`)).toBe(fails !== 'none' && !ignoreErrors)
    expect(await run(open)).toEqual(theirs)
  })

  it('keeps the shards of a provider apart', async () => {
    const memory = new Memory()
    const dataSource = await open({ provider: () => memory })
    const accounts = dataSource.getRepository(Account)
    const cache = { id: 'same', milliseconds: hour }
    let sum = 0
    for (const { name } of dataSource.shards(Account)) sum += (await accounts.onShard(name).find({ cache })).length
    expect(sum).toBe(12)
    expect([...memory.kept.keys()].sort()).toEqual(dataSource.shards(Account).map(({ name }) => `${name}:same`))
    await dataSource.destroy()
  })
})
