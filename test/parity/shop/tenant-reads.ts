import { Between, ILike, In, IsNull, LessThan, MoreThanOrEqual, Not, Raw } from 'typeorm'
import { Address, Profile, Tenant, User } from './people'
import { CardPayment, Line, Order, Payment } from './sales'
import { byId, byNumber, of, type ShopScript, sql, user } from './script'
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
