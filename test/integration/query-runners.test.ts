import {
  Column,
  type DataSource,
  Entity,
  type EntitySubscriberInterface,
  type InsertEvent,
  type LoadEvent,
  PrimaryColumn,
  type QueryRunner,
  QueryRunnerAlreadyReleasedError,
} from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Customer {
  @ShardKey() @ShardedId() @PrimaryColumn('bigint') id!: string
  @Column({ default: '' }) name!: string
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Note {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column({ default: '' }) text!: string
}

@Entity()
class Setting {
  @PrimaryColumn() name!: string
}

/** What a subscriber asks of its event's query runner when a customer was loaded. */
let asked: ((runner: QueryRunner) => Promise<unknown>) | undefined
const answers: unknown[] = []
const subscriber: EntitySubscriberInterface<Customer> = {
  listenTo: () => Customer,
  afterLoad: async (_customer: Customer, event?: LoadEvent<Customer>) => {
    if (asked && event) answers.push(await asked(event.queryRunner))
  },
}

const poolSize = 5

describe('query runners', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const customers = () => dataSource.getRepository(Customer)
  const pools = () => ['a', 'b'].map((node) => dataSource.runtime.pool(node))
  const atRest = () =>
    pools().every(({ counts, transactions }) => counts.total === counts.idle && transactions.counts.taken === 0)
  /** A shard of the node `b`, which is not the home node. */
  const farShard = () => {
    const found = dataSource.shards().find(({ node }) => node === 'b')
    if (!found) throw new Error('No shard lies on b.')
    return found.name
  }
  const withRunner = async <T>(
    work: (runner: QueryRunner) => Promise<T>,
    source: DataSource = dataSource,
  ): Promise<T> => {
    const runner = source.createQueryRunner()
    try {
      return await work(runner)
    } finally {
      await runner.release()
    }
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Customer, Note, Setting],
      nodes: { a: { url: a }, b: { url: b } },
      poolSize,
    }).initialize()
    await dataSource.synchronize()
    dataSource.subscribers.push(subscriber as never)
  })
  afterEach(async () => {
    asked = undefined
    answers.length = 0
    await customers().acrossShards().deleteAll()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('find in a transaction what was saved in it, with its id', async () => {
    const [one, two] = await dataSource.transaction(async (manager) => {
      const saved = await manager.save(manager.create(Customer, { name: 'x' }))
      const found = await manager.findOneByOrFail(Customer, { id: saved.id })
      expect(found).toEqual(saved)
      // At once, on whatever shards.
      const more = await Promise.all(
        Array.from({ length: 8 }, (_, index) => manager.save(manager.create(Customer, { name: `${index}` }))),
      )
      for (const each of more) expect(await manager.findOneBy(Customer, { id: each.id })).toEqual(each)
      found.name = 'y'
      return [saved, await manager.save(found)]
    })
    expect(two.id).toBe(one.id)
    expect(await customers().count()).toBe(9)
  })

  describe('of one shard', () => {
    const setting = "current_setting('app.tenant', true)"
    const settingOf = async () => (await dataSource.shard(farShard()).query(`SELECT ${setting} AS v`))[0].v || null

    it.each([
      ["SET app.tenant = 'x'"],
      [`SELECT set_config('app.tenant', 'x', false)`],
      [`SELECT name, set_config('app.tenant', 'x', false) FROM (VALUES ('x')) AS t (name)`],
    ])('leave nothing of %s to who has their connection next', async (text) => {
      const source = dataSource.shard(farShard())
      await source.transaction(async (manager) => {
        await manager.query(text)
        expect((await manager.query(`SELECT ${setting} AS v`))[0].v).toBe('x')
      })
      expect(await settingOf()).toBeNull()
      await withRunner(async (runner) => {
        await runner.query(text)
        expect((await runner.query(`SELECT ${setting} AS v`))[0].v).toBe('x')
      }, source)
      expect(await settingOf()).toBeNull()
    })
  })

  describe('after a commit that failed', () => {
    const fail = async (runner: QueryRunner): Promise<void> => {
      await runner.query('CREATE TABLE IF NOT EXISTS unlike_home (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)')
      await runner.startTransaction()
      await runner.query('INSERT INTO unlike_home VALUES (1), (1)')
      await expect(runner.commitTransaction()).rejects.toMatchObject({ driverError: { code: '23505' } })
    }

    it('a shard’s runner is in no transaction', async () => {
      const source = dataSource.shard(farShard())
      await source.query('CREATE TABLE IF NOT EXISTS unlike (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)')
      await withRunner(async (runner) => {
        await runner.startTransaction()
        await runner.query('INSERT INTO unlike VALUES (1), (1)')
        await expect(runner.commitTransaction()).rejects.toMatchObject({ driverError: { code: '23505' } })
        expect(runner.isTransactionActive).toBe(true)
        await runner.query('INSERT INTO unlike VALUES (2)')
        await runner.rollbackTransaction()
        expect(runner.isTransactionActive).toBe(false)
      }, source)
      expect(await source.query('SELECT n FROM unlike')).toEqual([{ n: 2 }])
    })

    it('settings are the session’s', () =>
      withRunner(async (runner) => {
        await fail(runner)
        await runner.query("SET app.tenant = 'x'")
        await runner.rollbackTransaction()
        expect(await runner.query("SELECT current_setting('app.tenant') AS v")).toEqual([{ v: 'x' }])
      }))

    it('a transaction may be begun by SQL', async () => {
      await withRunner(async (runner) => {
        await fail(runner)
        await runner.query('BEGIN')
        await runner.query('INSERT INTO unlike_home VALUES (3)')
        await runner.query('ROLLBACK')
        await runner.query('INSERT INTO unlike_home VALUES (4)')
      })
      expect(await dataSource.query('SELECT n FROM unlike_home')).toEqual([{ n: 4 }])
    })
  })

  it('keep what their session was told for statements with limits', () =>
    withRunner(async (runner) => {
      await runner.query("SET app.tenant = 'x'")
      await runner.query('CREATE TEMPORARY TABLE kept AS SELECT 1 AS n')
      const limited = (runner.manager as typeof dataSource.manager).withLimits({ deadlineMs: 10_000 })
      expect(await limited.query("SELECT current_setting('app.tenant', true) AS v")).toEqual([{ v: 'x' }])
      expect(await limited.query('SELECT n FROM kept')).toEqual([{ n: 1 }])
    }))

  it('of an event in a transaction see all shards after a statement of one', async () => {
    await customers().insert(rowsOf(12))
    await dataSource.transaction(async (given) => {
      const manager = given as typeof dataSource.manager
      const { id } = await manager.findOneByOrFail(Customer, { name: '3' })
      for (const { name } of dataSource.shards(Customer))
        await manager.onShard(name).query('UPDATE "customer" SET name = name')
      asked = (runner) => runner.query('SELECT count(*)::int AS n FROM "customer"')
      await manager.findOneByOrFail(Customer, { id })
    })
    expect(answers).toEqual([[{ n: 12 }]])
  })

  it('that wait for each other by statements with a hint go on when the circle closes', async () => {
    const [near, far] = ['a', 'b'].map(
      (node) => dataSource.shards(Customer).find((shard) => shard.node === node)?.name ?? '',
    )
    const update = (runner: QueryRunner, shard = '') =>
      (runner.manager as typeof dataSource.manager).onShard(shard).query('UPDATE "customer" SET name = name')
    // One connection of five is left to others.
    const runners = Array.from({ length: 2 * (poolSize - 1) }, () => dataSource.createQueryRunner())
    for (const [index, runner] of runners.entries()) {
      await runner.startTransaction()
      await update(runner, index % 2 === 0 ? near : far)
    }
    const crossed = runners.map(async (runner, index) => {
      try {
        await update(runner, index % 2 === 0 ? far : near)
        await runner.commitTransaction()
      } finally {
        await runner.release()
      }
    })
    await Promise.all(crossed)
    expect(atRest()).toBe(true)
  })

  it('that are released give their connection back after a narrowed query that was under way', async () => {
    const runner = dataSource.createQueryRunner()
    const manager = runner.manager as typeof dataSource.manager
    const answer = manager.acrossShards().query('SELECT 1 AS n')
    await runner.release()
    expect(await answer).toEqual([{ n: 1 }])
    expect(atRest()).toBe(true)
  })

  describe('that are released while a transaction ends', () => {
    it.each([
      ['commit', 12],
      ['rollback', 0],
    ] as const)('let its %s end, and give their connections back', async (end, count) => {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      await runner.manager.insert(Customer, rowsOf(12))
      await runner.manager.insert(Setting, { name: end })
      const ending = runner[`${end}Transaction`]()
      await runner.release()
      await ending
      expect(atRest()).toBe(true)
      expect(await customers().count()).toBe(count)
    })

    it.each(['Commit', 'Rollback'] as const)('may be so by a subscriber that hears of the %s', async (end) => {
      const runner = dataSource.createQueryRunner()
      const heard = { [`afterTransaction${end}`]: () => runner.release() }
      dataSource.subscribers.push(heard as never)
      try {
        await runner.startTransaction()
        await runner.manager.insert(Customer, rowsOf(12))
        await runner[`${end === 'Commit' ? 'commit' : 'rollback'}Transaction`]()
      } finally {
        dataSource.subscribers.pop()
      }
      expect(atRest()).toBe(true)
    })
  })

  it('wait for no turn while they hold a connection', async () => {
    // As many as the pool has connections, all of them kept for queries.
    const runners = Array.from({ length: poolSize }, () => dataSource.createQueryRunner())
    try {
      for (const runner of runners) await runner.query('SELECT 1')
      const others = Array.from({ length: poolSize }, () =>
        dataSource.transaction((manager) => manager.query('SELECT 1 AS n')),
      )
      const own = runners.map(async (runner) => {
        await runner.startTransaction()
        await runner.query('SELECT 1')
        await runner.commitTransaction()
        await runner.release()
      })
      await Promise.all([...own, ...others])
    } finally {
      for (const runner of runners) await runner.release()
    }
    expect(atRest()).toBe(true)
  })

  it('end by a call what SQL has ended only where a call began it', () =>
    withRunner(async (runner) => {
      await runner.query('BEGIN')
      await runner.query('COMMIT')
      await expect(runner.commitTransaction()).rejects.toThrow('Transaction is not started yet')
      await runner.startTransaction()
      await runner.query('COMMIT')
      await runner.commitTransaction()
    }))

  it('of one shard take no connection after the transaction that they were made for', async () => {
    const kept = await dataSource.transaction(async (given) => {
      const trees = (given as typeof dataSource.manager).onShard(farShard()).getTreeRepository(Customer)
      expect(await trees.find()).toEqual([])
      return trees
    })
    for (const late of [() => kept.find(), () => kept.save({ name: 'late' })])
      await expect(late()).rejects.toThrow(QueryRunnerAlreadyReleasedError)
    expect(atRest()).toBe(true)
  })

  describe('beside a subscriber that fails', () => {
    const withSubscriber = async (own: EntitySubscriberInterface, work: () => Promise<void>): Promise<void> => {
      dataSource.subscribers.push(own as never)
      try {
        await work()
      } finally {
        dataSource.subscribers.pop()
      }
    }
    const unhandled: unknown[] = []
    const note = (reason: unknown) => void unhandled.push(reason)

    it('give the error of the statement, and not that of its rollback', () => {
      const beforeTransactionRollback = () => {
        throw new RangeError('of the rollback')
      }
      return withSubscriber({ beforeTransactionRollback }, async () => {
        await customers().insert(rowsOf(12))
        const write = customers().acrossShards().query('UPDATE "customer" SET name = (1 / 0)::text')
        await expect(write).rejects.toMatchObject({ driverError: { code: '22012' } })
      })
    })

    it.each([1, 12])('leave %i inserted objects the ids of their rows', async (count) => {
      const afterInsert = () => {
        throw new RangeError('after it')
      }
      const rows: { name: string; id?: string }[] = rowsOf(count)
      await withSubscriber({ listenTo: () => Customer, afterInsert } as never, async () => {
        await expect(customers().insert(rows)).rejects.toThrow('after it')
      })
      const stored = await customers().find({ order: { id: 'ASC' } })
      expect(stored.map(({ id }) => id)).toEqual(
        rows.map(({ id }) => id).sort((a, b) => (BigInt(a ?? 0) < BigInt(b ?? 0) ? -1 : 1)),
      )
    })

    it.each(['one shard', 'several shards'])('leave no promise to nobody: %s', async (where) => {
      const ids = Array.from({ length: 20 }, (_, id) => id)
      const shardOf = (id: number) => dataSource.locate(Note, id).shard
      const [first = [], second = []] = [...new Set(ids.map(shardOf))].map((shard) =>
        ids.filter((id) => shardOf(id) === shard),
      )
      const [slow = 0, bad = 0, other = 0] =
        where === 'one shard' ? [first[0], first[1], second[0]] : [first[0], second[0], first[1]]
      const beforeInsert = ({ entity }: InsertEvent<Note>) => {
        if (entity.id === slow) return new Promise((_, reject) => setTimeout(() => reject(new RangeError('late')), 20))
        // Another shard's: the guard refuses it.
        if (entity.id === bad) entity.id = other
        return undefined
      }
      process.on('unhandledRejection', note)
      try {
        await withSubscriber({ listenTo: () => Note, beforeInsert } as never, async () => {
          await expect(dataSource.manager.save(Note, [{ id: slow }, { id: bad }])).rejects.toThrow()
          await new Promise((resolve) => setTimeout(resolve, 50))
        })
      } finally {
        process.off('unhandledRejection', note)
      }
      expect(unhandled.splice(0)).toEqual([])
      expect(await dataSource.manager.count(Note)).toBe(0)
    })
  })

  it('move rows at once in one transaction, each all or not at all', async () => {
    const ids = [1, 2, 3, 4, 5, 6]
    await dataSource.manager.insert(
      Note,
      ids.map((id) => ({ id })),
    )
    const settled = await dataSource.transaction(async (manager) => {
      const notes = (manager as typeof dataSource.manager).getRepository(Note)
      const found = await notes.find({ order: { id: 'ASC' } })
      await notes.delete({ id: 3 })
      return Promise.allSettled(found.map((note) => notes.move(note, note.id + 100)))
    })
    expect(settled.map(({ status }) => status === 'fulfilled')).toEqual(ids.map((id) => id !== 3))
    const stored = await dataSource.manager.find(Note, { order: { id: 'ASC' } })
    expect(stored.map(({ id }) => id)).toEqual([101, 102, 104, 105, 106])
    await dataSource.getRepository(Note).acrossShards().deleteAll()
  })
})

const rowsOf = (length: number): { name: string }[] => Array.from({ length }, (_, index) => ({ name: `${index}` }))
