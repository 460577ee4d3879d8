import type { DataSource } from 'typeorm'
import { Category, Country, Product, Review, Tag } from './catalog'
import { Address, Profile, Tenant, User } from './people'
import { AuditEntry, CardPayment, Line, Order, Payment, Setting, TransferPayment, Wish } from './sales'

export const shopEntities = [
  Country,
  Category,
  Tag,
  Product,
  Review,
  Tenant,
  User,
  Profile,
  Address,
  Order,
  Line,
  Payment,
  CardPayment,
  TransferPayment,
  AuditEntry,
  Setting,
  Wish,
]

/** The groups whose number of shards is the target's; the log of a month stays a shard a month. */
export const shopGroups = ['tenant', 'product']

/** An id that tests can name. */
export const idOf = (kind: 'user' | 'profile' | 'address' | 'review' | 'payment' | 'entry', number: number): string =>
  `${{ user: 1, profile: 2, address: 3, review: 4, payment: 5, entry: 6 }[kind]}0000000-0000-4000-8000-${String(number).padStart(12, '0')}`

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1)

export const tenantIds = range(5)
/** Of each tenant, with numbers from 1 on over all tenants: 5, 6, … are of tenant 2. */
export const usersOfTenant = 4
export const userNumbers = range(tenantIds.length * usersOfTenant)
export const tenantOf = (user: number): number => Math.ceil(user / usersOfTenant)
export const productIds = range(12)
export const orderCount = 40

/** The 40 orders: every user has two. */
export const orders = range(orderCount).map((n) => {
  const user = ((n * 7) % userNumbers.length) + 1
  return {
    tenantId: tenantOf(user),
    number: n,
    user,
    status: (['open', 'paid', 'sent'] as const)[n % 3] ?? ('open' as const),
    placedAt: new Date(Date.UTC(2026, n % 6, (n % 27) + 1, n % 24)),
    total: ((n * 37) % 90) + 10,
    lines: range((n % 3) + 1).map((place) => ({
      place,
      product: ((n * 5 + place) % productIds.length) + 1,
      quantity: ((n + place) % 4) + 1,
      price: `${((n * place) % 50) + 1}.50`,
    })),
  }
})

export const reviews = range(30).map((n) => ({
  id: idOf('review', n),
  productId: ((n * 5) % productIds.length) + 1,
  author: ((n * 3) % userNumbers.length) + 1,
  rating: (n % 5) + 1,
  text: n % 4 === 0 ? '' : `review ${n}`,
}))

async function seedCatalog(dataSource: DataSource): Promise<void> {
  await dataSource.getRepository(Country).insert([
    { code: 'DE', name: 'Germany', vat: '19.0' },
    { code: 'FR', name: 'France', vat: '20.0' },
    { code: 'CH', name: 'Switzerland', vat: '8.1' },
  ])
  const categories = dataSource.getRepository(Category)
  const home = await categories.save({ id: 1, name: 'home', parent: null })
  const kitchen = await categories.save({ id: 2, name: 'kitchen', parent: home })
  await categories.save({ id: 3, name: 'knives', parent: kitchen })
  await categories.save({ id: 4, name: 'garden', parent: home })
  await categories.save({ id: 5, name: 'books', parent: null })
  const tags = await dataSource.getRepository(Tag).save(['new', 'sale', 'green'].map((word) => ({ word })))
  await dataSource.getRepository(Product).save(
    productIds.map((id) => ({
      id,
      name: `product ${String.fromCharCode(97 + ((id * 7) % 26))}`,
      price: `${id * 3}.90`,
      stock: (id * 5) % 8,
      ...(id === 11 && { deletedAt: new Date('2026-02-02') }),
      facts: id % 3 === 0 ? { colour: 'red', sizes: [id] } : {},
      category: { id: (id % 5) + 1 },
      tags: tags.filter((_, index) => (id + index) % 3 !== 0),
    })),
  )
  await dataSource
    .getRepository(Review)
    .insert(reviews.map(({ author, ...review }) => ({ ...review, author: { id: idOf('user', author) } })))
}

