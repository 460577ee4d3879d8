import { type DataSource, type FindManyOptions, In, IsNull, MoreThan, Not } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource, ShardedError } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'
import { Country, Currency, Customer, Office, referenceEntities, Sale, seedReferences } from './reference-world'

describe('reads of reference tables', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      entities: referenceEntities,
      groups: ['customer'],
      seed: seedReferences,
      inAll: true,
    })
  })
  afterAll(() => targets?.close())

  /** Plain TypeORM's answer is every sharding's. @returns what that is */
  async function alike<T>(ask: (dataSource: DataSource) => Promise<T>): Promise<T> {
    const expected = await ask(targets.plain)
    for (const { name, dataSource } of targets.sharded) expect(await ask(dataSource), name).toEqual(expected)
    return expected
  }
  const finds = <Entity extends object>(entity: new () => Entity, options: FindManyOptions<Entity>) =>
    alike((dataSource) => dataSource.getRepository(entity).find(options))

  it('are joined by finds on one shard and on all, nested, in both strategies', async () => {
    for (const relationLoadStrategy of ['join', 'query'] as const) {
      const relations = { country: { currency: true }, labels: true, sales: true } as const
      const found = await finds(Customer, {
        relations,
        order: { id: 'ASC', sales: { id: 'ASC' } },
        relationLoadStrategy,
      })
      expect(found).toHaveLength(24)
      expect(found[0]?.country?.currency?.lowered).toBe('eur')
      await finds(Customer, { where: { id: 3 }, relations, relationLoadStrategy })
    }
    await finds(Sale, { order: { total: 'DESC', id: 'ASC' }, take: 7, skip: 5 })
    await finds(Sale, { relations: { customer: { country: true } }, order: { id: 'ASC' }, take: 4 })
  })

  it('are conditions and orders of finds, counts, pages and streams', async () => {
    const people = { country: { people: MoreThan(70) } }
    expect((await finds(Customer, { where: people, order: { id: 'ASC' } })).length).toBeGreaterThan(3)
    await finds(Customer, { where: { country: { code: 'FR' } }, order: { id: 'ASC' } })
    await finds(Customer, { where: { country: { code: IsNull() } }, order: { id: 'ASC' } })
    await finds(Customer, { where: { labels: { text: In(['label 1', 'label 3']) } }, order: { id: 'ASC' } })
    await finds(Customer, {
      where: [people, { country: { currency: { code: 'EUR' } } }],
      relations: { country: true },
      order: { country: { name: 'DESC' }, id: 'ASC' },
      take: 6,
      skip: 2,
    })
    await alike((dataSource) =>
      dataSource.getRepository(Customer).findAndCount({ where: people, order: { id: 'DESC' }, take: 3 }),
    )
    await alike((dataSource) => dataSource.getRepository(Customer).countBy(people))
    await alike((dataSource) => dataSource.getRepository(Sale).existsBy({ currency: { kind: 'soft' } }))
  })

  it('are roots of finds, also with relations to shards and to the home node', async () => {
    await finds(Country, { relations: { currency: true, part: true, offices: true }, order: { code: 'ASC' } })
    const found = await finds(Country, {
      relations: { customers: true },
      order: { code: 'ASC', customers: { id: 'ASC' } },
    })
    expect(found.find(({ code }) => code === 'AQ')?.customers).toEqual([])
    await finds(Office, { relations: { country: { currency: true } }, order: { id: 'ASC' } })
    await finds(Country, { where: { people: Not(0) }, order: { people: 'DESC' }, take: 2 })
  })

  it('are joined by SQL: sides that stay without a partner stay once', async () => {
    const texts = [
      `SELECT c.id, l.name FROM customer c JOIN country l ON l.code = c."countryCode" ORDER BY c.id`,
      `SELECT c.id, l.name FROM customer c LEFT JOIN country l ON l.code = c."countryCode" AND l.people > 70 ORDER BY c.id`,
      `SELECT l.code, c.id FROM country l LEFT JOIN customer c ON c."countryCode" = l.code ORDER BY l.code, c.id`,
      `SELECT l.code, c.id FROM customer c RIGHT JOIN country l ON c."countryCode" = l.code AND c.id < 5 ORDER BY l.code, c.id`,
      `SELECT l.code, c.id FROM customer c FULL JOIN country l ON c."countryCode" = l.code ORDER BY l.code, c.id`,
      `SELECT l.code, count(*)::int AS n, sum(s.total)::int AS total FROM country l, customer c, sale s
       WHERE l.code = c."countryCode" AND s."customerId" = c.id GROUP BY l.code ORDER BY l.code`,
      `SELECT u.code, count(s.id)::int AS n FROM currency u LEFT JOIN sale s ON s."currencyId" = u.id GROUP BY u.code ORDER BY u.code`,
      `SELECT l.code FROM country l WHERE EXISTS (SELECT FROM customer c WHERE c."countryCode" = l.code) ORDER BY l.code`,
      `SELECT l.code FROM country l WHERE NOT EXISTS (SELECT FROM customer c WHERE c."countryCode" = l.code AND c.id > 20) ORDER BY l.code`,
      `SELECT l.code, (SELECT count(*)::int FROM customer c WHERE c."countryCode" = l.code) AS n FROM country l ORDER BY l.code`,
      `SELECT l.code, (SELECT max(c.id) FROM customer c) AS n FROM country l ORDER BY l.code`,
      `SELECT l.code FROM country l WHERE l.code IN (SELECT c."countryCode" FROM customer c) ORDER BY l.code`,
      `SELECT c.id FROM customer c WHERE c."countryCode" IN (SELECT code FROM country WHERE people > 70) ORDER BY c.id`,
      `SELECT c.id FROM customer c WHERE EXISTS (SELECT FROM country l WHERE l.code = c."countryCode" AND l.people < c.id * 10) ORDER BY c.id`,
      `SELECT c.id, (SELECT l.name FROM country l WHERE l.code = c."countryCode") AS name FROM customer c ORDER BY c.id`,
      `SELECT c.id, (SELECT count(*)::int FROM country) AS n FROM customer c ORDER BY c.id`,
      `SELECT code FROM country UNION SELECT "countryCode" FROM customer ORDER BY 1`,
      `SELECT code FROM country UNION ALL SELECT name FROM customer ORDER BY 1`,
      `SELECT code FROM country EXCEPT SELECT "countryCode" FROM customer ORDER BY 1`,
      `WITH big AS (SELECT code FROM country WHERE people > 70) SELECT c.id, b.code FROM customer c JOIN big b ON b.code = c."countryCode" ORDER BY c.id`,
      `WITH big AS (SELECT code FROM country WHERE people > 70) SELECT b.code, c.id FROM big b LEFT JOIN customer c ON b.code = c."countryCode" ORDER BY 1, 2`,
      `SELECT l.code, x.id FROM country l CROSS JOIN LATERAL (SELECT c.id FROM customer c WHERE c."countryCode" = l.code ORDER BY c.id LIMIT 2) x ORDER BY 1, 2`,
      `SELECT l.code, x.n FROM country l, (SELECT count(*)::int AS n FROM customer) x ORDER BY 1`,
      `SELECT c.id, x.n FROM customer c, (SELECT count(*)::int AS n FROM country) x ORDER BY 1`,
      `SELECT l.code, c.id, o.id AS office FROM country l JOIN customer c ON c."countryCode" = l.code JOIN office o ON o."countryCode" = l.code ORDER BY 2, 3`,
      `SELECT l.code, o.id FROM country l LEFT JOIN office o ON o."countryCode" = l.code ORDER BY 1, 2`,
      `SELECT l.*, c.id FROM country l JOIN customer c ON c."countryCode" = l.code WHERE c.id = 3`,
      `SELECT * FROM customer c JOIN country l ON l.code = c."countryCode" ORDER BY c.id LIMIT 4`,
      `SELECT u.kind, count(*)::int AS n FROM sale s JOIN currency u ON u.id = s."currencyId" GROUP BY u.kind ORDER BY u.kind`,
      `SELECT DISTINCT l.name FROM customer c JOIN country l ON l.code = c."countryCode" ORDER BY l.name DESC`,
      `SELECT c.id FROM customer c, country l ORDER BY c.id, l.code LIMIT 9`,
      `SELECT c.id, l.code FROM customer c JOIN country l ON l.code = c."countryCode" WHERE c.id = 2 FOR SHARE OF c`,
      `SELECT l.code FROM country l WHERE l.people > (SELECT avg(s.total) FROM sale s) ORDER BY 1`,
      `SELECT l.code FROM country l JOIN country p ON p.code = l."partCode" LEFT JOIN customer c ON c."countryCode" = p.code AND c.id < 9 ORDER BY 1`,
      `SELECT s.id, l.code, p.name FROM sale s JOIN customer c ON c.id = s."customerId" LEFT JOIN (country l LEFT JOIN country p ON p.code = l."partCode") ON l.code = c."countryCode" ORDER BY s.id`,
    ]
    const failed: string[] = []
    for (const text of texts) {
      const expected = await targets.plain.query(text)
      for (const { name, dataSource } of targets.sharded) {
        const found: unknown = await dataSource.query(text).catch((error: unknown) => error)
        // What is refused is no wrong answer; which those are is said below.
        if (found instanceof ShardedError) failed.push(`${name}: ${found.code}: ${text}`)
        else expect(found, `${name}: ${text}`).toEqual(expected)
      }
    }
    expect(failed).toEqual([])
  })

  it('cost a find no statement more, and no other node', async () => {
    for (const { dataSource } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource)) throw new Error('It is sharded.')
      const nodes: string[] = []
      const end = dataSource.onStatement(({ node }) => nodes.push(node))
      const sent = async (read: () => Promise<unknown>) => {
        nodes.length = 0
        await read()
        return [...nodes].sort()
      }
      const customers = dataSource.getRepository(Customer)
      const order = { id: 'ASC' } as const
      const where = { id: 3 }
      const one = await sent(() => customers.find({ where, relations: { sales: true } }))
      expect(one).toHaveLength(1)
      expect(await sent(() => customers.find({ where, relations: { country: { currency: true } } }))).toEqual(one)
      expect(await sent(() => customers.find({ relations: { country: true }, order }))).toEqual(
        await sent(() => customers.find({ relations: { sales: true }, order })),
      )
      const text = `SELECT c.id FROM customer c JOIN country l ON l.code = c."countryCode" ORDER BY c.id`
      await dataSource.query(text)
      expect(await sent(() => dataSource.query(text))).toEqual([...new Set(nodes)].sort())
      expect(await sent(() => dataSource.getRepository(Currency).find())).toEqual([dataSource.runtime.map.home])
      end()
    }
  })

  it('refuse a lock of one copy', async () => {
    const { dataSource } = targets.sharded.find(({ shards }) => shards === 3) ?? {}
    const text = `SELECT c.id FROM customer c JOIN country l ON l.code = c."countryCode" FOR UPDATE`
    await expect(dataSource?.query(text)).rejects.toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
  })
})
