import { types } from 'pg'
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Parcel {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('double precision')
  weight!: number
}

const float8 = 701

describe('a parser of pg that makes texts of floats', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource
  const parser = types.getTypeParser(float8)

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    sharded = new ShardedDataSource({ type: 'postgres', entities: [Parcel], nodes: { a: { url: a }, b: { url: b } } })
    plain = new DataSource({ type: 'postgres', entities: [Parcel], url: databases.oracle })
    for (const dataSource of [sharded, plain]) {
      await dataSource.initialize()
      await dataSource.synchronize()
      await dataSource.getRepository(Parcel).insert([1, 2, 3, 4, 5, 6, 7, 8].map((id) => ({ id, weight: 100 / id })))
    }
    types.setTypeParser(float8, (text) => text)
  })
  afterAll(async () => {
    types.setTypeParser(float8, parser)
    await sharded.destroy()
    await plain.destroy()
    await databases.drop()
  })

  it('is named by the refusal to merge by them', async () => {
    const order = { order: { weight: 'ASC' } } as const
    for (const read of [
      () => sharded.getRepository(Parcel).find(order),
      () => sharded.query('SELECT weight FROM parcel ORDER BY weight'),
    ])
      await expect(read()).rejects.toMatchObject({
        code: 'MERGE_ORDER',
        message: expect.stringContaining('pg.types.setTypeParser'),
      })
  })

  it('does nothing to an order by a cast', async () => {
    const text = 'SELECT id, weight FROM parcel ORDER BY weight::numeric'
    expect(await sharded.query(text)).toEqual(await plain.query(text))
  })
})
