import { type EntityManager, In } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { decodeShardedId, ShardedDataSource } from '../../../src/index'
import { type OpenShop, openShop } from './open-shop'
import { Customer, Line, Note, Purchase, shop, Ticket } from './shop'

describe('ids on every way of writing', () => {
  let opened: OpenShop
  let dataSource: ShardedDataSource
  let customers: Customer[]

  beforeAll(async () => {
    opened = await openShop()
    dataSource = opened.dataSource
    customers = await dataSource
      .getRepository(Customer)
      .save(Array.from({ length: 12 }, (_, index) => ({ name: `c${index}` })) as Customer[])
  })
  afterEach(async () => {
    for (const target of [Line, Purchase, Note, Ticket]) await dataSource.getRepository(target).deleteAll()
  })
  afterAll(() => opened.close())

  const slotOf = (key: string): number | undefined => dataSource.locate(Customer, key).slot
  const at = (index: number): string => customers[index]?.id ?? ''
  const rows = (count = 12) => Array.from({ length: count }, (_, number) => ({ customerId: at(number % 12), number }))
  const expectWritten = async (ids: readonly (string | undefined)[], numbers: readonly number[]): Promise<void> => {
    const found = await dataSource.getRepository(Purchase).find({ order: { number: 'ASC' } })
    expect(found.map(({ id, number }) => [id, number])).toEqual(numbers.map((number, index) => [ids[index], number]))
    for (const { id, customerId } of found) expect(decodeShardedId(id).slot).toBe(slotOf(customerId))
  }

  it('insert: of an array and of one object, with a result as of generated columns', async () => {
    const repository = dataSource.getRepository(Purchase)
    const given = rows()
    const result = await repository.insert(given)
    const ids = given.map((row) => (row as Partial<Purchase>).id)
    expect(result.identifiers).toEqual(ids.map((id) => ({ id })))
    expect(result.generatedMaps).toEqual(ids.map((id, number) => ({ id, number, total: 0 })))
    await expectWritten(ids, [...Array(12).keys()])
    const one: Partial<Purchase> = { customerId: at(0), number: 12 }
    const single = await repository.insert(one)
    expect(single.identifiers).toEqual([{ id: one.id }])
    expect(single.generatedMaps).toEqual([{ id: one.id, number: 12, total: 0 }])
  })

  it('load: of rows and of an async iterable, and refuses an id that leads elsewhere', async () => {
    const repository = dataSource.getRepository(Purchase)
    const given = rows(30).map((row) => ({ ...row }) as Partial<Purchase> & typeof row)
    await repository.load(given)
    await expectWritten(
      given.map(({ id }) => id),
      [...Array(30).keys()],
    )
    await repository.deleteAll()
    async function* stream() {
      for (const { customerId, number } of given) yield { customerId, number }
    }
    expect(await repository.load(stream())).toMatchObject({ rows: 30 })
    const found = await repository.find({ order: { number: 'ASC' } })
    expect(found.map(({ number }) => number)).toEqual([...Array(30).keys()])
    for (const { id, customerId } of found) expect(decodeShardedId(id).slot).toBe(slotOf(customerId))
    const stray = { id: found[0]?.id ?? '', customerId: at(1), number: 99 }
    await expect(repository.load([{ customerId: at(0), number: 98 }, stray])).rejects.toMatchObject({
      code: 'LOAD_INCOMPLETE',
      details: { row: 2 },
      cause: { code: 'ID_OF_ANOTHER_SLOT' },
    })
    expect(await repository.count()).toBe(30)
    const newcomers: Partial<Customer>[] = [{ name: 'loaded 1' }, { name: 'loaded 2' }]
    await dataSource.getRepository(Customer).load(newcomers)
    for (const one of newcomers) {
      expect(await dataSource.getRepository(Customer).findOneByOrFail({ id: one.id ?? '' })).toMatchObject(one)
      await dataSource.getRepository(Customer).delete({ id: one.id ?? '' })
    }
  })

  it('a query builder, with DEFAULT in its place', async () => {
    const given = rows()
    const result = await dataSource.createQueryBuilder().insert().into(Purchase).values(given).execute()
    const ids = given.map((row) => (row as Partial<Purchase>).id)
    expect(result.identifiers).toEqual(ids.map((id) => ({ id })))
    expect(result.generatedMaps).toEqual(ids.map((id, number) => ({ id, number, total: 0 })))
    await expectWritten(ids, [...Array(12).keys()])
    const customer: Partial<Customer> = { name: 'by builder' }
    await dataSource.createQueryBuilder().insert().into(Customer).values(customer).execute()
    expect(await dataSource.getRepository(Customer).findOneByOrFail({ id: customer.id ?? '' })).toMatchObject(customer)
    await dataSource.getRepository(Customer).delete({ id: customer.id ?? '' })
  })

  it('raw SQL, with and without the column', async () => {
    const insert = 'INSERT INTO purchase ("customerId", number) VALUES ($1, 0), ($2, 1) RETURNING id'
    const returned: { id: string }[] = await dataSource.query(insert, [at(0), at(1)])
    const withDefault = 'INSERT INTO purchase (id, "customerId", number) VALUES (DEFAULT, $1, 2) RETURNING id'
    returned.push(...(await dataSource.query(withDefault, [at(2)])))
    await expectWritten(
      returned.map(({ id }) => id),
      [0, 1, 2],
    )
  })

  it('save: in a transaction, and of kinds beside', async () => {
    await dataSource.transaction(async (manager: EntityManager) => {
      const saved = await manager.save(Purchase, rows() as Purchase[])
      expect(await manager.countBy(Purchase, { id: In(saved.map(({ id }) => id)) })).toBe(12)
    })
    expect(await dataSource.getRepository(Purchase).count()).toBe(12)
    const tickets = await dataSource.getRepository(Ticket).save(rows(1_500).map(({ customerId }) => ({ customerId })))
    expect(new Set(tickets.map(({ id }) => id)).size).toBe(1_500)
  })

  it('upsert: new rows have new ids, rows that are there keep theirs, as with plain TypeORM', async () => {
    const repository = dataSource.getRepository(Purchase)
    const before = await repository.save(rows(3) as Purchase[])
    const given = rows(6).map((row) => ({ ...row, total: 9 })) as Partial<Purchase>[]
    const result = await repository.upsert(given, ['customerId', 'number'])
    expect(given.slice(0, 3).map(({ id }) => id)).toEqual(before.map(({ id }) => id))
    expect(result.identifiers).toEqual(given.map(({ id }) => ({ id })))
    expect(result.generatedMaps.map((map) => map['id'])).toEqual(given.map(({ id }) => id))
    await expectWritten(
      given.map(({ id }) => id),
      [0, 1, 2, 3, 4, 5],
    )
    expect(await repository.sum('total')).toBe(54)
    const one: Partial<Purchase> = { customerId: at(0), number: 0, total: 1 }
    await repository.upsert(one, ['customerId', 'number'])
    expect(one.id).toBe(before[0]?.id)
  })

  it('takes ids back from objects whose rows were not written', async () => {
    const repository = dataSource.getRepository(Purchase)
    const [first] = await repository.save(rows(1) as Purchase[])
    const skipped: Partial<Purchase> = { customerId: at(0), number: 0, total: 0 }
    const result = await repository.upsert(skipped, {
      conflictPaths: ['customerId', 'number'],
      skipUpdateIfNoValuesChanged: true,
    })
    expect([skipped.id, result.identifiers]).toEqual([undefined, [undefined]])
    const failing = [...rows(2), { customerId: at(0), number: 0 }] as Partial<Purchase>[]
    await expect(repository.insert(failing)).rejects.toMatchObject({ code: '23505' })
    expect(failing.map(({ id }) => id)).toEqual([undefined, undefined, undefined])
    await expect(repository.save(failing as Purchase[])).rejects.toMatchObject({ code: '23505' })
    expect(failing.map(({ id }) => id)).toEqual([undefined, undefined, undefined])
    await expectWritten([first?.id], [0])
  })

  it('keeps ids that are given: of the same slot, and those of nobody', async () => {
    const repository = dataSource.getRepository(Purchase)
    const [saved] = await repository.save(rows(1) as Purchase[])
    await repository.delete(saved?.id ?? '')
    await repository.insert({ id: saved?.id ?? '', customerId: at(0), number: 0 })
    await repository.insert({ id: '42', customerId: at(1), number: 1 })
    await dataSource.query('INSERT INTO purchase (id, "customerId", number) VALUES (43, $1, 2)', [at(2)])
    expect((await repository.findOneByOrFail({ id: '42' })).number).toBe(1)
    const found = await repository.find({ where: { id: In([saved?.id, '42', '43']) }, order: { number: 'ASC' } })
    expect(found.map(({ number }) => number)).toEqual([0, 1, 2])
    expect((await repository.delete(['42', saved?.id ?? ''])).affected).toBe(2)
  })

  it('refuses an id of another slot on every way', async () => {
    const repository = dataSource.getRepository(Purchase)
    const [saved, other] = await repository.save(rows(2) as Purchase[])
    const id = saved?.id ?? ''
    const error = {
      code: 'ID_OF_ANOTHER_SLOT',
      details: { entity: 'Purchase', column: 'id', slot: slotOf(at(0)), expected: slotOf(at(5)), key: [at(5)] },
    }
    const row = { id, customerId: at(5), number: 5 }
    const raw = 'INSERT INTO purchase (id, "customerId", number) VALUES ($1, $2, 5)'
    for (const work of [
      () => repository.insert({ ...row }),
      () => repository.save({ ...row }),
      () => repository.upsert({ ...row }, ['customerId', 'number']),
      () => dataSource.createQueryBuilder().insert().into(Purchase).values(row).execute(),
      () => dataSource.query(raw, [id, at(5)]),
      () =>
        dataSource
          .shard(dataSource.locate(Customer, at(5)).shard)
          .getRepository(Purchase)
          .insert({ ...row }),
    ])
      await expect(work()).rejects.toMatchObject(error)
    const changed = { code: 'ID_CHANGED', details: { entity: 'Purchase', column: 'id' } }
    for (const work of [
      () => repository.update({ number: 1 }, { id }),
      () => repository.update({ id: other?.id ?? '' }, { id }),
      () => repository.updateAll({ id }),
      () => repository.createQueryBuilder().update().set({ id }).where('number = 1').execute(),
      () => dataSource.query('UPDATE purchase SET id = id + 1'),
      () => dataSource.query(`${raw} ON CONFLICT (number) DO UPDATE SET id = 5`, [null, at(5)]),
    ])
      await expect(work()).rejects.toMatchObject(changed)
    const copy = 'INSERT INTO purchase (id, "customerId", number) SELECT id + 1, "customerId", 7 FROM purchase'
    await expect(dataSource.query(copy)).rejects.toMatchObject({ code: 'ID_OF_ANOTHER_SLOT' })
    const shard = dataSource.shard(dataSource.locate(Customer, at(5)).shard)
    await expect(
      shard.createQueryBuilder().insert().into(Purchase).values({ number: 7 }).callListeners(false).execute(),
    ).rejects.toMatchObject({ code: 'ID_MISSING', details: { entity: 'Purchase', column: 'id' } })
    await expectWritten([saved?.id, other?.id], [0, 1])
  })

  it('makes the ids of rows that are written through a shard’s own data source', async () => {
    const shard = dataSource.shard(dataSource.locate(Customer, at(5)).shard)
    const saved = await shard.getRepository(Purchase).save({ customerId: at(5) })
    const { identifiers } = await shard.getRepository(Purchase).insert({ customerId: at(5), number: 1 })
    await expectWritten([saved.id, identifiers[0]?.['id']], [0, 1])
  })

  it('lets an update name the id that its condition demands', async () => {
    const repository = dataSource.getRepository(Purchase)
    const [saved] = await repository.save(rows(1) as Purchase[])
    const id = saved?.id ?? ''
    expect((await repository.update(id, { id, total: 3 })).affected).toBe(1)
    expect((await repository.update({ customerId: at(0) }, { id, total: 4 })).affected).toBe(1)
    expect((await dataSource.query('UPDATE purchase SET id = $1, total = 5 WHERE id = $1', [id]))[1]).toBe(1)
    expect(await repository.findOneBy({ id })).toMatchObject({ id, total: 5 })
  })

  it('refuses at the start what cannot be an id', async () => {
    const parsed = new ShardedDataSource({
      type: 'postgres',
      parseInt8: true,
      entities: [...shop],
      nodes: opened.nodes,
    })
    await expect(parsed.initialize()).rejects.toMatchObject({
      code: 'DECLARATIONS_INVALID',
      details: { refusals: [{ code: 'ID_COLUMN_INVALID' }, { code: 'ID_COLUMN_INVALID' }] },
    })
  })
})
