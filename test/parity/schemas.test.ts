import { Column, DataSource, Entity, In, PrimaryColumn, type QueryRunner } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Acc {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') cents!: number
  @Column('enum', { enum: ['x', 'y'], default: 'x' }) mood!: string
}

@Entity()
class Note {
  @PrimaryColumn('int') id!: number
}

const ids = [1, 2, 3, 4]

/** In the schema of the option `schema`, and beside it a table of the same name on the search path. */
describe.each([
  ['the schema of a sharded table is none of the search path', 'app', undefined],
  ['the schema of a sharded table is the first of the search path', undefined, 'app, public'],
  ['the schema of a sharded table is the first of the search path, and said', 'app', 'app, public'],
])('%s', (_, schema, path) => {
  let databases: FreshDatabases
  let plain: DataSource
  let sharded: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    for (const url of [databases.oracle, a, b]) {
      const made = await new DataSource({ type: 'postgres', url }).initialize()
      await made.query('CREATE SCHEMA app')
      await made.query('CREATE TABLE public.acc (id int, cents int)')
      if (url !== b) await made.query('INSERT INTO public.acc VALUES (7, 50), (8, 105)')
      await made.destroy()
    }
    const common = {
      type: 'postgres' as const,
      entities: [Acc, Note],
      synchronize: true,
      ...(schema !== undefined && { schema }),
    }
    const extra = path !== undefined && { extra: { options: `-c search_path=${path.replaceAll(' ', '')}` } }
    plain = await new DataSource({ ...common, url: databases.oracle, ...extra }).initialize()
    sharded = await new ShardedDataSource({
      ...common,
      nodes: { a: { url: a }, b: { url: b } },
      ...(path !== undefined && { session: { search_path: path } }),
    }).initialize()
    for (const dataSource of [plain, sharded])
      await dataSource.getRepository(Acc).insert(ids.map((id) => ({ id, cents: id })))
  })
  afterAll(async () => {
    await sharded?.destroy()
    await plain?.destroy()
    await databases?.drop()
  })

  const outcome = async (dataSource: DataSource, text: string): Promise<unknown> => {
    try {
      return await dataSource.query(text)
    } catch (error) {
      return (error as { readonly code?: string }).code
    }
  }

  it.each([
    'SELECT count(*)::int AS n, sum(cents)::int AS s FROM app.acc',
    'SELECT count(*)::int AS n, sum(cents)::int AS s FROM acc',
    'SELECT count(*)::int AS n, sum(cents)::int AS s FROM public.acc',
    'SELECT app.acc.id FROM app.acc WHERE app.acc.id = 2',
    'SELECT a.id, b.cents FROM app.acc a JOIN app.acc b ON a.id = b.id WHERE a.id = 3',
    'SELECT x.id FROM app.acc x ORDER BY x.id DESC',
    'WITH w AS (SELECT id FROM app.acc) SELECT count(*)::int AS n FROM w',
    'UPDATE app.acc SET cents = cents + 1 WHERE app.acc.id = 2',
    'UPDATE acc SET cents = cents + 10',
    'UPDATE public.acc SET cents = cents + 100',
    'SELECT count(*)::int AS n FROM nowhere.acc',
  ])('%s', async (text) => {
    expect(await outcome(sharded, text)).toEqual(await outcome(plain, text))
    const rest = 'SELECT id, cents FROM public.acc ORDER BY 1, 2'
    expect(await outcome(sharded, rest)).toEqual(await outcome(plain, rest))
    const find = (dataSource: DataSource) => dataSource.getRepository(Acc).find({ order: { id: 'ASC' } })
    expect(await find(sharded)).toEqual(await find(plain))
  })

  it.each([`SELECT to_regclass('app.acc')`, `SELECT 'y'::app.acc_mood_enum`])('%s is refused', async (text) => {
    expect(await outcome(sharded, text)).toBe('STATEMENT_UNSUPPORTED')
  })

  it('a query runner finds the table', async () => {
    const runner = sharded.createQueryRunner()
    expect(await runner.hasTable('app.acc')).toBe(true)
    expect(await runner.hasColumn('app.acc', 'cents')).toBe(true)
    await runner.release()
  })

  it('finds and builders read it', async () => {
    const read = (dataSource: DataSource) =>
      dataSource
        .getRepository(Acc)
        .createQueryBuilder('a')
        .where({ id: In([1, 4]) })
        .orderBy('a.id')
        .getMany()
    expect(await read(sharded)).toEqual(await read(plain))
  })
})

describe('names of sharded tables in a session', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  const inRunner = async (work: (runner: QueryRunner) => Promise<void>): Promise<void> => {
    const runner = sharded.createQueryRunner()
    try {
      await work(runner)
    } finally {
      await runner.release()
    }
  }
  const refused = (code: string) => ({ code, labels: ['no-writes'] })

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    sharded = await new ShardedDataSource({
      type: 'postgres',
      entities: [Acc, Note],
      synchronize: true,
      nodes: { a: { url: a }, b: { url: b } },
    }).initialize()
    await sharded.query('CREATE SCHEMA other')
    await sharded.query('CREATE TABLE other.note (id int)')
    await sharded.getRepository(Acc).insert(ids.map((id) => ({ id, cents: id })))
  })
  afterAll(async () => {
    await sharded?.destroy()
    await databases?.drop()
  })

  it.each([
    'CREATE TEMP TABLE acc (id int)',
    'CREATE TEMPORARY TABLE acc AS SELECT 1 AS id',
    'SELECT 1 AS id INTO TEMP acc',
    'CREATE TEMP VIEW acc AS SELECT 1 AS id',
    'CREATE TEMP SEQUENCE acc',
  ])('%s is refused', async (text) => {
    await inRunner(async (runner) => {
      await expect(runner.query(text)).rejects.toMatchObject(refused('SESSION_STATEMENT_UNSUPPORTED'))
      await runner.query(text.replace('acc', 'acc_2'))
    })
  })

  it.each(['SET LOCAL search_path = other, public', `SELECT set_config('search_path', 'other', true)`])(
    '%s keeps sharded tables out of the transaction, and holds for others',
    async (text) => {
      await inRunner(async (runner) => {
        await runner.startTransaction()
        await runner.query(text)
        await runner.query('INSERT INTO note VALUES (5)')
        for (const read of [
          () => runner.manager.find(Acc),
          () => runner.manager.findOneBy(Acc, { id: 1 }),
          () => runner.query('SELECT * FROM acc'),
          () => runner.manager.createQueryBuilder(Acc, 'a').getMany(),
        ])
          await expect(read()).rejects.toMatchObject(refused('SESSION_NOT_HELD'))
        expect(await runner.query('SELECT id FROM other.note')).toEqual([{ id: 5 }])
        await runner.query('RESET search_path')
        await runner.rollbackTransaction()
      })
    },
  )
})
