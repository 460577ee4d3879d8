import { Column, Entity, PrimaryColumn, Unique } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GlobalUnique, hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

/** A desk is known by its floor and number: an upsert by them does not tell its id. */
@Entity('desk')
@Sharded(hash({ shards: 5 }))
@Unique(['floor', 'number'])
class Desk {
  @PrimaryColumn('bigint')
  @ShardedId()
  id!: string

  @ShardKey()
  @Column('int')
  floor!: number

  @Column('int')
  number!: number

  @GlobalUnique()
  @Column('varchar')
  phone!: string
}

describe('a unique value that an upsert hands from one row to another', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = new ShardedDataSource({ type: 'postgres', entities: [Desk], nodes: { a: { url: a }, b: { url: b } } })
    await dataSource.initialize()
    await dataSource.synchronize()
  })
  beforeEach(async () => {
    await dataSource.getRepository(Desk).clear()
    await dataSource.manager.insert(Desk, [desk(1, '10'), desk(2, '20'), desk(3, '30')])
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  const desk = (floor: number, phone: string) => ({ floor, number: 7, phone })
  const phones = async () =>
    (await dataSource.manager.find(Desk, { order: { floor: 'ASC' } })).map(({ phone }) => phone)
  const refused = { code: 'LOOKUP_ORDER_UNKNOWN', details: { entity: 'Desk', columns: ['phone'], values: ['20'] } }
  const handedOn = [desk(1, '20'), desk(2, '40')]

  it('is told its order by the rows of an upsert, which learn their ids', async () => {
    const upsert = (rows: readonly object[]) => dataSource.manager.upsert(Desk, [...rows], ['floor', 'number'])
    await expect(upsert(handedOn)).rejects.toMatchObject({ code: '23505' })
    expect(await phones()).toEqual(['10', '20', '30'])
    await upsert(handedOn.toReversed())
    expect(await phones()).toEqual(['20', '40', '30'])
  })

  it.each([
    ['the one that takes it stands first', `(1, 7, '20'), (2, 7, '40')`],
    ['the one that lets it go stands first', `(2, 7, '40'), (1, 7, '20')`],
  ])(
    'is refused of SQL whose rows do not tell their ids, and undone in a transaction that goes on: %s',
    async (_, rows) => {
      const text = `INSERT INTO desk (floor, number, phone) VALUES ${rows}
      ON CONFLICT (floor, number) DO UPDATE SET phone = EXCLUDED.phone`
      await expect(dataSource.query(text)).rejects.toMatchObject(refused)
      await dataSource.transaction(async (manager) => {
        await manager.update(Desk, { floor: 3 }, { phone: '31' })
        await expect(manager.query(text)).rejects.toMatchObject(refused)
      })
      expect(await phones()).toEqual(['10', '20', '31'])
    },
  )

  it('may be let go in one call and taken in the next', async () => {
    for (const row of handedOn.toReversed()) await dataSource.manager.upsert(Desk, row, ['floor', 'number'])
    expect(await phones()).toEqual(['20', '40', '30'])
  })
})
