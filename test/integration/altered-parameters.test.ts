import { Client } from 'pg'
import { Column, DataSource, type DeepPartial, Entity, type EntityManager, In, MoreThan, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Reading {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { nullable: true })
  n!: number | null

  @Column('text', { nullable: true })
  t!: string | null
}

/** Of no shard. */
@Entity()
class Place {
  @PrimaryColumn('int')
  id!: number

  @Column('int', { nullable: true })
  n!: number | null

  @Column('text', { nullable: true })
  t!: string | null
}

const entities = [Reading, Place]
const tables = ['reading', 'place'] as const

interface Case {
  /** Types of the columns at first; as declared where nothing is said. */
  readonly first: readonly string[]
  readonly change: string
  readonly isOverShards?: true
  readonly work: (manager: EntityManager) => Promise<unknown>
}

const asDates = `ALTER t TYPE date USING ('2020-01-0' || id)::date`
const toTimestamps = `ALTER t TYPE timestamp USING t + interval '6 hours'`
const noon = '2020-01-03 12:34:56'

/** The value of a column as text, with its parameters as literals. */
const stored = (manager: EntityManager, table: string, column: string): Promise<unknown> =>
  manager.query(`SELECT id, ${column}::text FROM ${table} ORDER BY id`)

const textToInt: Pick<Case, 'first' | 'change'> = {
  first: ['ALTER n TYPE text'],
  change: 'ALTER n TYPE int USING n::int',
}
const dateToTimestamp: Pick<Case, 'first' | 'change'> = { first: [asDates], change: toTimestamps }

