import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }), { group: 'located' })
class ByNumber {
  @PrimaryColumn('bigint') id!: string
  @ShardKey() @Column('bigint') owner!: string
}

@Entity()
@Sharded({ colocatedWith: () => ByNumber })
class ByText {
  @PrimaryColumn('varchar') id!: string
  @ShardKey() @Column('bigint') owner!: string
}

@Entity()
@Sharded({ colocatedWith: () => ByNumber })
class ByUuid {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column('bigint') owner!: string
}

@Entity()
@Sharded({ colocatedWith: () => ByNumber })
class ByTwo {
  @PrimaryColumn('bigint') id!: string
  @PrimaryColumn('varchar') part!: string
  @ShardKey() @Column('bigint') owner!: string
}

@Entity()
@Sharded({ colocatedWith: () => ByNumber })
class ByTransformed {
  @PrimaryColumn('varchar', {
    transformer: { to: (value: string) => `x${value}`, from: (value: string) => value.slice(1) },
  })
  id!: string
  @ShardKey() @Column('bigint') owner!: string
}

let databases: FreshDatabases
let dataSource: ShardedDataSource

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  dataSource = await new ShardedDataSource({
    type: 'postgres',
    entities: [ByNumber, ByText, ByUuid, ByTwo, ByTransformed],
    nodes: { a: { url: a }, b: { url: b } },
    synchronize: true,
  }).initialize()
})

afterAll(async () => {
  await dataSource.destroy()
  await databases.drop()
})

const text = `a"b\\c{},' ü`

describe('save of an object that was never loaded', () => {
  it.each([
    ['a bigint', ByNumber, { id: '42' }, { id: '42' }],
    ['a text', ByText, { id: text }, { id: text }],
    ['the text NULL', ByText, { id: 'NULL' }, { id: 'NULL' }],
    [
      'a uuid',
      ByUuid,
      { id: '6f1c2f5e-0c4e-4b1c-9a53-0d3f4b7a1e10' },
      { id: '6F1C2F5E-0C4E-4B1C-9A53-0D3F4B7A1E10'.toLowerCase() },
    ],
    ['two columns', ByTwo, { id: '1', part: text }, { id: '1', part: text }],
    ['a transformed value', ByTransformed, { id: text }, { id: text }],
  ])('finds the row of its primary key under another shard key: %s', async (_name, target, row, again) => {
    const owners = Array.from({ length: 20 }, (_, index) => String(index))
    const home = dataSource.locate(target, '0').shard
    const other = owners.find((owner) => dataSource.locate(target, owner).shard !== home)
    const repository = dataSource.getRepository<{ id: string; owner: string }>(target)
    await repository.insert({ ...row, owner: '0' })
    await expect(repository.save({ ...again, owner: other } as never)).rejects.toMatchObject({
      code: 'DUPLICATE_PRIMARY_KEY',
    })
    await expect(repository.save({ ...again, owner: '0' } as never)).resolves.toMatchObject({ owner: '0' })
    expect(await repository.countBy({ id: row.id })).toBe(1)
  })
})
