import type { DataSource } from 'typeorm'
import { Category, Customer, Item, Order, Payment, Setting, type Status, type Tier, Warehouse } from './shop'

const at = <T>(values: readonly T[], index: number): T => {
  const value = values[index % values.length]
  if (value === undefined) throw new Error('There are no values.')
  return value
}
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

const names = [
  'Ada',
  'Émile',
  'Zoë',
  'ångström',
  'Bob',
  'Çelik',
  'dora',
  'Élan',
  'Øyvind',
  'eve',
  'Fritz',
  'Ñandú',
] as const
const tiers: readonly Tier[] = ['gold', 'bronze', 'silver']
const cities = ['Paris', 'Oslo', 'Łódź', 'Paris'] as const
const statuses: readonly Status[] = ['pending', 'paid', 'shipped', 'cancelled']

/** Microseconds of customer n within one millisecond: distinct, and in another order than n. */
export const microseconds = (id: number): number => ((id * 37) % 101) + 100

/** Customers 1 to 12; number 12 is deleted softly, number 7 has no balance, number 11 no profile. */
export const customers = upTo(12).map((n) => ({
  id: String(n),
  name: at(names, n - 1),
  email: n % 4 === 0 ? null : `${n}@example.org`,
  tier: at(tiers, n),
  balance: n === 7 ? null : (n * 10.5 - 40).toFixed(4),
  score: n % 5 === 0 ? null : n * 0.5,
  points: (n % 4) * 100,
  active: n % 2 === 1,
  profile: n === 11 ? null : { lang: at(['en', 'fr', 'de'], n), level: n, nested: { vip: n > 9 } },
  tags: n % 2 === 1 ? ['a', `t${n}`] : [],
  nickname: n % 6 === 0 ? null : `nick${n}`,
  secret: `s${n}`,
  address: { city: at(cities, n), postcode: n % 3 === 0 ? null : `P${n}` },
  deletedAt: n === 12 ? new Date('2024-06-01T00:00:00Z') : null,
}))

export const orderId = (number: number): string =>
  `${String((number * 7919) % 1000).padStart(8, '0')}-0000-4000-8000-${String(number).padStart(12, '0')}`

/**
 * Customer n has n % 5 orders, numbered through from 1 to 23: number 1 is of customer 1, 2 and 3 of customer 2, and so
 * on; customers 5 and 10 have none. Orders 3 and 20 are deleted softly.
 */
export const orders = upTo(12)
  .flatMap((customer) => upTo(customer % 5).map(() => String(customer)))
  .map((customerId, index) => {
    const n = index + 1
    return {
      id: orderId(n),
      customerId,
      number: n,
      status: at(statuses, n),
      total: (((n * 7) % 11) * 10 + 0.25).toFixed(2),
      placedAt: new Date(Date.UTC(2024, 0, 1 + Math.floor(n / 2))),
      note: n % 3 === 0 ? null : `note ${n}`,
      updatedAt: new Date('2024-02-01T00:00:00Z'),
      deletedAt: n === 3 || n === 20 ? new Date('2024-06-01T00:00:00Z') : null,
    }
  })

/** Order n has n % 3 + 1 items, with ids 10 n + 1, 10 n + 2 …: 47 in all. */
export const items = orders.flatMap((order) =>
  upTo((order.number % 3) + 1).map((k) => ({
    id: String(order.number * 10 + k),
    customerId: order.customerId,
    orderId: order.id,
    sku: `sku-${(order.number + k) % 5}`,
    quantity: k + (order.number % 2),
    price: (((order.number % 4) + 1) * 2.5).toFixed(2),
    attributes: { colour: at(['red', 'blue'], k), weight: order.number },
  })),
)

/** The even orders are paid for, every fourth in cash. */
export const payments = orders
  .filter(({ number }) => number % 2 === 0)
  .map(({ id, customerId, number, total }) => ({
    orderId: id,
    customerId,
    method: number % 4 === 0 ? 'cash' : 'card',
    amount: total,
  }))

/** Customer n has the first n % 3 + 1 of gift, home and office. */
export const categories = customers.flatMap(({ id }) =>
  ['gift', 'home', 'office']
    .slice(0, (Number(id) % 3) + 1)
    .map((name, index) => ({ customerId: id, name, rank: index + 1 })),
)

/** Odd orders are of gift; those that 3 divides of home, where their customer has it. */
export const categoriesOf = (order: (typeof orders)[number]): typeof categories =>
  categories.filter(
    ({ customerId, name }) =>
      customerId === order.customerId &&
      ((name === 'gift' && order.number % 2 === 1) || (name === 'home' && order.number % 3 === 0)),
  )

export const warehouses = ['Paris', 'Oslo', 'Łódź', 'Rome', 'Paris'].map((city, index) => ({
  code: `W${index + 1}`,
  city,
  capacity: (index + 1) * 100,
}))

export const settings = [
  { name: 'currency', value: 3 },
  { name: 'limit', value: 7 },
  { name: 'empty', value: 0 },
]

/** Writes all of it. */
export async function openShop(dataSource: DataSource): Promise<void> {
  const { manager } = dataSource
  await manager.insert(
    Customer,
    customers.map((row) => ({
      ...row,
      // TypeORM makes a Date of a text, and loses what is below the millisecond; a function is taken as SQL.
      seenAt: () => `'2024-03-01 12:00:00.123${microseconds(Number(row.id))}+00'`,
    })),
  )
  await manager.insert(Category, categories)
  await manager.save(
    Order,
    orders.map((order) => ({ ...order, categories: categoriesOf(order) })),
  )
  await manager.insert(Item, items)
  await manager.insert(Payment, payments)
  await manager.insert(Warehouse, warehouses)
  await manager.insert(Setting, settings)
}
