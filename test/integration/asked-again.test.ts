import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Visit {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int')
  n!: number
}

@Entity()
class Bound {
  @PrimaryColumn('int')
  n!: number
}

const entities = [Visit, Bound]
const ids = Array.from({ length: 12 }, (_, index) => index + 1)

/** What is asked three times in a row: what is remembered of the first answer must not change the others. */
const queries: readonly string[] = [
  'SELECT n % 3 AS r, count(*) AS c FROM visit GROUP BY 1 ORDER BY 1',
  'SELECT id, n FROM visit ORDER BY n DESC, id LIMIT 5',
  'SELECT id FROM visit WHERE n > 3 ORDER BY id OFFSET 2',
  'SELECT avg(n) AS a, sum(n) AS s, max(id) AS m FROM visit',
  'SELECT * FROM visit ORDER BY id',
  'SELECT id FROM visit ORDER BY id LIMIT (SELECT max(n) FROM bound)',
  'SELECT id FROM visit WHERE n < (SELECT max(n) FROM bound) ORDER BY id',
  'SELECT count(*) AS c FROM visit WHERE now() > timestamptz $$2020-01-01$$',
  'SELECT id FROM visit WHERE id = 3',
  'SELECT n, count(*) AS c FROM visit WHERE EXISTS (SELECT 1 FROM bound WHERE bound.n = 4) GROUP BY n ORDER BY n',
  'SELECT DISTINCT n FROM visit ORDER BY n FETCH FIRST 2 ROWS ONLY',
]

describe('a query without parameters that is asked again', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource

  const open = (scatter: 'allow' | 'forbid') => {
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    return new ShardedDataSource({ type: 'postgres', entities, nodes, scatter: { reads: scatter } }).initialize()
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    sharded = await open('allow')
    plain = await new DataSource({ type: 'postgres', url: databases.oracle, entities }).initialize()
    for (const dataSource of [sharded, plain]) await dataSource.synchronize()
  })
  beforeEach(async () => {
    for (const dataSource of [sharded, plain]) {
      await dataSource.getRepository(Visit).deleteAll()
      await dataSource.getRepository(Bound).deleteAll()
      await dataSource.getRepository(Visit).insert(ids.map((id) => ({ id, n: id % 5 })))
      await dataSource.getRepository(Bound).insert({ n: 4 })
    }
  })
  afterAll(async () => {
    await sharded.destroy()
    await plain.destroy()
    await databases.drop()
  })

  const expectSame = async (text: string) => expect(await sharded.query(text), text).toEqual(await plain.query(text))

  it.each(queries)('is answered from the rows of then: %s', async (text) => {
    await expectSame(text)
    await expectSame(text)
    for (const dataSource of [sharded, plain]) {
      await dataSource.getRepository(Visit).insert({ id: 20, n: 3 })
      await dataSource.getRepository(Bound).update({ n: 4 }, { n: 3 })
    }
    await expectSame(text)
    await expectSame(text)
  })

  it('sees what its transaction has written', async () => {
    const [text = ''] = queries
    await expectSame(text)
    await expectSame(text)
    const inside = (dataSource: DataSource) =>
      dataSource.transaction(async (manager) => {
        await manager.getRepository(Visit).insert({ id: 21, n: 4 })
        return [await manager.query(text), await manager.query(text)]
      })
    expect(await inside(sharded)).toEqual(await inside(plain))
    await expectSame(text)
  })

  it('is another answer each time where its functions are', async () => {
    const text = 'SELECT random()::text AS r FROM visit ORDER BY id LIMIT 1'
    const answers = [await sharded.query(text), await sharded.query(text), await sharded.query(text)]
    expect(new Set(answers.map(([row]) => row.r)).size).toBe(3)
  })

  it('is planned anew where a table was altered', async () => {
    const text = 'SELECT n FROM visit ORDER BY n DESC LIMIT 3'
    const alter = async (type: string) => {
      const action = `ALTER COLUMN n TYPE ${type} USING n::${type}`
      for (const { name } of sharded.shards(Visit))
        await sharded.shard(name).query(`ALTER TABLE "__shard__"."visit" ${action}`)
      await plain.query(`ALTER TABLE visit ${action}`)
    }
    await expectSame(text)
    await expectSame(text)
    for (const dataSource of [sharded, plain]) await dataSource.getRepository(Visit).insert({ id: 22, n: 10 })
    await alter('text')
    await expectSame(text)
    await expectSame(text)
    await alter('int')
    await expectSame(text)
  })

  it('is refused where only a caller before had leave to ask all shards', async () => {
    const strict = await open('forbid')
    const [text = ''] = queries
    const answer = await plain.query(text)
    const across = () => strict.manager.acrossShards().query(text)
    try {
      for (let round = 0; round < 2; round++) {
        expect(await across()).toEqual(answer)
        await expect(strict.query(text)).rejects.toMatchObject({ code: 'SCATTER_FORBIDDEN' })
      }
    } finally {
      await strict.destroy()
    }
  })
})
