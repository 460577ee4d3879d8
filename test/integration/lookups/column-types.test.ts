import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GlobalUnique, hash, LookupIndex, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 2 }))
class Ticket {
  @ShardKey()
  @PrimaryColumn('bytea')
  train!: Buffer

  /** Not in the order of its texts. */
  @PrimaryColumn({ type: 'enum', enum: ['second', 'first'] })
  class!: 'second' | 'first'

  @PrimaryColumn('int')
  seat!: number

  @GlobalUnique()
  @Column('bytea')
  code!: Buffer

  @LookupIndex()
  @Column({ type: 'enum', enum: ['valid', 'used'], default: 'valid' })
  state!: 'valid' | 'used'
}

const train = Buffer.from('ICE 1')
const tickets = Array.from({ length: 1_500 }, (_, seat) => ({
  train,
  class: seat % 2 === 0 ? ('first' as const) : ('second' as const),
  seat,
  code: Buffer.from(`code ${seat}`),
}))

describe('lookups by columns of types with texts of their own', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    for (const url of [a, b]) {
      const client = new Client({ connectionString: url })
      await client.connect()
      await client.query(`ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET bytea_output = 'escape'`)
      await client.end()
    }
    dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Ticket],
      nodes: { a: { url: a }, b: { url: b } },
    })
    await dataSource.initialize()
    await dataSource.synchronize()
    await dataSource.getRepository(Ticket).insert(tickets)
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  const isClean = async () => {
    const reports = await dataSource.verifyLookups()
    expect(reports.map(({ entries, missing, dangling }) => [entries, missing.length, dangling.length])).toEqual([
      [1_500, 0, 0],
      [1_500, 0, 0],
    ])
  }

  it('finds rows, and keeps values unique', async () => {
    const repository = dataSource.getRepository(Ticket)
    const code = Buffer.from('code 7')
    expect((await repository.explain({ where: { code } })).shards).toHaveLength(1)
    expect(await repository.findOneBy({ code })).toMatchObject({ seat: 7, class: 'second' })
    const twin = { train: Buffer.from('ICE 2'), class: 'first', seat: 1, code } as const
    await expect(repository.insert(twin)).rejects.toMatchObject({ code: '23505' })
    await isClean()
  })

  it('builds, drains and mends page by page', async () => {
    const shard = dataSource.locate(Ticket, train).shard
    for (const { name } of dataSource.shards())
      if (name.startsWith('ticket_code')) await dataSource.shard(name).query(`TRUNCATE "${name}"."ticket_code_lookup"`)
    await dataSource.repairLookups()
    await isClean()
    await dataSource.shard(shard).query(`UPDATE "${shard}"."ticket" SET code = 'other' WHERE seat = 5`)
    await dataSource.drainLookups()
    await isClean()
    await dataSource.query(`UPDATE sharding.lookups SET is_ready = false`)
    await dataSource.buildLookups()
    await isClean()
    const found = await dataSource.getRepository(Ticket).findOneBy({ code: Buffer.from('other') })
    expect(found?.seat).toBe(5)
  })
})
