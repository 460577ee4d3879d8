import { type DataSource, In, LessThan, Like, MoreThan } from 'typeorm'
import { Category, Country, Product, Review, Tag } from './catalog'
import { Address, Profile, Tenant, User } from './people'
import { AuditEntry, CardPayment, Line, Order, Payment, Setting, TransferPayment } from './sales'
import type { ShopScript } from './script'
import { idOf } from './seed'

const user = (number: number) => ({ id: idOf('user', number) })
const placedAt = new Date('2026-05-05T10:00:00Z')

const orderOf = (dataSource: DataSource, tenantId: number, number: number): Promise<Order> =>
  dataSource.getRepository(Order).findOneOrFail({
    where: { tenantId, number },
    relations: { lines: true, payments: true },
    order: { lines: { place: 'ASC' } },
  })

const line = (place: number, product: number, quantity = 1) => ({
  place,
  product: { id: product },
  quantity,
  price: '5.00',
})

/** By repositories: cascades, orphans, soft deletes, criteria. */
export const entityWrites: Readonly<Record<string, ShopScript>> = {
  'a user with profile and addresses': (dataSource) =>
    dataSource.getRepository(User).save({
      id: idOf('user', 100),
      tenantId: 3,
      email: 'new@example.com',
      name: 'new',
      contact: { phone: '1', mayCall: true },
      referrer: user(9),
      profile: { bio: 'new here' },
      addresses: [
        { tenantId: 3, street: 'a', country: { code: 'DE' } },
        { tenantId: 3, street: 'b', country: { code: 'CH' } },
      ],
    }),
  'a user follows other products': async (dataSource) => {
    const users = dataSource.getRepository(User)
    const one = await users.findOneOrFail({
      where: user(6),
      relations: { followed: true },
      order: { followed: { id: 'ASC' } },
    })
    one.followed = [...one.followed.slice(1), { id: 12 } as Product]
    return users.save(one)
  },
  'a product has other followers': async (dataSource) => {
    const products = dataSource.getRepository(Product)
    const one = await products.findOneOrFail({ where: { id: 8 }, relations: { followers: true } })
    one.followers = [user(1) as User, user(20) as User]
    await products.save(one)
    return products.findOne({ where: { id: 8 }, relations: { followers: true }, order: { followers: { id: 'ASC' } } })
  },
  'a builder links and unlinks followers': async (dataSource) => {
    await dataSource
      .createQueryBuilder(User, 'u')
      .relation('followed')
      .of(user(13).id)
      .addAndRemove([1, 2], [3, 4, 5, 6])
    await dataSource
      .createQueryBuilder(Product, 'p')
      .relation('followers')
      .of(2)
      .remove([user(13).id, user(2).id])
    return dataSource.createQueryBuilder(Product, 'p').relation('followers').of(1).loadMany()
  },
  'a user goes, and follows nothing': async (dataSource) => {
    const users = dataSource.getRepository(User)
    await users.remove(await users.findOneByOrFail(user(18)))
  },
  'profiles that know only their users': async (dataSource) => {
    const profiles = dataSource.getRepository(Profile)
    await profiles.save(profiles.create({ bio: 'by a save', user: user(3) }))
    await profiles.insert([
      { bio: 'by an insert', user: user(7) },
      { bio: 'by another', user: user(11) },
    ])
    const found = await profiles.find({
      where: { user: In([user(3).id, user(7).id, user(11).id]) },
      relations: { user: true },
      order: { bio: 'ASC' },
    })
    for (const profile of found) profile.born = '1990-01-01'
    await profiles.save(found)
    await profiles.remove(found.slice(1))
    return found
  },
  'a profile by its user, changed and put aside': async (dataSource) => {
    const users = dataSource.getRepository(User)
    const one = await users.findOneOrFail({ where: user(5), relations: { profile: true } })
    if (one.profile) one.profile.bio = 'changed'
    await users.save(one)
    return [
      one,
      await dataSource.getRepository(Profile).update({ user: user(6) }, { bio: 'by a condition' }),
      await dataSource.getRepository(Profile).countBy({ bio: Like('%changed%') }),
    ]
  },
  'an order whose lines and payments know only the order': async (dataSource) => {
    const orders = dataSource.getRepository(Order)
    const order = orders.create({
      tenantId: 3,
      number: 200,
      user: user(100),
      placedAt,
      total: 20,
      lines: [line(1, 4), line(2, 7)],
    })
    order.payments = [Object.assign(new CardPayment(), { amount: '20.00', lastDigits: '1111' })]
    await orders.save(order)
    return orderOf(dataSource, 3, 200)
  },
  'orders of several tenants at once': (dataSource) =>
    dataSource.getRepository(Order).save(
      [1, 2, 3, 4, 5].map((tenantId) => ({
        tenantId,
        number: 300,
        user: user((tenantId - 1) * 4 + 2),
        placedAt,
        total: tenantId,
        lines: [line(1, tenantId), line(2, tenantId + 5, 3)],
      })),
    ),
  'lines changed, added and taken away': async (dataSource) => {
    const order = await orderOf(dataSource, 2, 300)
    order.lines = [Object.assign(order.lines[0] ?? new Line(), { quantity: 9 }), Object.assign(new Line(), line(3, 12))]
    order.status = 'paid'
    await dataSource.getRepository(Order).save(order)
    return orderOf(dataSource, 2, 300)
  },
  'nothing changed': async (dataSource) => {
    await dataSource.getRepository(Order).save(await orderOf(dataSource, 2, 300))
    return (await orderOf(dataSource, 2, 300)).version
  },
  'an order put away and brought back': async (dataSource) => {
    const orders = dataSource.getRepository(Order)
    const order = await orderOf(dataSource, 4, 300)
    await orders.softRemove(order)
    const gone = await orders.countBy({ tenantId: 4, number: 300 })
    const kept = await orders.count({ where: { tenantId: 4, number: 300 }, withDeleted: true })
    await orders.recover(order)
    return [gone, kept, await orders.countBy({ tenantId: 4, number: 300 })]
  },
  'old orders put away, over all tenants': async (dataSource) => {
    const orders = dataSource.getRepository(Order)
    const { affected } = await orders.softDelete({ placedAt: LessThan(new Date('2026-02-01')) })
    return [affected, await orders.count(), await orders.count({ withDeleted: true })]
  },
  'prices by criteria': async (dataSource) => {
    const products = dataSource.getRepository(Product)
    await products.increment({ stock: MoreThan(3) }, 'stock', 10)
    const { affected } = await products.update({ category: { id: 2 } }, { price: () => 'price * 2' })
    return [affected, await products.sum('stock')]
  },
  'a product with a new tag': (dataSource) =>
    dataSource.getRepository(Product).save({
      id: 50,
      name: 'lamp',
      price: '9.99',
      category: { id: 4 },
      tags: [{ id: 1 } as Tag, { word: 'light' } as Tag],
      reviews: [{ rating: 4, text: 'bright', author: user(3) }],
    }),
  'a tag taken from a product by the relation': (dataSource) =>
    dataSource.createQueryBuilder().relation(Product, 'tags').of({ id: 50 }).remove(1),
  'tags given to a product by the relation': (dataSource) =>
    dataSource.createQueryBuilder().relation(Product, 'tags').of({ id: 50 }).add([2, 3]),
  'tags of a product by the relation': async (dataSource) => {
    const found = await dataSource.createQueryBuilder().relation(Product, 'tags').of({ id: 50 }).loadMany<Tag>()
    return found.map(({ word }) => word).sort()
  },
  'the category of a product by the relation': async (dataSource) => {
    await dataSource.createQueryBuilder().relation(Product, 'category').of({ id: 50 }).set(5)
    return (await dataSource.getRepository(Product).findOneByOrFail({ id: 50 })).category
  },
  'tags changed in a save': async (dataSource) => {
    const products = dataSource.getRepository(Product)
    const product = await products.findOneOrFail({ where: { id: 1 }, relations: { tags: true } })
    product.tags = [Object.assign(new Tag(), { id: 3 })]
    return products.save(product)
  },
  'wishes of a user': (dataSource) =>
    dataSource.getRepository(User).save({
      id: idOf('user', 7),
      tenantId: 2,
      wishes: [
        { tenantId: 2, product: { id: 3 }, rank: 1 },
        { tenantId: 2, product: { id: 9 }, rank: 2 },
      ],
    }),
  'the author of a review by the relation': async (dataSource) => {
    await dataSource
      .createQueryBuilder()
      .relation(Review, 'author')
      .of({ id: idOf('review', 2), productId: 11 })
      .set(idOf('user', 8))
    return dataSource
      .getRepository(Review)
      .findOneOrFail({ where: { id: idOf('review', 2) }, relations: { author: true } })
  },
  'a review changed with its author': async (dataSource) => {
    const reviews = dataSource.getRepository(Review)
    const review = await reviews.findOneOrFail({
      where: { id: idOf('review', 3) },
      relations: { author: true, product: true },
    })
    review.rating = 2
    review.author.name = 'not saved: there is no cascade'
    return reviews.save(review)
  },
  'a tenant brought by another': async (dataSource) => {
    const tenants = dataSource.getRepository(Tenant)
    const tenant = await tenants.findOneByOrFail({ id: 5 })
    tenant.broughtBy = Promise.resolve(await tenants.findOneBy({ id: 4 }))
    await tenants.save(tenant)
    return (await (await tenants.findOneByOrFail({ id: 5 })).broughtBy)?.id
  },
  'a setting of a tenant': (dataSource) =>
    dataSource.getRepository(Setting).save({ name: 'colour', value: 'red', tenant: { id: 3 } }),
  'reviews by the author, removed': async (dataSource) => {
    const reviews = dataSource.getRepository(Review)
    await reviews.remove(await reviews.find({ where: { author: user(19) } }))
    return reviews.count()
  },
  'reviews by the author, updated by criteria': (dataSource) =>
    dataSource.getRepository(Review).update({ author: user(16) }, { rating: 3 }),
  'a review of somebody elsewhere': (dataSource) =>
    dataSource.getRepository(Review).save([
      { productId: 3, rating: 5, text: 'fine', author: user(1) },
      { productId: 4, rating: 1, text: 'broken', author: user(20) },
    ]),
  'a category below another': async (dataSource) => {
    const trees = dataSource.getTreeRepository(Category)
    await trees.save({ id: 6, name: 'spoons', parent: await trees.findOneByOrFail({ id: 2 }) })
    return (await trees.findDescendants(await trees.findOneByOrFail({ id: 1 }))).length
  },
  'a category removed': async (dataSource) => {
    const trees = dataSource.getTreeRepository(Category)
    await trees.remove(await trees.findOneByOrFail({ id: 6 }))
    return trees.count()
  },
  'a country in use': (dataSource) => dataSource.getRepository(Country).delete({ code: 'DE' }),
  'a country of nobody, renamed': async (dataSource) => {
    const countries = dataSource.getRepository(Country)
    await countries.save({ code: 'AT', name: 'Austria', vat: '20.0' })
    await countries.update({ code: 'AT' }, { name: 'Österreich' })
    return countries.findOneBy({ code: 'AT' })
  },
  'an email twice in a tenant': (dataSource) =>
    dataSource
      .getRepository(User)
      .insert({ tenantId: 3, email: 'new@example.com', name: 'x', contact: { mayCall: false } }),
  'an email of another tenant': (dataSource) =>
    dataSource
      .getRepository(User)
      .insert({ id: idOf('user', 101), tenantId: 4, email: 'new@example.com', name: 'x', contact: { mayCall: false } }),
  'an order of nobody': (dataSource) =>
    dataSource.getRepository(Order).insert({ tenantId: 1, number: 900, placedAt, user: user(999) }),
  'products inserted or updated': async (dataSource) => {
    const products = dataSource.getRepository(Product)
    const row = (id: number) => ({ id, name: `upserted ${id}`, price: '1.00', category: { id: 1 } })
    await products.upsert([row(2), row(60), row(61)], ['id'])
    return products.find({ where: { name: MoreThan('upserted') }, order: { id: 'ASC' } })
  },
  'payments of both kinds': async (dataSource) => {
    const payments = dataSource.getRepository(Payment)
    const order = { tenantId: 5, orderNumber: 300 }
    await payments.save([
      Object.assign(new CardPayment(), { ...order, amount: '1.00', lastDigits: '2222' }),
      Object.assign(new TransferPayment(), { ...order, amount: '2.00', iban: 'CH93' }),
    ])
    return payments.find({ where: order, order: { amount: 'ASC' } })
  },
  'things of all kinds in one save': (dataSource) =>
    dataSource.manager.save([
      Object.assign(new Setting(), { name: 'mode', value: 'dark' }),
      Object.assign(new Tag(), { word: 'mixed' }),
      Object.assign(new Product(), { id: 70, name: 'mug', price: '3.00', category: { id: 2 } }),
      Object.assign(new Tenant(), { id: 9, name: 'nine', country: { code: 'CH' } }),
      Object.assign(new AuditEntry(), { at: placedAt, what: 'mixed' }),
    ]),
  'a user removed with all that is his': async (dataSource) => {
    const users = dataSource.getRepository(User)
    await users.remove(await users.findOneByOrFail(user(100)))
    return dataSource.getRepository(Order).countBy({ tenantId: 3 })
  },
  'a tenant deleted with all that is its': async (dataSource) => {
    const { affected } = await dataSource.getRepository(Tenant).delete(5)
    return [affected, await dataSource.getRepository(Line).countBy({ tenantId: 5 })]
  },
  'a product removed with its reviews': async (dataSource) => {
    const products = dataSource.getRepository(Product)
    await products.delete(12)
    return dataSource.getRepository(Review).count()
  },
}

