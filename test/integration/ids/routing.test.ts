import { In } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { decodeShardedId, type ShardedDataSource, type StatementEvent } from '../../../src/index'
import { type OpenShop, openShop } from './open-shop'
import { Customer, Line, Note, Purchase, Ticket } from './shop'

describe('ids that route', () => {
  let opened: OpenShop
  let dataSource: ShardedDataSource
  const events: StatementEvent[] = []

  beforeAll(async () => {
    opened = await openShop()
    dataSource = opened.dataSource
    dataSource.onStatement((event) => events.push(event))
  })
  beforeEach(() => {
    events.length = 0
  })
  afterAll(() => opened.close())

  const shardsAsked = (): readonly string[] => [
    ...new Set(events.flatMap(({ text }) => [...text.matchAll(/"(customer_\d\d)"/g)].map(([, name]) => name ?? ''))),
  ]
  /** Those that reach a shard: some ask the home node once what they need to know. */
  const statements = (): number => events.filter(({ text }) => text.includes('customer_')).length
  const shardOf = (key: string): string => dataSource.locate(Customer, key).shard

  it('makes ids of a cascade, each with the slot of the key that its row has', async () => {
    const customer = dataSource.getRepository(Customer).create({
      name: 'Ada',
      purchases: [{ number: 1, lines: [{ text: 'x' }, { text: 'y' }] }, { number: 2 }],
    })
    await dataSource.getRepository(Customer).save(customer)
    const { slot } = dataSource.locate(Customer, customer.id)
    const [first, second] = customer.purchases
    expect(decodeShardedId(first?.id ?? '').slot).toBe(slot)
    expect(decodeShardedId(second?.id ?? '').slot).toBe(slot)
    expect(first?.lines.map(({ id }) => decodeShardedId(id).slot)).toEqual([slot, slot])
    const found = await dataSource.getRepository(Line).find({ relations: { purchase: { customer: true } } })
    expect(found.map(({ purchase }) => purchase.customer.name)).toEqual(['Ada', 'Ada'])
    for (const target of [Line, Purchase, Customer]) await dataSource.getRepository(target).deleteAll()
  })

  describe('with rows on all shards', () => {
    /** Of made ids, which are spread by chance: with 40 one of the 8 shards had none in 4 runs of 100, with these in 1 of a million. */
    const rows = 120
    let purchases: Purchase[]
    let lines: Line[]
    let notes: Note[]
    let tickets: Ticket[]

    beforeAll(async () => {
      const customers = await dataSource
        .getRepository(Customer)
        .save(Array.from({ length: rows }, (_, index) => ({ name: `c${index}` })))
      expect(new Set(customers.map(({ id }) => shardOf(id))).size).toBe(8)
      purchases = await dataSource
        .getRepository(Purchase)
        .save(customers.map(({ id }, number) => ({ customerId: id, number })))
      lines = await dataSource
        .getRepository(Line)
        .save(purchases.map(({ id, customerId }) => ({ customerId, purchaseId: id, text: id })))
      notes = await dataSource.getRepository(Note).save(customers.map(({ id }) => ({ customerId: id })))
      tickets = await dataSource.getRepository(Ticket).save(customers.map(({ id }) => ({ customerId: id })))
    })

    it('gives values of the types that TypeORM loads', async () => {
      expect(typeof purchases[0]?.id).toBe('string')
      expect(typeof notes[0]?.id).toBe('number')
      expect(tickets.map(({ id }) => id).sort((x, y) => x - y)).toEqual(Array.from({ length: rows }, (_, i) => i + 1))
      for (const [target, saved] of [
        [Purchase, purchases],
        [Line, lines],
        [Note, notes],
        [Ticket, tickets],
      ] as const) {
        const loaded = await dataSource.getRepository(target).find()
        expect(new Set(loaded.map(({ id }) => id))).toEqual(new Set(saved.map(({ id }) => id)))
      }
    })

    it('asks one shard for one id', async () => {
      for (const { id, customerId } of purchases.slice(0, 10)) {
        events.length = 0
        expect(await dataSource.getRepository(Purchase).findOneBy({ id })).toMatchObject({ id, customerId })
        expect([statements(), shardsAsked()]).toEqual([1, [shardOf(customerId)]])
      }
      for (const { id, customerId } of notes.slice(0, 10)) {
        events.length = 0
        expect(await dataSource.getRepository(Note).findOneBy({ id })).toMatchObject({ id, customerId })
        expect([statements(), shardsAsked()]).toEqual([1, [shardOf(customerId)]])
      }
      for (const { id, customerId } of lines.slice(0, 10)) {
        events.length = 0
        expect(await dataSource.getRepository(Line).findOneBy({ id })).toMatchObject({ id, customerId })
        expect([statements(), shardsAsked()]).toEqual([1, [shardOf(customerId)]])
      }
    })

    it('asks the shards of a list, each for its own', async () => {
      const some = purchases.slice(0, 3)
      const found = await dataSource.getRepository(Purchase).findBy({ id: In(some.map(({ id }) => id)) })
      expect(new Set(found.map(({ id }) => id))).toEqual(new Set(some.map(({ id }) => id)))
      expect(new Set(shardsAsked())).toEqual(new Set(some.map(({ customerId }) => shardOf(customerId))))
    })

    it('asks one shard by a foreign key, a relation, a query builder and raw SQL', async () => {
      const [purchase] = purchases
      if (!purchase) throw new Error('There are purchases.')
      const { id, customerId } = purchase
      const own = [1, [shardOf(customerId)]]
      const asks = async (work: () => Promise<unknown>): Promise<void> => {
        events.length = 0
        expect(await work()).toMatchObject([{ text: id }])
        expect([statements(), shardsAsked()]).toEqual(own)
      }
      const repository = dataSource.getRepository(Line)
      await asks(() => repository.findBy({ purchaseId: id }))
      await asks(() => repository.find({ where: { purchase: { id } } }))
      await asks(() => repository.createQueryBuilder('l').where('l.purchaseId = :id', { id }).getMany())
      await asks(() =>
        repository.createQueryBuilder('l').innerJoin('l.purchase', 'p').where('p.id = :id', { id }).getMany(),
      )
      await asks(() => dataSource.query('SELECT text FROM line WHERE "purchaseId" = $1', [id]))
      await asks(() =>
        dataSource.query('SELECT text FROM line JOIN purchase p ON p.id = "purchaseId" WHERE p.id = ANY($1)', [[id]]),
      )
      await asks(() => dataSource.createQueryBuilder().relation(Purchase, 'lines').of(id).loadMany())
    })

    it('updates, deletes and removes by id on one shard', async () => {
      const repository = dataSource.getRepository(Ticket)
      expect(await repository.count()).toBe(rows)
      const notesOf = dataSource.getRepository(Note)
      const [first, second, third, fourth] = notes
      if (!first || !second || !third || !fourth) throw new Error('There are notes.')
      for (const [note, work] of [
        [first, () => notesOf.update(first.id, { text: 'x' })],
        [first, () => notesOf.delete(first.id)],
        [second, () => notesOf.delete([second.id])],
        [third, () => notesOf.createQueryBuilder().delete().where('id = :id', { id: third.id }).execute()],
      ] as const) {
        events.length = 0
        expect((await work()).affected).toBe(1)
        expect([statements(), shardsAsked()]).toEqual([1, [shardOf(note.customerId)]])
      }
      events.length = 0
      await notesOf.remove({ ...fourth, customerId: undefined } as never)
      expect(shardsAsked()).toEqual([shardOf(fourth.customerId)])
      events.length = 0
      const [fifth] = notes.slice(4)
      await notesOf.save({ id: fifth?.id ?? 0, text: 'by id' })
      expect(shardsAsked()).toEqual([shardOf(fifth?.customerId ?? '')])
      expect(await notesOf.count()).toBe(rows - 4)
    })

    it('asks all shards for what is no id of ours, and explains', async () => {
      const repository = dataSource.getRepository(Purchase)
      expect(await repository.findOneBy({ id: '42' })).toBeNull()
      expect(shardsAsked().length).toBe(8)
      const [purchase] = purchases
      const { reason } = await repository.explain({ where: { id: purchase?.id ?? '' } })
      expect(reason).toBe('the condition on ids that carry the slot of Purchase.customerId leaves 1 of 8 shards')
    })
  })
})
