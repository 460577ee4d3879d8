import { And, Any, Brackets, ILike, In, IsNull, LessThan, MoreThan, Not, Or } from 'typeorm'
import { Product, Review, type Tag } from './catalog'
import { Tenant, User } from './people'
import { AuditEntry, Line, Order, Setting, Wish } from './sales'
import { byId, of, type ShopScript, sql, user } from './script'
import { idOf } from './seed'
/** What lies on shards of other keys, and questions over all of them. */
export const apartReads: Readonly<Record<string, ShopScript>> = {
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
  'what users follow, and who else does': of(User, (all) =>
    all.find({
      where: { tenantId: 2 },
      relations: { followed: { followers: true } },
      order: { id: 'ASC', followed: { id: 'DESC', followers: { id: 'ASC' } } },
    }),
  ),
  'users by what they follow': of(User, (all) =>
    all.find({ where: { followed: { category: { name: 'books' } } }, order: byId }),
  ),
  'products with followers, a page': of(Product, (all) =>
    all.findAndCount({
      relations: { followers: true },
      order: { id: 'DESC', followers: { id: 'ASC' } },
      skip: 3,
      take: 4,
    }),
  ),
  'how many follow a product, by a builder': (dataSource) =>
    dataSource
      .getRepository(Product)
      .createQueryBuilder('p')
      .leftJoin('p.followers', 'u')
      .select('p.id', 'id')
      .addSelect('count(u.id)::int', 'followers')
      .groupBy('p.id')
      .orderBy('p.id')
      .getRawMany(),
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
  'lines of a product that was put away': of(Line, async (all) => [
    await all.find({
      where: { product: { id: 11 } },
      relations: { product: true },
      order: { tenantId: 'ASC', orderNumber: 'ASC', place: 'ASC' },
    }),
  ]),
  'the same with what was put away': of(Line, (all) =>
    all.find({
      where: { product: { id: 11 } },
      relations: { product: true },
      withDeleted: true,
      order: { tenantId: 'ASC', orderNumber: 'ASC', place: 'ASC' },
    }),
  ),
  'lines without a product that is for sale': of(Line, (all) => all.countBy({ product: { deletedAt: Not(IsNull()) } })),
  'conditions of many kinds, over relations': of(Review, (all) =>
    all.find({
      where: [
        {
          author: { tenant: { country: { code: Any(['DE']) } }, contact: { mayCall: true } },
          rating: Or(LessThan(2), MoreThan(4)),
        },
        { product: { price: And(MoreThan('20'), LessThan('30')) } },
      ],
      order: { rating: 'DESC', id: 'ASC' },
    }),
  ),
  'a page by the order of a relation between shards': of(Line, (all) =>
    all.findAndCount({
      relations: { product: true, order: { user: true } },
      order: { product: { name: 'ASC' }, tenantId: 'ASC', orderNumber: 'ASC', place: 'ASC' },
      skip: 5,
      take: 6,
    }),
  ),
  'few columns over relations, by queries': of(Order, (all) =>
    all.find({
      where: { tenantId: 1 },
      select: {
        tenantId: true,
        number: true,
        lines: { tenantId: true, orderNumber: true, place: true, product: { id: true, name: true } },
      },
      relations: { lines: { product: true } },
      relationLoadStrategy: 'query',
      order: { number: 'ASC', lines: { place: 'ASC' } },
    }),
  ),
  'a builder with brackets and a join by hand': (dataSource) =>
    dataSource
      .getRepository(Order)
      .createQueryBuilder('o')
      .innerJoin(Line, 'l', 'l.tenantId = o.tenantId AND l.orderNumber = o.number')
      .innerJoin(Product, 'p', 'p.id = l.productId')
      .leftJoinAndMapMany('o.reviews', Review, 'r', 'r.productId = p.id AND r.authorId = o.userId')
      .where(
        new Brackets((either) => either.where('p.price < :low', { low: 10 }).orWhere('p.stock > :much', { much: 5 })),
      )
      .orderBy('o.number')
      .addOrderBy('r.id')
      .getMany(),
  'a builder over a WITH': (dataSource) =>
    dataSource
      .createQueryBuilder()
      .addCommonTableExpression('SELECT "productId" AS id, sum(quantity) AS sold FROM line GROUP BY 1', 'sales')
      .select('p.name', 'name')
      .addSelect('s.sold', 'sold')
      .from(Product, 'p')
      .leftJoin('sales', 's', 's.id = p.id')
      .orderBy('s.sold', 'DESC', 'NULLS LAST')
      .addOrderBy('p.id')
      .getRawMany(),
  'a builder that counts and asks whether there is one': async (dataSource) => {
    const builder = dataSource
      .getRepository(Line)
      .createQueryBuilder('l')
      .innerJoin('l.product', 'p')
      .where('p.stock = 0')
    return [await builder.getCount(), await builder.getExists()]
  },
  'ids of relations between shards, by a builder': (dataSource) =>
    dataSource
      .getRepository(Review)
      .createQueryBuilder('r')
      .loadAllRelationIds()
      .where('r.rating = 5')
      .orderBy('r.id')
      .getMany(),
  'what was bought by whom, in one tree': of(Tenant, (all) =>
    all.find({
      relations: { users: { wishes: { product: { tags: true } }, reviews: true } },
      order: {
        id: 'ASC',
        users: { id: 'ASC', wishes: { rank: 'ASC', product: { tags: { id: 'ASC' } } }, reviews: { id: 'ASC' } },
      },
    }),
  ),
  'streams of lines': async (dataSource) => {
    const stream = await dataSource
      .getRepository(Line)
      .createQueryBuilder('l')
      .orderBy('l.tenantId')
      .addOrderBy('l.orderNumber')
      .addOrderBy('l.place')
      .stream()
    const rows: unknown[] = []
    for await (const row of stream) rows.push(row)
    return rows
  },
  'a product that is missing': (dataSource) =>
    dataSource
      .getRepository(Product)
      .findOneBy({ id: 999 })
      .then((found) => [found]),
  'a rank of users over all tenants': sql(
    `SELECT u.id, rank() OVER (ORDER BY sum(o.total) DESC) AS rank, sum(o.total) / sum(sum(o.total)) OVER (PARTITION BY t."countryCode") AS share
     FROM app_user u JOIN tenant t ON t.id = u."tenantId" JOIN purchase o ON o."userId" = u.id GROUP BY u.id, t."countryCode" ORDER BY 2, 1`,
  ),
  'sums by rollup, and by filters': sql(
    `SELECT t."countryCode", o.status, count(*) FILTER (WHERE o.total > 50) AS dear, sum(o.total) FROM purchase o JOIN tenant t ON t.id = o."tenantId"
     GROUP BY ROLLUP (t."countryCode", o.status) ORDER BY 1 NULLS FIRST, 2 NULLS FIRST`,
  ),
  'chains of who brought whom, by a recursive query': sql(
    `WITH RECURSIVE chain AS (SELECT id, 1 AS depth FROM tenant WHERE "broughtById" IS NULL UNION ALL SELECT t.id, c.depth + 1 FROM tenant t JOIN chain c ON c.id = t."broughtById") SELECT * FROM chain ORDER BY depth, id`,
  ),
  'pairs that bought the same products': sql(
    `SELECT a."tenantId" AS one, b."tenantId" AS other, count(DISTINCT a."productId")::int AS n FROM line a JOIN line b ON a."productId" = b."productId" AND a."tenantId" < b."tenantId" GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2`,
  ),
  'users who reviewed all that they wish': sql(
    `SELECT u.id FROM app_user u WHERE EXISTS (SELECT FROM wish w WHERE w."userId" = u.id)
     AND NOT EXISTS (SELECT FROM wish w WHERE w."userId" = u.id AND NOT EXISTS (SELECT FROM review r WHERE r."authorId" = u.id AND r."productId" = w."productId")) UNION ALL SELECT id FROM app_user WHERE id = ANY(ARRAY(SELECT "authorId" FROM review WHERE rating = 5)) ORDER BY 1`,
  ),
  'entities by their name only': async (dataSource) =>
    dataSource.getRepository<Tag>('Tag').find({ where: { word: In(['new', 'sale']) }, order: byId }),
}
