import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GlobalUnique, hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 5 }), { onKeyChange: 'move' })
class Parcel {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  town!: number

  @GlobalUnique()
  @Column('varchar')
  label!: string
}

describe('lookups of rows that move to another shard, or are loaded', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const parcels = () => dataSource.getRepository(Parcel)
  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Parcel],
      nodes: { a: { url: a }, b: { url: b } },
      synchronize: true,
    }).initialize()
  })
  beforeEach(async () => {
    await parcels().clear()
    await parcels().insert([1, 2, 3, 4].map((id) => ({ id, town: id, label: `l${id}` })))
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it.each([10, 11, 12, 13, 14, 15])('follow them to town %i, by every way', async (town) => {
    await parcels().move(await parcels().findOneByOrFail({ id: 1 }), town)
    await parcels().save(Object.assign(await parcels().findOneByOrFail({ id: 2 }), { town, label: 'other' }))
    await parcels().update({ id: 3 }, { town })
    await dataSource.query('UPDATE parcel SET town = $1 WHERE label = $2', [town, 'l4'])
    for (const label of ['l1', 'other', 'l3', 'l4'])
      expect(await parcels().findOneBy({ label })).toMatchObject({ town })
    const [report] = await dataSource.verifyLookups()
    expect(report).toMatchObject({ entries: 4, missing: [], dangling: [] })
    await expect(parcels().insert({ id: 9, town: 1, label: 'l3' })).rejects.toMatchObject({ code: '23505' })
  })

  it('load rows by COPY with their lookups, or not at all', async () => {
    const rows = Array.from({ length: 500 }, (_, index) => ({ id: 100 + index, town: index, label: `load ${index}` }))
    await parcels().load(rows)
    expect(await parcels().findOneBy({ label: 'load 77' })).toMatchObject({ id: 177 })
    const taken = [
      { id: 900, town: 1, label: 'new' },
      { id: 901, town: 2, label: 'load 77' },
    ]
    await expect(parcels().load(taken)).rejects.toMatchObject({ code: 'LOAD_INCOMPLETE', cause: { code: '23505' } })
    await expect(parcels().load(taken, { batch: 1 })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    expect(await parcels().countBy({ label: 'new' })).toBe(0)
    const [report] = await dataSource.verifyLookups()
    expect(report).toMatchObject({ entries: 504, missing: [], dangling: [] })
  })
})
