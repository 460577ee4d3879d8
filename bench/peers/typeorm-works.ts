import { Between, type DataSource, LessThan } from 'typeorm'
import { Item } from '../support/item'
import type { Works } from './peer'

/** The work by TypeORM's own calls: of plain TypeORM, of ours, and of TypeORM over what PostgreSQL itself spreads. */
export const typeormWorks = (dataSource: DataSource): Works => {
  const items = dataSource.getRepository(Item)
  const order = { createdAt: 'DESC' } as const
  return {
    byKey: async (id) => [await items.findOneByOrFail({ id })],
    top: (take) => items.find({ order, take }),
    after: (time, take) => items.find({ where: { createdAt: LessThan(time) }, order, take }),
    page: (skip, take) => items.find({ order, skip, take }),
    raw: (count) => dataSource.query(`SELECT * FROM item ORDER BY "createdAt" DESC LIMIT ${count}`),
    count: () => items.count(),
    sum: async () => Number(await items.sum('amount')),
    updateByKey: async (id, amount) => (await items.update({ id }, { amount })).affected ?? 0,
    updateBetween: async (from, to, amount) =>
      (await items.update({ createdAt: Between(from, to) }, { amount })).affected ?? 0,
    saveLines: async (lines) => {
      await dataSource.manager.save([...lines])
    },
    transfer: (from, to) =>
      dataSource.transaction(async (manager) => {
        await manager.decrement(Item, { id: from }, 'amount', 1)
        await manager.increment(Item, { id: to }, 'amount', 1)
      }),
  }
}
