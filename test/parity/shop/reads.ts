import {
  Between,
  type DataSource,
  ILike,
  In,
  IsNull,
  LessThan,
  MoreThan,
  MoreThanOrEqual,
  Not,
  type ObjectLiteral,
  Raw,
  type Repository,
} from 'typeorm'
import { Category, Country, Product, Review, Tag } from './catalog'
import { Address, Profile, Tenant, User } from './people'
import { AuditEntry, CardPayment, Line, Order, Payment, Setting, Wish } from './sales'
import { idOf } from './seed'

/** What an application asks, and what it is given. */
export type ShopScript = (dataSource: DataSource) => Promise<unknown>

const of =
  <Entity extends ObjectLiteral>(
    target: new () => Entity,
    ask: (repository: Repository<Entity>) => Promise<unknown>,
  ): ShopScript =>
  (dataSource) =>
    ask(dataSource.getRepository(target))

const sql =
  (text: string, parameters?: unknown[]): ShopScript =>
  (dataSource) =>
    dataSource.query(text, parameters)

const byNumber = { number: 'ASC' } as const
const byId = { id: 'ASC' } as const
const user = (number: number) => ({ id: idOf('user', number) })

/** Inside a tenant, and of all tenants. */
export const tenantReads: Readonly<Record<string, ShopScript>> = {
  'tenants by whom they came and whom they brought, lazily': of(Tenant, async (all) => {
    const found = await all.find({ order: byId })
    return Promise.all(
      found.map(async ({ id, broughtBy, brought }) => [
        id,
        (await broughtBy)?.id,
        (await brought).map((one) => one.id).sort(),
      ]),
    )
  }),
  'tenants by the name of whom they came by': of(Tenant, (all) =>
    all.find({ where: { broughtBy: { name: In(['tenant 1', 'tenant 2']) } }, order: byId }),
  ),
  'a tenant with its country, eagerly': of(Tenant, (all) => all.findOneByOrFail({ id: 3 })),
  'tenants with users, profiles and addresses': of(Tenant, (all) =>
    all.find({
      relations: { users: { profile: true, addresses: { country: true } } },
      order: { id: 'DESC', users: { id: 'ASC', addresses: { id: 'DESC' } } },
    }),
  ),
  'the same by queries': of(Tenant, (all) =>
    all.find({ relations: { users: { profile: true, referrer: true } }, order: byId, relationLoadStrategy: 'query' }),
  ),
  'users of a tenant by a condition on an embedded': of(User, (all) =>
    all.find({ where: { tenantId: 2, contact: { mayCall: true } }, order: byId }),
  ),
  'users by a condition on another relation, over all': of(User, (all) =>
    all.find({ where: { profile: { bio: ILike('BIO 1%') } }, relations: { profile: true }, order: byId }),
  ),
  'users without a phone, whose referrer is somebody': of(User, (all) =>
    all.find({
      where: { contact: { phone: IsNull() }, referrer: { name: Not(IsNull()) } },
      order: { name: 'ASC', id: 'ASC' },
    }),
  ),
  'users by the key of a relation': of(User, (all) => all.find({ where: { referrer: user(5) }, order: byId })),
  'addresses by the country': of(Address, (all) =>
    all.find({ where: { country: { name: 'France' } }, relations: { country: true, user: true }, order: byId }),
  ),
  'addresses by the key of the country': of(Address, (all) => all.countBy({ country: { code: 'CH' } })),
  'profiles with their users, paged': of(Profile, (all) =>
    all.findAndCount({ relations: { user: { tenant: true } }, order: { bio: 'DESC' }, skip: 3, take: 5 }),
  ),
  'orders of a tenant with all that is below': of(Order, (all) =>
    all.find({
      where: { tenantId: 4 },
      relations: { lines: true, payments: true, shipTo: true, user: true },
      order: { number: 'ASC', lines: { place: 'ASC' } },
    }),
  ),
  'orders of all tenants, paged, with lines': of(Order, (all) =>
    all.findAndCount({
      relations: { lines: true },
      order: { total: 'DESC', number: 'ASC', lines: { place: 'DESC' } },
      skip: 4,
      take: 7,
    }),
  ),
  'orders ordered by the user': of(Order, (all) =>
    all.find({ relations: { user: true }, order: { user: { name: 'ASC' }, number: 'ASC' }, take: 10 }),
  ),
  'orders ordered by the country they go to': of(Order, (all) =>
    all.find({
      relations: { shipTo: { country: true } },
      order: { shipTo: { country: { name: 'ASC' } }, number: 'ASC' },
    }),
  ),
  'orders with a large line': of(Order, (all) =>
    all.find({ where: { lines: { quantity: MoreThanOrEqual(4) } }, order: byNumber }),
  ),
  'the first order of a status': of(Order, (all) =>
    all.findOne({
      where: { status: 'sent', placedAt: LessThan(new Date('2026-04-01')) },
      order: { placedAt: 'ASC', number: 'ASC' },
    }),
  ),
  'columns of orders': of(Order, (all) =>
    all.find({
      select: { tenantId: true, number: true, total: true, user: { id: true, name: true } },
      relations: { user: true },
      order: byNumber,
      take: 3,
    }),
  ),
  'order by one branch or another': of(Order, (all) =>
    all.find({
      where: [{ tenantId: 1, status: 'paid' }, { total: Between(20, 30) }, { number: In([1, 2, 3]) }],
      order: byNumber,
    }),
  ),
  'orders by raw condition': of(Order, (all) =>
    all.find({ where: { number: Raw((column) => `${column} % 10 = 0`) }, order: byNumber }),
  ),
  'counts, sums and extremes': of(Order, async (all) => [
    await all.count(),
    await all.countBy({ status: 'open' }),
    await all.sum('total', { tenantId: In([1, 2]) }),
    await all.average('total'),
    await all.minimum('placedAt' as never),
    await all.maximum('number', { status: 'paid' }),
    await all.existsBy({ number: 1000 }),
  ]),
  'the lazy orders of a user': of(User, async (all) => {
    const found = await all.findOneByOrFail(user(6))
    const list = await found.orders
    return list.map(({ number }) => number).sort()
  }),
  'lines with their orders': of(Line, (all) =>
    all.find({
      where: { order: { status: 'open' } },
      relations: { order: true },
      order: { tenantId: 'ASC', orderNumber: 'ASC', place: 'ASC' },
    }),
  ),
  'payments of all kinds': of(Payment, (all) => all.find({ order: byId })),
  'payments of one kind with orders': of(CardPayment, (all) =>
    all.find({ relations: { order: { user: true } }, order: byId, take: 6 }),
  ),
  'a builder with joins, groups and having': (dataSource) =>
    dataSource
      .getRepository(Order)
      .createQueryBuilder('o')
      .innerJoin('o.lines', 'l')
      .select('o.tenantId', 'tenant')
      .addSelect('sum(l.quantity * l.price)', 'value')
      .addSelect('count(DISTINCT o.number)', 'orders')
      .groupBy('o.tenantId')
      .having('count(*) > :few', { few: 3 })
      .orderBy('o.tenantId')
      .getRawMany(),
  'a builder that maps and pages': (dataSource) =>
    dataSource
      .getRepository(User)
      .createQueryBuilder('u')
      .leftJoinAndSelect('u.addresses', 'a')
      .leftJoinAndSelect('a.country', 'c')
      .leftJoinAndMapOne('u.shop', Tenant, 't', 't.id = u.tenantId')
      .loadAllRelationIds({ relations: ['referrer'] })
      .orderBy('u.name')
      .addOrderBy('u.id')
      .addOrderBy('a.id')
      .skip(2)
      .take(6)
      .getManyAndCount(),
  'a builder with a subquery': (dataSource) =>
    dataSource
      .getRepository(Order)
      .createQueryBuilder('o')
      .where((builder) => {
        const inner = builder
          .subQuery()
          .select('1')
          .from(Payment, 'p')
          .where('p.tenantId = o.tenantId')
          .andWhere('p.orderNumber = o.number')
          .getQuery()
        return `NOT EXISTS ${inner}`
      })
      .orderBy('o.number')
      .getMany(),
  'users that have never ordered much, by a correlated subquery': sql(
    `SELECT u.name, (SELECT sum(o.total) FROM purchase o WHERE o."userId" = u.id) AS spent FROM app_user u ORDER BY spent DESC, u.id`,
  ),
  'the best order of each tenant, by a window': sql(
    `SELECT "tenantId", number, total FROM (SELECT o.*, row_number() OVER (PARTITION BY "tenantId" ORDER BY total DESC, number) AS place FROM purchase o) r WHERE place = 1 ORDER BY 1`,
  ),
  'turnover a country, of all tenants': sql(
    `SELECT c.name, count(*)::int AS orders, sum(o.total) AS total FROM purchase o JOIN address a ON a.id = o."shipToId" JOIN country c ON c.code = a."countryCode" GROUP BY c.name ORDER BY c.name`,
  ),
  'tenants and addresses of one country': sql(
    `SELECT t.id, count(*)::int AS n FROM tenant t JOIN address a ON a."countryCode" = t."countryCode" GROUP BY t.id ORDER BY t.id`,
  ),
  'countries without a customer': sql(
    `SELECT c.code FROM country c WHERE NOT EXISTS (SELECT FROM tenant t WHERE t."countryCode" = c.code) ORDER BY 1`,
  ),
  'countries and their tenants, those without any too': sql(
    `SELECT c.code, count(t.id)::int AS tenants FROM country c LEFT JOIN tenant t ON t."countryCode" = c.code GROUP BY c.code ORDER BY c.code`,
  ),
  'raw SQL of one tenant': sql(
    `SELECT o.number, l.place FROM purchase o JOIN line l ON l."tenantId" = o."tenantId" AND l."orderNumber" = o.number WHERE o."tenantId" = $1 ORDER BY 1, 2`,
    [3],
  ),
}

