import { Column, type DataSource, Entity, PrimaryColumn, ViewColumn, ViewEntity } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }), { group: 'viewed' })
class Viewed {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity()
class Plain {
  @PrimaryColumn('int') id!: number
  @Column('int') size!: number
}

const countText = 'SELECT count(*)::int AS "n" FROM "viewed"'

@ViewEntity({ expression: countText, materialized: true })
class ByText {
  @ViewColumn() n!: number
}

@ViewEntity({
  materialized: true,
  expression: (source: DataSource) => source.createQueryBuilder().select('v.id', 'id').from(Viewed, 'v'),
})
class ByBuilder {
  @ViewColumn() id!: number
}

@ViewEntity({ expression: 'SELECT id, id % 2 AS odd FROM viewed' })
class Halves {
  @ViewColumn() id!: number
  @ViewColumn() odd!: number
}

@ViewEntity({
  expression: (source: DataSource) => source.createQueryBuilder().select('sum(p.size)', 'total').from(Plain, 'p'),
})
class OfPlain {
  @ViewColumn() total!: string
}

describe('view entities', () => {
  let databases: FreshDatabases
  const open = (entities: (new () => object)[]) => {
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    return new ShardedDataSource({ type: 'postgres', entities, nodes, synchronize: true }).initialize()
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
  })
  afterAll(() => databases.drop())

  it.each([
    ['a text', ByText],
    ['a builder', ByBuilder],
  ])('that keep rows of sharded entities are refused at start: by %s', async (_name, View) => {
    await expect(open([Viewed, View])).rejects.toMatchObject({
      code: 'VIEW_OVER_SHARDS',
      details: { entity: View.name, tables: ['viewed'] },
    })
  })

  it('of unsharded entities are on the home node, and the query of one over shards is answered', async () => {
    const dataSource = await open([Viewed, Plain, OfPlain])
    try {
      await dataSource.manager.insert(Plain, [
        { id: 1, size: 3 },
        { id: 2, size: 4 },
      ])
      await dataSource.manager.insert(Viewed, [{ id: 1 }, { id: 2 }, { id: 3 }])
      expect(await dataSource.manager.find(OfPlain)).toEqual([{ total: '7' }])
      expect(await dataSource.query(countText)).toEqual([{ n: 3 }])
    } finally {
      await dataSource.destroy()
    }
  })

  it('of sharded entities are made nowhere, are explained and streamed, and are only read', async () => {
    const dataSource = await open([Viewed, Halves])
    try {
      await dataSource.manager.clear(Viewed)
      await dataSource.manager.insert(Viewed, [{ id: 1 }, { id: 2 }, { id: 3 }])
      for (const node of dataSource.runtime.nodes) {
        const { rows } = await dataSource.runtime.pool(node).query(`SELECT FROM pg_class WHERE relname = 'halves'`)
        expect(rows).toEqual([])
      }
      const odd = dataSource.createQueryBuilder(Halves, 'h').where('h.odd = 1').orderBy('h.id')
      expect((await odd.explain()).shards).toHaveLength(4)
      const streamed: unknown[] = []
      for await (const row of await odd.stream()) streamed.push(row)
      expect(streamed).toEqual([
        { h_id: 1, h_odd: 1 },
        { h_id: 3, h_odd: 1 },
      ])
      expect(await dataSource.manager.find(Halves, { where: { id: 2 } })).toEqual([{ id: 2, odd: 0 }])
      for (const text of ['INSERT INTO halves (id) VALUES (7)', 'UPDATE halves SET id = 8', 'DELETE FROM halves'])
        await expect(dataSource.query(text)).rejects.toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
      expect((await dataSource.driver.createSchemaBuilder().log()).upQueries).toEqual([])
    } finally {
      await dataSource.destroy()
    }
  })
})