class Undone extends Error {}

/** By transactions, builders and SQL. */
export const otherWrites: Readonly<Record<string, ShopScript>> = {
  'an order in a transaction with stock and log': (dataSource) =>
    dataSource.transaction(async (manager) => {
      await manager.save(Order, { tenantId: 1, number: 400, user: user(1), placedAt, total: 5, lines: [line(1, 2, 2)] })
      await manager.decrement(Product, { id: 2 }, 'stock', 2)
      await manager.insert(AuditEntry, { at: placedAt, what: 'order', tenantId: 1 })
      await manager.update(Setting, { name: 'limit' }, { value: 11 })
      return manager.countBy(Order, { tenantId: 1 })
    }),
  'a transaction that is undone': async (dataSource) => {
    const work = dataSource.transaction(async (manager) => {
      await manager.save(Tag, { word: 'undone' })
      await manager.delete(Order, { tenantId: In([1, 2]) })
      await manager.save(Product, { id: 80, name: 'gone', price: '1.00', category: { id: 1 } })
      throw new Undone('undone')
    })
    return work.catch((error: unknown) => error instanceof Undone)
  },
  'a transaction in a transaction, of which the inner is undone': (dataSource) =>
    dataSource.transaction(async (manager) => {
      await manager.update(Product, { id: 3 }, { stock: 77 })
      await manager
        .transaction(async (inner) => {
          await inner.update(Product, {}, { stock: 0 })
          await inner.update(User, { tenantId: 2 }, { name: 'nobody' })
          throw new Undone('undone')
        })
        .catch(() => undefined)
      await manager.update(User, { id: idOf('user', 5) }, { name: 'five' })
      return manager.sum(Product, 'stock')
    }),
  'a query runner, by hand': async (dataSource) => {
    const runner = dataSource.createQueryRunner()
    await runner.connect()
    await runner.startTransaction()
    try {
      await runner.query('UPDATE address SET street = upper(street) WHERE "tenantId" = $1', [2])
      const locked = await runner.manager.find(Order, {
        where: { tenantId: 2 },
        order: { number: 'ASC' },
        lock: { mode: 'pessimistic_write' },
      })
      await runner.manager.update(
        Order,
        { tenantId: 2, number: In(locked.map(({ number }) => number)) },
        { status: 'sent' },
      )
      await runner.commitTransaction()
      return locked.length
    } catch (error) {
      await runner.rollbackTransaction()
      throw error
    } finally {
      await runner.release()
    }
  },
  'an update by a builder that returns': async (dataSource) => {
    const { raw, affected } = await dataSource
      .createQueryBuilder()
      .update(Order)
      .set({ status: 'sent' })
      .where('total > :total', { total: 60 })
      .returning(['number', 'total'])
      .execute()
    return [affected, [...raw].sort((one, other) => one.number - other.number)]
  },
  'a delete by a builder with a subquery': async (dataSource) => {
    const { affected } = await dataSource
      .createQueryBuilder()
      .delete()
      .from(Address)
      .where('NOT EXISTS (SELECT FROM purchase o WHERE o."shipToId" = address.id)')
      .execute()
    return affected
  },
  'an insert by a builder that keeps what is there': async (dataSource) => {
    await dataSource
      .createQueryBuilder()
      .insert()
      .into(Tenant)
      .values([
        { id: 1, name: 'again', country: { code: 'CH' } },
        { id: 7, name: 'seven', country: { code: 'CH' } },
      ])
      .orIgnore()
      .execute()
    return dataSource.getRepository(Tenant).find({ order: { id: 'ASC' } })
  },
  'totals from lines, by UPDATE … FROM': (dataSource) =>
    dataSource.query(
      `UPDATE purchase o SET total = s.value FROM (SELECT "tenantId", "orderNumber", sum(quantity * price) AS value FROM line GROUP BY 1, 2) s
       WHERE s."tenantId" = o."tenantId" AND s."orderNumber" = o.number AND o.number % 4 = 0`,
    ),
  'orders of a country deleted, by DELETE … USING': (dataSource) =>
    dataSource.query(
      `DELETE FROM payment p USING purchase o, address a WHERE o."tenantId" = p."tenantId" AND o.number = p."orderNumber" AND a.id = o."shipToId" AND a."countryCode" = 'FR'`,
    ),
  'orders entered in the log, by INSERT … SELECT': (dataSource) =>
    dataSource.query(
      `INSERT INTO audit_entry (at, what, "tenantId") SELECT "placedAt", 'again ' || number, "tenantId" FROM purchase WHERE total > 70`,
    ),
  'stock from lines of other shards, by UPDATE … FROM': (dataSource) =>
    dataSource.query(
      `UPDATE product p SET stock = p.stock - s.sold FROM (SELECT "productId", sum(quantity)::int AS sold FROM line GROUP BY 1) s WHERE s."productId" = p.id`,
    ),
  'reviews of those who never ordered, by DELETE': (dataSource) =>
    dataSource.query(
      `DELETE FROM review r WHERE NOT EXISTS (SELECT FROM purchase o WHERE o."userId" = r."authorId" AND o.total > 50)`,
    ),
  'orders moved to the log, by a WITH that writes': (dataSource) =>
    dataSource.query(
      `WITH gone AS (DELETE FROM purchase WHERE status = 'open' AND total < 30 RETURNING "tenantId", number, "placedAt")
       INSERT INTO audit_entry (at, what, "tenantId") SELECT "placedAt", 'gone ' || number, "tenantId" FROM gone`,
    ),
  'a WITH that writes and is read, in one tenant': async (dataSource) => {
    const rows: readonly { number: number }[] = await dataSource.query(
      `WITH sent AS (UPDATE purchase SET status = 'sent' WHERE "tenantId" = 2 RETURNING number) SELECT number FROM sent ORDER BY number`,
    )
    return rows.map(({ number }) => number)
  },
  'a country by the rate of another, by SQL': (dataSource) =>
    dataSource.query(`UPDATE country SET vat = vat + 1 WHERE code IN (SELECT "countryCode" FROM tenant)`),
  'all reviews cleared': async (dataSource) => {
    await dataSource.getRepository(Review).clear()
    return dataSource.getRepository(Review).count()
  },
}