/** What each does with the tables, on one database and on shards. */
const casesOf = (entity: typeof Reading | typeof Place, table: string): Readonly<Record<string, Case>> => {
  const written = (value: DeepPartial<Reading>, column: 'n' | 't', ids: readonly number[] = [1]) => {
    return async (manager: EntityManager): Promise<unknown> => {
      const { affected } = await manager.update(entity, { id: In([...ids]) }, value)
      return [affected, await stored(manager, table, column)]
    }
  }
  return {
    'update, date to timestamp': { ...dateToTimestamp, work: written({ t: noon }, 't') },
    'update of several, date to timestamp': {
      ...dateToTimestamp,
      isOverShards: true,
      work: written({ t: noon }, 't', [1, 2, 3]),
    },
    'insert, date to timestamp': {
      ...dateToTimestamp,
      work: async (manager) => {
        await manager.delete(entity, { id: 77 })
        await manager.insert(entity, { id: 77, n: 1, t: noon })
        return stored(manager, table, 't')
      },
    },
    'insert of several, date to timestamp': {
      ...dateToTimestamp,
      isOverShards: true,
      work: async (manager) => {
        const ids = [71, 72, 73, 74, 75, 76, 77, 78, 79]
        await manager.delete(entity, { id: In(ids) })
        await manager.insert(
          entity,
          ids.map((id) => ({ id, n: 1, t: noon })),
        )
        return stored(manager, table, 't')
      },
    },
    'upsert, date to timestamp': {
      ...dateToTimestamp,
      work: async (manager) => {
        await manager.upsert(entity, [{ id: 1, t: noon }], ['id'])
        return stored(manager, table, 't')
      },
    },
    'save, date to timestamp': {
      ...dateToTimestamp,
      work: async (manager) => {
        const found = await manager.findOneByOrFail(entity, { id: 1 })
        await manager.save(entity, { ...found, t: '2019-09-09' })
        await manager.save(entity, { ...found, t: noon })
        return stored(manager, table, 't')
      },
    },
    'delete, date to timestamp': {
      ...dateToTimestamp,
      work: async (manager) => {
        await manager.query(`INSERT INTO ${table} (id, t) VALUES (50, '2020-01-05') ON CONFLICT DO NOTHING`)
        await manager.delete(entity, { id: 50, t: '2020-01-05 00:00:00.5' })
        return stored(manager, table, 'n')
      },
    },
    'count, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) => manager.count(entity, { where: { t: MoreThan('2020-01-03 12:00') } }),
    },
    'count by key, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) => manager.count(entity, { where: { id: 3, t: MoreThan('2020-01-03 12:00') } }),
    },
    'exists, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) => manager.exists(entity, { where: { id: 3, t: '2020-01-03 06:00' } }),
    },
    'sum, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) => manager.sum(entity, 'id', { t: MoreThan('2020-01-03 12:00') }),
    },
    'selected columns, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) =>
        manager.find(entity, {
          select: { id: true },
          where: { t: MoreThan('2020-01-03 12:00') },
          order: { id: 'ASC' },
        }),
    },
    'query builder, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) =>
        manager
          .createQueryBuilder(entity, 'e')
          .select('count(e.id)', 'c')
          .where('e.t > :from OR e.id IN (SELECT x.id FROM place x WHERE x.t > :to)', { from: noon, to: noon })
          .getRawMany(),
    },
    'raw SQL, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) => manager.query(`SELECT id FROM ${table} WHERE t > $1 ORDER BY id`, ['2020-01-03 12:00']),
    },
    'raw SQL with a WITH, date to timestamp': {
      ...dateToTimestamp,
      work: (manager) =>
        manager.query(`WITH x AS (SELECT e.id FROM ${table} e WHERE e.t > $1) SELECT id FROM x ORDER BY id`, [noon]),
    },
    'update, real to double precision': {
      first: ['ALTER n TYPE real'],
      change: 'ALTER n TYPE double precision',
      work: written({ n: 0.1234567890123 }, 'n'),
    },
    'count, int to bigint': {
      first: [],
      change: 'ALTER n TYPE bigint',
      work: (manager) => manager.count(entity, { where: { n: MoreThan(5_000_000_000) } }),
    },
    'find, int to bigint': {
      first: [],
      change: 'ALTER n TYPE bigint',
      work: (manager) => manager.find(entity, { where: { n: MoreThan(5_000_000_000) }, order: { id: 'ASC' } }),
    },
    'find by key, int to bigint': {
      first: [],
      change: 'ALTER n TYPE bigint',
      work: (manager) => manager.find(entity, { where: { id: 2, n: MoreThan(5_000_000_000) } }),
    },
    'count, int to numeric': {
      first: [],
      change: 'ALTER n TYPE numeric',
      work: (manager) => manager.count(entity, { where: { n: MoreThan(2.5) } }),
    },
    'update, int to numeric': { first: [], change: 'ALTER n TYPE numeric', work: written({ n: 7.5 }, 'n') },
    'find by key, int to text': {
      first: [],
      change: 'ALTER n TYPE text',
      work: (manager) => manager.find(entity, { where: { id: 2, n: 20 } }),
    },
    'find, text to int': {
      ...textToInt,
      work: (manager) => manager.find(entity, { where: { n: MoreThan(10) }, order: { id: 'ASC' } }),
    },
    'count, text to int': { ...textToInt, work: (manager) => manager.count(entity, { where: { n: MoreThan(10) } }) },
    'count by key, text to int': {
      ...textToInt,
      work: (manager) => manager.count(entity, { where: { id: 2, n: MoreThan(10) } }),
    },
    'update, text to int': { ...textToInt, isOverShards: true, work: written({ n: 5 }, 'n', [1, 2, 3]) },
    'update of one, text to int': { ...textToInt, work: written({ n: 5 }, 'n') },
    'upsert, text to int': {
      ...textToInt,
      work: async (manager) => (await manager.upsert(entity, [{ id: 1, n: 4 }], ['id'])).identifiers,
    },
    'raw SQL, text to int': {
      ...textToInt,
      work: (manager) => manager.query(`SELECT id FROM ${table} WHERE n > $1 ORDER BY id`, [10]),
    },
    'update, text[] to text': {
      first: ['ALTER t TYPE text[] USING ARRAY[t]'],
      change: `ALTER t TYPE text USING 'x'`,
      work: written({ t: ['a', 'b'] as unknown as string }, 't'),
    },
    'a column that is dropped': {
      first: [],
      change: 'DROP COLUMN t',
      work: (manager) => manager.count(entity, { where: { t: 't1' } }),
    },
    'a mistaken value': {
      first: [],
      change: 'ALTER t TYPE varchar(50)',
      work: (manager) => manager.count(entity, { where: { n: 'x' as unknown as number } }),
    },
  }
}

/** What both sides give, or what they throw. */
async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    return { message, code }
  }
}

