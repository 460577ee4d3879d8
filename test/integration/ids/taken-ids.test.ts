import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  QueryFailedError,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Owner {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('text', { default: '' })
  name!: string

  @OneToMany(
    () => Ticket,
    (ticket) => ticket.owner,
    { cascade: true },
  )
  tickets!: Relation<Ticket>[]
}

@Entity()
@Sharded({ colocatedWith: () => Owner })
class Ticket {
  @PrimaryColumn('int')
  @ShardedId('sequence')
  id!: number

  @ShardKey()
  @Column('int')
  ownerId!: number

  @Column('text', { default: '' })
  text!: string

  @ManyToOne(
    () => Owner,
    (owner) => owner.tickets,
  )
  @JoinColumn({ name: 'ownerId' })
  owner!: Relation<Owner>
}

/** Its id is its shard key: where it goes is known from the id that is made. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Coupon {
  @ShardKey()
  @PrimaryColumn('bigint')
  @ShardedId('sequence')
  id!: string

  @Column('text', { default: '' })
  text!: string
}

describe('ids that are taken', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
  })
  afterAll(() => databases.drop())
  beforeEach(async () => {
    if (dataSource) await end()
    dataSource = await start()
    await dataSource.synchronize(true)
    return end
  })

  const start = async (): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const opened = new ShardedDataSource({
      type: 'postgres',
      entities: [Owner, Ticket, Coupon],
      nodes: { a: { url: a }, b: { url: b } },
    })
    return opened.initialize()
  }
  const end = async (): Promise<void> => {
    if (dataSource.isInitialized) {
      await dataSource.query('DELETE FROM sharding.sequences').catch(() => undefined)
      await dataSource.destroy()
    }
  }
  const tickets = () => dataSource.getRepository(Ticket)
  const texts = async () =>
    (await tickets().find({ order: { id: 'ASC' } })).map(({ id, ownerId, text }) => `${id} ${ownerId} ${text}`)
  const owners = (...ids: number[]) => dataSource.getRepository(Owner).insert(ids.map((id) => ({ id })))
  const imported = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => ({ id: from + index, ownerId: 1, text: 'imported' }))

  it('sequence ids after an import go on behind the imported ones, and overwrite none', async () => {
    await owners(1, 2)
    await tickets().insert(imported(1, 10))
    const made = await tickets().save(Array.from({ length: 10 }, () => ({ ownerId: 1, text: 'new' })))
    expect(made.map(({ id }) => id).sort((x, y) => x - y)[0]).toBeGreaterThan(10)
    expect((await texts()).filter((text) => text.endsWith('imported'))).toHaveLength(10)
    expect(await tickets().count()).toBe(20)
  })

  it('sequence ids after a large import skip it in few steps, also where the rows lie on other shards', async () => {
    await owners(1, 2)
    await tickets().load(imported(1, 25_000))
    const { id } = await tickets().save({ ownerId: 2, text: 'new' })
    expect(id).toBeGreaterThan(25_000)
    expect(id).toBeLessThan(100_000)
    const second = await tickets().insert({ ownerId: 2, text: 'new' })
    expect(second.identifiers[0]?.['id']).toBe(id + 1)
  })

  it('a shard whose table is not there yet hides no id that other shards have', async () => {
    await owners(1, 2, 3, 4, 5, 6)
    await tickets().insert(imported(1, 10))
    const own = dataSource.locate(Ticket, 1)
    const empty = dataSource.shards(Ticket).find(({ name, node }) => node === own.node && name !== own.shard)
    const name = empty?.name ?? ''
    await dataSource.shard(name).query(`DROP TABLE "${name}"."ticket"`)
    const made = await tickets().save({ ownerId: 1, text: 'new' })
    expect(made.id).toBeGreaterThan(10)
  })

  it('one id that is far ahead does not use up the sequence', async () => {
    await owners(1)
    await tickets().insert({ id: 2 ** 31 - 1, ownerId: 1, text: 'last' })
    expect((await tickets().save({ ownerId: 1, text: 'first' })).id).toBe(1)
  })

  it('an id that is taken while its block is held is a duplicate, and the row that has it stays', async () => {
    await owners(1)
    expect((await tickets().save({ ownerId: 1, text: 'first' })).id).toBe(1)
    await tickets().insert({ id: 2, ownerId: 1, text: 'taken' })
    const object = tickets().create({ ownerId: 1, text: 'new' })
    const error: unknown = await tickets()
      .save(object)
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(QueryFailedError)
    expect((error as QueryFailedError).driverError).toMatchObject({ code: '23505' })
    expect(object.id).toBeUndefined()
    expect(await texts()).toEqual(['1 1 first', '2 1 taken'])
    expect((await tickets().save(object)).id).toBe(3)
  })

  it('a row that is equal to the new one is a duplicate too', async () => {
    await owners(1)
    await tickets().save({ ownerId: 1, text: 'first' })
    await tickets().insert({ id: 2, ownerId: 1, text: 'same' })
    await expect(tickets().save({ ownerId: 1, text: 'same' })).rejects.toMatchObject({
      driverError: { code: '23505' },
    })
    expect(await tickets().count()).toBe(2)
  })

  it('in a list, in a transaction, without listeners and by cascade: each is a duplicate, and nothing is written', async () => {
    await owners(1)
    await tickets().save({ ownerId: 1, text: 'first' })
    await tickets().insert(imported(2, 9))
    const duplicate = { driverError: { code: '23505' } }
    const fresh = () => tickets().create({ ownerId: 1, text: 'new' })
    await expect(tickets().save([fresh(), fresh()])).rejects.toMatchObject(duplicate)
    await expect(dataSource.transaction((manager) => manager.save(fresh()))).rejects.toMatchObject(duplicate)
    await expect(tickets().save(fresh(), { listeners: false })).rejects.toMatchObject(duplicate)
    const repository = dataSource.getRepository(Owner)
    const owner = await repository.findOneByOrFail({ id: 1 })
    owner.tickets = [fresh()]
    await expect(repository.save(owner)).rejects.toMatchObject(duplicate)
    const known = await repository.findOneOrFail({ where: { id: 1 }, relations: { tickets: true } })
    known.tickets.push(fresh())
    await expect(repository.save(known)).rejects.toMatchObject(duplicate)
    expect((await texts()).slice(1)).toEqual(imported(2, 9).map(({ id }) => `${id} 1 imported`))
    expect(await dataSource.getRepository(Owner).count()).toBe(1)
  })

  it('an id that is the shard key is a duplicate too', async () => {
    const coupons = dataSource.getRepository(Coupon)
    await coupons.save({ text: 'first' })
    await coupons.insert({ id: '2', text: 'taken' })
    await expect(coupons.save({ text: 'new' })).rejects.toMatchObject({ driverError: { code: '23505' } })
    expect(await coupons.find({ order: { id: 'ASC' } })).toMatchObject([
      { id: '1', text: 'first' },
      { id: '2', text: 'taken' },
    ])
  })

  it('an object that was saved is updated by its next save', async () => {
    await owners(1)
    const ticket = await tickets().save({ ownerId: 1, text: 'first' })
    ticket.text = 'second'
    await tickets().save(ticket)
    await tickets().save({ id: ticket.id, ownerId: 1, text: 'third' })
    expect(await texts()).toEqual([`${ticket.id} 1 third`])
  })
})
