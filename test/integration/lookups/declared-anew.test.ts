import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { GlobalUnique, hash, LookupIndex, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity('pupil')
@Sharded(hash({ shards: 4 }), { group: 'pupil' })
class Pupil {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @LookupIndex()
  @Column('varchar')
  email!: string
}

/** The same lookup, declared otherwise by the next release. */
@Entity({ name: 'pupil' })
@Sharded(hash({ shards: 4 }), { group: 'pupil' })
class NextPupil {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @GlobalUnique()
  @Column('varchar')
  email!: string
}
Object.defineProperty(NextPupil, 'name', { value: 'Pupil' })

let databases: FreshDatabases
const opened: ShardedDataSource[] = []
const open = async (entity: typeof Pupil | typeof NextPupil): Promise<ShardedDataSource> => {
  const [a = '', b = ''] = databases.nodes
  const dataSource = new ShardedDataSource({
    type: 'postgres',
    entities: [entity],
    nodes: { a: { url: a }, b: { url: b } },
  })
  opened.push(dataSource)
  await dataSource.initialize()
  await dataSource.synchronize()
  return dataSource
}

beforeAll(async () => {
  databases = await createDatabases(2)
})
afterAll(async () => {
  for (const one of opened) await one.destroy()
  await databases.drop()
})

it('a lookup that is declared anew hides no row from a process that runs with the old declaration', async () => {
  const before = await open(Pupil)
  const ids = Array.from({ length: 40 }, (_, id) => id)
  await before.getRepository(Pupil).insert(ids.map((id) => ({ id, email: `${id}@x` })))
  const found = async () => {
    const rows = await Promise.all(ids.map((id) => before.getRepository(Pupil).findOneBy({ email: `${id}@x` })))
    return rows.flatMap((row) => (row ? [row.id] : []))
  }
  expect(await found()).toEqual(ids)
  const next = await open(NextPupil)
  expect(await found()).toEqual(ids)
  await next.buildLookups()
  expect(await found()).toEqual(ids)
  expect((await next.getRepository(NextPupil).findOneByOrFail({ email: '7@x' })).id).toBe(7)
  const inTransaction = await before.transaction((manager) => manager.findOneBy(Pupil, { email: '7@x' }))
  expect(inTransaction?.id).toBe(7)
})