describe('parameters of statements whose tables are altered', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource
  const clients: Client[] = []

  /** On the nodes and the plain database, by sessions that are not the data sources'. */
  const alter = async (change: string): Promise<void> => {
    const [a, b, oracle] = clients
    for (const table of tables) await oracle?.query(`ALTER TABLE ${table} ${change}`)
    await a?.query(`ALTER TABLE place ${change}`)
    for (const { name, node } of sharded.shards(Reading))
      await (node === 'a' ? a : b)?.query(`ALTER TABLE "${name}".reading ${change}`)
  }
  const both = async (work: (manager: EntityManager) => Promise<unknown>, times: number): Promise<void> => {
    for (let time = 0; time < times; time++) {
      const expected = await outcome(() => work(plain.manager))
      expect(await outcome(() => work(sharded.manager))).toEqual(expected)
    }
  }
  /** At most one transaction a node ends with a coded error. */
  const inTransaction = async (expected: unknown, run: (dataSource: DataSource) => Promise<unknown>): Promise<void> => {
    const given: unknown[] = []
    for (let time = 0; time < 4; time++) given.push(await outcome(() => run(sharded)))
    const isStale = (one: unknown) => (one as { code?: string } | undefined)?.code === 'PLAN_STALE'
    expect(given.filter((one) => !isStale(one))).toEqual(Array(4 - given.filter(isStale).length).fill(expected))
    expect(given.slice(2).filter(isStale)).toEqual([])
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    for (const connectionString of [a, b, databases.oracle]) {
      const client = new Client({ connectionString })
      await client.connect()
      clients.push(client)
    }
  })
  beforeEach(async () => {
    const [a = '', b = ''] = databases.nodes
    sharded = new ShardedDataSource({ type: 'postgres', entities, nodes: { a: { url: a }, b: { url: b } } })
    plain = new DataSource({ type: 'postgres', entities, url: databases.oracle })
    const rows = [3, 20, 100, 7, 15, 1].map((n, index) => ({ id: index + 1, n, t: `t${index}` }))
    for (const dataSource of [sharded, plain]) {
      await dataSource.initialize()
      await dataSource.synchronize(true)
      await dataSource.getRepository(Reading).insert(rows)
      await dataSource.getRepository(Place).insert(rows)
    }
    return async () => {
      await sharded.destroy()
      await plain.destroy()
    }
  })
  afterAll(async () => {
    for (const client of clients) await client.end()
    await databases.drop()
  })

  for (const [entity, table] of [
    [Reading, 'reading'],
    [Place, 'place'],
  ] as const) {
    describe(table, () => {
      for (const [name, { first, change, isOverShards, work }] of Object.entries(casesOf(entity, table))) {
        it(`have the types of a new statement: ${name}`, async () => {
          for (const before of first) await alter(before)
          await both(work, 4)
          await alter(change)
          // A write of several shards of one node is a transaction of its own.
          if (isOverShards && table === 'reading')
            await inTransaction(await outcome(() => work(plain.manager)), ({ manager }) => work(manager))
          await both(work, 3)
        })

        if (table === 'place') continue
        it(`end one transaction at most: ${name}`, async () => {
          for (const before of first) await alter(before)
          for (let time = 0; time < 4; time++) await outcome(() => sharded.transaction(work))
          await outcome(() => plain.transaction(work))
          await alter(change)
          await inTransaction(await outcome(() => plain.transaction(work)), (dataSource) =>
            dataSource.transaction(work),
          )
        })
      }
    })
  }

  it('follow what its own query() alters, also in the transaction that alters it', async () => {
    for (const dataSource of [plain, sharded]) await dataSource.query('ALTER TABLE place ALTER n TYPE real')
    const work = async (manager: EntityManager): Promise<unknown> => {
      await manager.update(Place, { id: 1 }, { n: 0.1234567890123 })
      return stored(manager, 'place', 'n')
    }
    await both(work, 4)
    for (const dataSource of [plain, sharded]) await dataSource.query('ALTER TABLE place ALTER n TYPE double precision')
    await both(work, 2)
    for (const dataSource of [plain, sharded]) await dataSource.query('ALTER TABLE place ALTER n TYPE real')
    await both(work, 3)
    const alteredWithin = (dataSource: DataSource) =>
      dataSource.transaction(async (manager) => {
        const before = await work(manager)
        await manager.query('ALTER TABLE place ALTER n TYPE double precision')
        return [before, await work(manager)]
      })
    expect(await alteredWithin(sharded)).toEqual(await alteredWithin(plain))
    await both(work, 2)
  })
})
