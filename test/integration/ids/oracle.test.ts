import { DataSource, In, MoreThan, type Repository } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../../src/index'
import { createRng } from '../../differential/rng'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { Customer, Line, Purchase, shop } from './shop'

const rounds = 400

/** The same random operations on shards and on plain TypeORM, which is given the ids that were made. */
describe('operations by id, beside plain TypeORM', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    sharded = new ShardedDataSource({ type: 'postgres', entities: [...shop], nodes: { a: { url: a }, b: { url: b } } })
    plain = new DataSource({ type: 'postgres', url: databases.oracle, entities: [...shop] })
    for (const dataSource of [sharded, plain]) {
      await dataSource.initialize()
      await dataSource.synchronize()
    }
  })
  afterAll(async () => {
    await sharded.destroy()
    await plain.destroy()
    await databases.drop()
  })

  it.each([1, 2, 3])('give the same with seed %d', { timeout: 120_000 }, async (seed) => {
    const rng = createRng(seed)
    const pick = <T>(list: readonly T[]): T => rng.pick(list)
    for (const dataSource of [sharded, plain])
      for (const target of [Line, Purchase, Customer]) await dataSource.getRepository(target).deleteAll()
    const customers = await sharded
      .getRepository(Customer)
      .save(Array.from({ length: 15 }, (_, n) => ({ name: `c${n}` })))
    await plain.getRepository(Customer).insert(customers.map((one) => ({ ...one })))
    /** All ids that ever were, and some of nobody. */
    const ids: string[] = ['7', '4000000']
    let number = 0
    const row = (): Partial<Purchase> => ({ customerId: pick(customers).id, number: number++, total: rng.int(5) })
    const some = (): string[] => Array.from({ length: 1 + rng.int(4) }, () => pick(ids))
    const both = async (work: (purchases: Repository<Purchase>, lines: Repository<Line>) => Promise<unknown>) => {
      const outcome = (dataSource: DataSource) =>
        work(dataSource.getRepository(Purchase), dataSource.getRepository(Line)).then(
          (value) => ({ value }),
          (error: Error) => ({ error: Reflect.get(error, 'code') ?? error.name }),
        )
      expect(await outcome(sharded)).toEqual(await outcome(plain))
    }
    const insert = async (): Promise<void> => {
      const rows = Array.from({ length: 1 + rng.int(3) }, row)
      const kind = rng.int(4)
      if (kind === 0) await sharded.getRepository(Purchase).insert(rows)
      else if (kind === 1) await sharded.getRepository(Purchase).save(rows as Purchase[])
      else if (kind === 2) await sharded.createQueryBuilder().insert().into(Purchase).values(rows).execute()
      else await sharded.getRepository(Purchase).upsert(rows, ['customerId', 'number'])
      ids.push(...rows.map(({ id = '' }) => id))
      await plain.getRepository(Purchase).insert(rows)
      const line = { purchaseId: rows[0]?.id ?? '', customerId: rows[0]?.customerId ?? '', text: `l${number}` }
      const [made] = await sharded.getRepository(Line).save([{ ...line }])
      await plain.getRepository(Line).insert({ ...line, id: made?.id ?? '' })
    }
    const byNumber = { number: 'ASC' } as const
    const operations = [
      () => {
        const id = pick(ids)
        return both((purchases) => purchases.findOneBy({ id }))
      },
      () => {
        const list = some()
        return both((purchases) => purchases.find({ where: { id: In(list), total: MoreThan(1) }, order: byNumber }))
      },
      () => {
        const list = some()
        const total = rng.int(5)
        return both((purchases) =>
          purchases.find({ where: [{ id: In(list) }, { id: list[0] ?? '', total }], order: byNumber }),
        )
      },
      () => {
        const list = some()
        return both((_, lines) => lines.find({ where: { purchaseId: In(list) }, order: { text: 'ASC' } }))
      },
      () => {
        const id = pick(ids)
        return both((_, lines) =>
          lines.find({ where: { purchase: { id } }, relations: { purchase: true }, order: { text: 'ASC' } }),
        )
      },
      () => {
        const [id = '', other = ''] = [pick(ids), pick(ids)]
        return both((purchases) =>
          purchases
            .createQueryBuilder('p')
            .leftJoinAndSelect('p.lines', 'l')
            .where('p.id = :id OR p.id IN (:...list)', { id, list: [other, id] })
            .orderBy('p.number')
            .getMany(),
        )
      },
      () => {
        const id = pick(ids)
        return both((purchases) => purchases.query('SELECT count(*)::int AS n FROM purchase WHERE NOT id = $1', [id]))
      },
      () => {
        const list = some()
        const total = rng.int(9)
        return both(async (purchases) => (await purchases.update({ id: In(list) }, { total })).affected)
      },
      () => {
        const id = pick(ids)
        return both(async (purchases) => (await purchases.increment({ id }, 'total', 2)).affected)
      },
      () => {
        const list = some()
        return both(async (_, lines) => (await lines.delete({ purchaseId: In(list) })).affected)
      },
      () => {
        const list = some()
        return both(async (purchases) => (await purchases.delete(list)).affected)
      },
      () => {
        const id = pick(ids)
        return both((purchases) =>
          purchases.query('UPDATE purchase SET total = total + 1 WHERE id = ANY($1)', [[id, '9']]),
        )
      },
      () => {
        const id = pick(ids)
        const total = rng.int(99)
        return both(async (purchases) => {
          if (await purchases.existsBy({ id })) await purchases.save({ id, total } as Purchase)
        })
      },
    ]
    for (let round = 0; round < rounds; round++) {
      if (rng.int(4) === 0) await insert()
      else await pick(operations)()
    }
    await both((purchases) =>
      purchases.find({ relations: { lines: true }, order: { number: 'ASC', lines: { text: 'ASC' } } }),
    )
  })
})