async function seedPeople(dataSource: DataSource): Promise<void> {
  await dataSource.getRepository(Tenant).insert(
    tenantIds.map((id) => ({
      id,
      name: `tenant ${id}`,
      country: { code: id % 2 ? 'DE' : 'FR' },
      // TypeORM takes the object for the promise of it; its type does not say so.
      ...(id > 1 && { broughtBy: { id: Math.floor(id / 2) } as never }),
    })),
  )
  const first = (tenantId: number): number => (tenantId - 1) * usersOfTenant + 1
  for (const isFirst of [true, false])
    await dataSource.getRepository(User).save(
      userNumbers
        .filter((n) => (n === first(tenantOf(n))) === isFirst)
        .map((n) => ({
          id: idOf('user', n),
          tenantId: tenantOf(n),
          email: `user${n % usersOfTenant}@example.com`,
          name: `user ${String.fromCharCode(97 + ((n * 11) % 26))}`,
          contact: { phone: n % 3 === 0 ? null : `0${n}`, mayCall: n % 2 === 0 },
          referrer: isFirst ? null : { id: idOf('user', first(tenantOf(n))) },
          profile: n % 4 === 3 ? null : { id: idOf('profile', n), bio: `bio ${n}`, born: null },
          addresses: range(n % 3).map((place) => ({
            id: idOf('address', n * 10 + place),
            tenantId: tenantOf(n),
            street: `street ${place}`,
            country: { code: ['DE', 'FR', 'CH'][(n + place) % 3] ?? 'DE' },
          })),
        })),
    )
}

async function seedSales(dataSource: DataSource): Promise<void> {
  await dataSource.getRepository(Order).save(
    orders.map(({ user, lines, ...order }) => ({
      ...order,
      user: { id: idOf('user', user) },
      shipTo: user % 3 === 0 ? null : { id: idOf('address', user * 10 + 1) },
      lines: lines.map(({ product, ...line }) => ({ ...line, product: { id: product } })),
    })),
  )
  const paid = orders.filter(({ status }) => status !== 'open')
  const ofOrder = ({ tenantId, number }: (typeof orders)[number]) => ({
    id: idOf('payment', number),
    tenantId,
    orderNumber: number,
    amount: `${number}.00`,
  })
  await dataSource
    .getRepository(CardPayment)
    .insert(paid.filter((_, index) => index % 2 === 0).map((order) => ({ ...ofOrder(order), lastDigits: '4242' })))
  await dataSource
    .getRepository(TransferPayment)
    .insert(paid.filter((_, index) => index % 2 === 1).map((order) => ({ ...ofOrder(order), iban: 'DE02' })))
  await dataSource.getRepository(AuditEntry).insert(
    range(48).map((n) => ({
      id: idOf('entry', n),
      at: new Date(Date.UTC(2026, n % 6, (n % 28) + 1, n % 24)),
      what: n % 2 ? 'login' : 'order',
      tenantId: n % 7 === 0 ? null : (n % 5) + 1,
    })),
  )
  await dataSource.getRepository(Wish).insert(
    userNumbers.flatMap((n) =>
      range(n % 3).map((rank) => ({
        tenantId: tenantOf(n),
        userId: idOf('user', n),
        productId: ((n * 5 + rank * 2) % productIds.length) + 1,
        rank,
      })),
    ),
  )
  const links = userNumbers.flatMap((n) =>
    range((n + 1) % 4).map((place) => `('${idOf('user', n)}', ${((n * 7 + place * 5) % productIds.length) + 1})`),
  )
  await dataSource.query(
    `INSERT INTO app_user_followed_product ("appUserId", "productId") VALUES ${links.join(', ')} ON CONFLICT DO NOTHING`,
  )
  await dataSource.getRepository(Setting).insert([
    { name: 'theme', value: { dark: true }, tenantId: null },
    { name: 'limit', value: 10, tenantId: 2 },
  ])
}

/** The rows of the shop: five tenants with four users each, twelve products, forty orders. */
export async function seedShop(dataSource: DataSource): Promise<void> {
  await seedCatalog(dataSource)
  await seedPeople(dataSource)
  await seedSales(dataSource)
}
