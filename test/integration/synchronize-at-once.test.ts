import { Column, Entity, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withSchemaLock } from '../../src/catalog/schema-lock'
import { NodePool } from '../../src/endpoints/node-pool'
import { GlobalUnique, hash, ReferenceTable, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@ReferenceTable()
class Currency {
  @PrimaryColumn('varchar', { length: 3 }) code!: string
  @Column('enum', { enum: ['old', 'new'] }) kind!: 'old' | 'new'
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Account {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column('text') email!: string
  @Column('enum', { enum: ['open', 'closed'] }) state!: 'open' | 'closed'
  @ManyToOne(() => Currency) currency!: Relation<Currency>
}

@Entity()
class Note {
  @PrimaryColumn('int') id!: number
  @Column('enum', { enum: ['a', 'b'] }) kind!: 'a' | 'b'
}

describe('data sources that make their tables at once', () => {
  let databases: FreshDatabases
  beforeEach(async () => {
    databases = await createDatabases(2)
  })
  afterEach(() => databases.drop())

  const open = (layout: 'schema' | 'table', synchronize: boolean) => {
    const [a = '', b = ''] = databases.nodes
    return new ShardedDataSource({
      type: 'postgres',
      entities: [Currency, Account, Note],
      layout,
      synchronize,
      nodes: { a: { url: a }, b: { url: b } },
    })
  }

  it.each(['schema', 'table'] as const)('wait for each other, in layout %s', async (layout) => {
    const opened = Array.from({ length: 4 }, () => open(layout, true))
    const outcomes = await Promise.allSettled(opened.map((one) => one.initialize()))
    expect(outcomes.map((one) => (one.status === 'rejected' ? String(one.reason) : 'works'))).toEqual(
      opened.map(() => 'works'),
    )
    const [first, second] = opened
    await first?.manager.save(Currency, { code: 'EUR', kind: 'new' })
    await first?.manager.save(Account, { id: 1, email: 'a@b', state: 'open', currency: { code: 'EUR' } })
    expect(await second?.manager.find(Account, { relations: { currency: true } })).toEqual([
      { id: 1, email: 'a@b', state: 'open', currency: { code: 'EUR', kind: 'new' } },
    ])
    // Each drops and makes the tables as a whole.
    const again = await Promise.allSettled(opened.map((one) => one.synchronize(true)))
    expect(again.map((one) => (one.status === 'rejected' ? String(one.reason) : 'works'))).toEqual(
      opened.map(() => 'works'),
    )
    expect(await second?.manager.count(Account)).toBe(0)
    await first?.dropDatabase()
    await Promise.all(opened.map((one) => one.destroy()))
  })

  it('give up where another one does not end', async () => {
    const [connectionString = ''] = databases.nodes
    const settings = { name: 'a', pool: { connectionString }, maxPrepared: 0, onPoolError: () => undefined }
    const [pool, other] = [new NodePool(settings), new NodePool(settings)]
    await withSchemaLock(pool, async () => {
      await expect(withSchemaLock(other, async () => undefined, 200)).rejects.toMatchObject({
        code: 'SYNCHRONIZE_BUSY',
        details: { node: 'a', waitMs: 200 },
      })
    })
    expect(await withSchemaLock(other, async () => 'free', 200)).toBe('free')
    await Promise.all([pool.end(), other.end()])
  })
})
