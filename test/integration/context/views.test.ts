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

@ViewEntity({ expression: countText })
class ByText {
  @ViewColumn() n!: number
}

@ViewEntity({ expression: (source: DataSource) => source.createQueryBuilder().select('v.id', 'id').from(Viewed, 'v') })
class ByBuilder {
  @ViewColumn() id!: number
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
  ])('of sharded entities are refused at start: by %s', async (_name, View) => {
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
})