/** The catalogue, its trees, and what lies on shards of other keys. */
export const catalogReads: Readonly<Record<string, ShopScript>> = {
  'products with category and tags': of(Product, (all) =>
    all.find({ relations: { tags: true }, order: { name: 'ASC', tags: { id: 'ASC' } } }),
  ),
  'products by tag': of(Product, (all) => all.find({ where: { tags: { word: 'sale' } }, order: byId })),
  'products of a category, by its name': of(Product, (all) =>
    all.find({ where: { category: { name: In(['knives', 'books']) } }, order: byId }),
  ),
  'products by a fact': of(Product, (all) =>
    all.find({ where: { facts: Raw((column) => `${column} @> '{"colour":"red"}'`) }, order: byId }),
  ),
  'products that have a tag in common': sql(
    `SELECT a."productId" AS one, b."productId" AS other, count(*)::int AS n FROM product_tags_tag a JOIN product_tags_tag b ON a."tagId" = b."tagId" AND a."productId" < b."productId" GROUP BY 1, 2 ORDER BY 1, 2`,
  ),
  'products with reviews by queries': of(Product, (all) =>
    all.find({
      relations: { reviews: true },
      order: { id: 'ASC', reviews: { id: 'ASC' } },
      relationLoadStrategy: 'query',
    }),
  ),
  'the tree of categories': (dataSource) => dataSource.getTreeRepository(Category).findTrees(),
  'what is below a category': (dataSource) =>
    dataSource.getTreeRepository(Category).findDescendants(Object.assign(new Category(), { id: 2 })),
  'what is above a category': async (dataSource) => {
    const trees = dataSource.getTreeRepository(Category)
    return trees.findAncestorsTree(await trees.findOneByOrFail({ id: 3 }))
  },
  'roots of categories': (dataSource) => dataSource.getTreeRepository(Category).findRoots(),
  'a category with parent and children': of(Category, (all) =>
    all.find({ relations: { parent: true, children: true }, order: { id: 'ASC', children: { id: 'ASC' } } }),
  ),
  'tags and countries': async (dataSource) => [
    await dataSource.getRepository(Tag).find({ order: byId }),
    await dataSource.getRepository(Country).findBy({ vat: MoreThan('10') as never }),
  ],
  settings: of(Setting, (all) => all.find({ order: { name: 'ASC' } })),
  'the log of two months': of(AuditEntry, (all) =>
    all.find({
      where: { at: Between(new Date('2026-02-01'), new Date('2026-03-31')) },
      order: { at: 'DESC', id: 'ASC' },
    }),
  ),
  'the log by what happened': (dataSource) =>
    dataSource
      .getRepository(AuditEntry)
      .createQueryBuilder('e')
      .select('e.what', 'what')
      .addSelect('count(*)', 'n')
      .groupBy('e.what')
      .orderBy('n', 'DESC')
      .addOrderBy('what')
      .getRawMany(),
  'reviews by the key of their author': of(Review, (all) => all.find({ where: { author: user(4) }, order: byId })),
  'mean rating of a product': (dataSource) =>
    dataSource
      .getRepository(Product)
      .createQueryBuilder('p')
      .leftJoin('p.reviews', 'r')
      .select('p.id', 'id')
      .addSelect('avg(r.rating)', 'rating')
      .groupBy('p.id')
      .orderBy('rating', 'DESC', 'NULLS LAST')
      .addOrderBy('p.id')
      .getRawMany(),
  'all that a category and below sells, by a recursive query': sql(
    `WITH RECURSIVE below AS (SELECT id FROM category WHERE id = 1 UNION ALL SELECT c.id FROM category c JOIN below b ON c."parentId" = b.id)
     SELECT p.id, p.name FROM product p WHERE p."categoryId" IN (SELECT id FROM below) ORDER BY p.id`,
  ),
  'reviews with product and author': of(Review, (all) =>
    all.find({ relations: { product: true, author: true }, order: byId }),
  ),
  'reviews with the tenant of the author, by queries': of(Review, (all) =>
    all.find({
      where: { rating: MoreThan(3) },
      relations: { author: { tenant: true } },
      order: byId,
      relationLoadStrategy: 'query',
    }),
  ),
  'a user with all reviews and their products': of(User, (all) =>
    all.findOne({ where: user(4), relations: { reviews: { product: true } }, order: { reviews: { id: 'ASC' } } }),
  ),
  'reviews by the name of the author': of(Review, (all) =>
    all.find({ where: { author: { name: ILike('user g%') } }, order: byId }),
  ),
  'reviews ordered by the name of the author': of(Review, (all) =>
    all.find({ relations: { author: true }, order: { author: { name: 'ASC' }, id: 'ASC' }, take: 8 }),
  ),
  'orders with the products of their lines': of(Order, (all) =>
    all.find({
      where: { tenantId: 2 },
      relations: { lines: { product: { category: true } } },
      order: { number: 'ASC', lines: { place: 'ASC' } },
    }),
  ),
  'orders of all tenants with products, paged': of(Order, (all) =>
    all.findAndCount({
      relations: { lines: { product: true } },
      order: { number: 'DESC', lines: { place: 'ASC' } },
      take: 5,
    }),
  ),
  'lines of products of a category': of(Line, (all) =>
    all.find({
      where: { product: { category: { name: 'garden' } } },
      order: { tenantId: 'ASC', orderNumber: 'ASC', place: 'ASC' },
    }),
  ),
  'a builder that joins lines with products': (dataSource) =>
    dataSource
      .getRepository(Line)
      .createQueryBuilder('l')
      .innerJoinAndSelect('l.product', 'p')
      .where('p.price > :price', { price: 20 })
      .orderBy('l.tenantId')
      .addOrderBy('l.orderNumber')
      .addOrderBy('l.place')
      .getMany(),
  'turnover a category, of all tenants': sql(
    `SELECT k.name, sum(l.quantity * l.price) AS value FROM line l JOIN product p ON p.id = l."productId" JOIN category k ON k.id = p."categoryId" GROUP BY k.name ORDER BY value DESC, k.name`,
  ),
  'products that nobody has ordered, and their reviews': sql(
    `SELECT p.id, count(r.id)::int AS reviews FROM product p LEFT JOIN review r ON r."productId" = p.id WHERE NOT EXISTS (SELECT FROM line l WHERE l."productId" = p.id AND l.quantity > 3) GROUP BY p.id ORDER BY p.id`,
  ),
  'people of orders or of reviews': sql(
    `SELECT "userId" AS id FROM purchase WHERE total > 80 UNION SELECT "authorId" FROM review WHERE rating = 5 ORDER BY 1`,
  ),
  'people of orders who have not reviewed': sql(
    `SELECT u.id FROM app_user u JOIN purchase o ON o."userId" = u.id EXCEPT SELECT "authorId" FROM review WHERE rating > 2 ORDER BY 1`,
  ),
  'tenants by the settings of the shop': sql(
    `SELECT t.id, s.value FROM tenant t LEFT JOIN setting s ON s."tenantId" = t.id ORDER BY t.id`,
  ),
  'the log with the names of tenants': sql(
    `SELECT e.what, t.name, count(*)::int AS n FROM audit_entry e LEFT JOIN tenant t ON t.id = e."tenantId" GROUP BY 1, 2 ORDER BY 1, 2 NULLS FIRST`,
  ),
  'three reviews each of dear products': sql(
    `SELECT p.id, r.text FROM product p CROSS JOIN LATERAL (SELECT * FROM review r WHERE r."productId" = p.id ORDER BY r.rating DESC, r.id LIMIT 3) r WHERE p.price > 10 ORDER BY p.id, r.rating DESC, r.id`,
  ),
  'the last order of each reviewer': sql(
    `SELECT r.id, (SELECT max(o."placedAt") FROM purchase o WHERE o."userId" = r."authorId") AS last FROM review r ORDER BY r.id`,
  ),
  'wishes with products, eagerly': of(Wish, (all) =>
    all.find({ where: { tenantId: 2 }, order: { userId: 'ASC', productId: 'ASC' } }),
  ),
  'users with what they wish': of(User, (all) =>
    all.find({ relations: { wishes: true }, order: { id: 'ASC', wishes: { rank: 'DESC' } }, take: 6 }),
  ),
  'who wishes a product, lazily': of(Product, async (all) => {
    const product = await all.findOneByOrFail({ id: 8 })
    const wishes = await product.wishes
    return wishes.map(({ userId, rank }) => `${userId} ${rank}`).sort()
  }),
  'users by the price of what they wish': of(User, (all) =>
    all.find({ where: { wishes: { product: { price: MoreThan('30') } } }, order: byId }),
  ),
  'the tenant of an entry, lazily': of(AuditEntry, async (all) => {
    const [entry] = await all.find({
      where: { at: MoreThan(new Date('2026-03-01')), tenantId: 2 },
      order: { at: 'ASC', id: 'ASC' },
    })
    return entry?.tenant
  }),
  'settings with their tenants': of(Setting, (all) =>
    all.find({ relations: { tenant: { users: true } }, order: { name: 'ASC', tenant: { users: { id: 'ASC' } } } }),
  ),
  'settings by the tenant': of(Setting, (all) => all.find({ where: { tenant: { name: ILike('tenant%') } } })),
  'the ids of relations': (dataSource) =>
    dataSource.getRepository(Review).find({ where: { productId: 6 }, loadRelationIds: true, order: byId }),
  'reviews that join their authors, by a builder': (dataSource) =>
    dataSource
      .getRepository(Review)
      .createQueryBuilder('r')
      .innerJoinAndSelect('r.author', 'u')
      .leftJoinAndSelect('u.profile', 'f')
      .where('r.rating >= :rating', { rating: 3 })
      .orderBy('u.name', 'DESC')
      .addOrderBy('r.id')
      .skip(1)
      .take(5)
      .getManyAndCount(),
  'authors by their mean rating, by a builder': (dataSource) =>
    dataSource
      .getRepository(User)
      .createQueryBuilder('u')
      .innerJoin('u.reviews', 'r')
      .select('u.name', 'name')
      .addSelect('avg(r.rating)', 'rating')
      .groupBy('u.id')
      .orderBy('rating', 'DESC')
      .addOrderBy('u.id')
      .getRawMany(),
  'a review and its author with few columns': of(Review, (all) =>
    all.findOne({
      where: { id: idOf('review', 7) },
      relations: { author: true },
      select: { id: true, author: { id: true, name: true } },
    }),
  ),
  'reviews of deleted products': of(Review, (all) =>
    all.count({ where: { product: { name: ILike('%') } }, withDeleted: true }),
  ),
}
