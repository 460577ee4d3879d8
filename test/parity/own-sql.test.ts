import {
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  type EntityManager,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  Raw,
  VirtualColumn,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardedDataSource, ShardedError, ShardKey } from '../../src'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 1 }))
class Shop {
  @ShardKey() @PrimaryColumn('int') k!: number
  @Column('text') name!: string
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
class Sale {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @Column('int') qty!: number
  @DeleteDateColumn() gone!: Date | null
}

/** Its computed column counts rows of the shard, by the shard key. */
@Entity()
@Sharded({ colocatedWith: () => Shop })
class Near {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @Column('int', { default: 0 }) n!: number
  @VirtualColumn({ query: (alias) => `SELECT count(*)::int FROM "sale" WHERE "sale"."k" = ${alias}."k"` })
  own!: number
  @OneToMany(
    () => Far,
    (far) => far.near,
    { cascade: true },
  )
  fars!: Far[]
}

/** Its computed column counts rows of all shards. */
@Entity()
@Sharded({ colocatedWith: () => Shop })
class Far {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @Column('int') nearId!: number
  @Column('int', { default: 0 }) n!: number
  @VirtualColumn({ query: () => 'SELECT count(*)::int FROM sale' }) total!: number
  @ManyToOne(
    () => Near,
    (near) => near.fars,
  )
  @JoinColumn({ name: 'nearId' })
  near!: Near
}

/** Its computed column reads an unsharded table. */
@Entity()
@Sharded({ colocatedWith: () => Shop })
class Tagged {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @Column('int', { default: 0 }) n!: number
  @VirtualColumn({ query: (alias) => `SELECT max(text) FROM tag WHERE tag.id = ${alias}.id` }) text!: string | null
}

@Entity()
class Tag {
  @PrimaryColumn('int') id!: number
  @Column('text') text!: string
  @Column('int', { default: 0 }) n!: number
}

/** On every node, with a computed column that counts rows of all shards. */
@Entity()
@ReferenceTable()
class Owner {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @VirtualColumn({ query: (alias) => `SELECT count(*)::int FROM sale WHERE sale.k = ${alias}.id` }) sales!: number
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
class Deal {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @ManyToOne(() => Owner, { cascade: true, eager: true }) owner!: Owner
}

const keys = [1, 2, 3, 5, 8, 13]

/** 24 sales, of which the greatest quantity is 23, in all 276. */
async function seed(dataSource: DataSource): Promise<void> {
  await dataSource.getRepository(Shop).insert(keys.map((k) => ({ k, name: `shop ${k}` })))
  await dataSource
    .getRepository(Sale)
    .insert(Array.from({ length: 24 }, (_, id) => ({ id, k: keys[id % keys.length] ?? 0, qty: id })))
  await dataSource.getRepository(Tag).insert([1, 2, 3].map((id) => ({ id, text: `tag ${id}`, n: id })))
  await dataSource
    .createQueryBuilder()
    .insert()
    .into(Near)
    .values(keys.slice(0, 3).map((k) => ({ id: k, k })))
    .execute()
  const fars = keys.slice(0, 3).map((k) => ({ id: k, k, nearId: k }))
  await dataSource.createQueryBuilder().insert().into(Far).values(fars).execute()
  await dataSource
    .createQueryBuilder()
    .insert()
    .into(Tagged)
    .values(keys.slice(0, 3).map((k) => ({ id: k, k })))
    .execute()
  if (!(dataSource instanceof ShardedDataSource)) return
  // Every node has unsharded tables of these names as well, with other rows: a name that reached them would give a wrong number.
  for (const { name } of dataSource.shards(Sale)) {
    const on = dataSource.shard(name)
    if ((await on.query(`SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'sale'`)).length > 0)
      continue
    await on.query(
      'CREATE TABLE public.trap AS SELECT 1000 + i AS id, 1 AS k, 5000 AS qty FROM generate_series(1, 7) i',
    )
    await on.query('ALTER TABLE public.trap ADD COLUMN gone timestamp')
    await on.query('ALTER TABLE public.trap RENAME TO sale')
  }
}

const world = { entities: [Shop, Sale, Near, Far, Tagged, Tag, Owner, Deal], groups: ['shop'], seed }

describe('SQL in the words of the application', () => {
  onTargets(world, (target) => {
    /** What work gives in a transaction that is undone. */
    const undone = async <T>(work: (manager: EntityManager) => Promise<T>): Promise<T> => {
      const runner = target.dataSource.createQueryRunner()
      await runner.startTransaction()
      try {
        return await work(runner.manager)
      } finally {
        await runner.rollbackTransaction()
        await runner.release()
      }
    }
    const quantities = async (manager: EntityManager): Promise<readonly number[]> =>
      (await manager.query<{ qty: number }[]>('SELECT qty FROM sale ORDER BY id')).map(({ qty }) => qty)
    const numbers = (from: number, to: number): readonly number[] =>
      Array.from({ length: to - from }, (_, index) => from + index)

    describe('in values', () => {
      it('is refused with a page that PostgreSQL refuses', async () => {
        const far = target.dataSource.getRepository(Far)
        for (const page of [{ take: -1 }, { skip: -1 }])
          await expect(far.find({ order: { id: 'ASC' }, ...page })).rejects.toMatchObject({
            driverError: { code: 'take' in page ? '2201W' : '2201X' },
          })
      })

      it('counts all rows in an update of all shards', async () => {
        const found = await undone(async (manager) => {
          const { affected } = await manager.update(
            Sale,
            { gone: Raw((c) => `${c} IS NULL`) },
            { qty: () => '(SELECT count(*) FROM "sale")' },
          )
          return [affected, await quantities(manager)]
        })
        expect(found).toEqual([24, Array(24).fill(24)])
      })

      it('reads before it writes: the sum is that of the rows as they were', async () => {
        const found = await undone(async (manager) => {
          await manager.updateAll(Sale, { qty: () => '(SELECT sum(qty) FROM sale)' })
          return quantities(manager)
        })
        expect(found).toEqual(Array(24).fill(276))
      })

      it('counts all rows in an update of one shard', async () => {
        const found = await undone(async (manager) => {
          await manager.update(Sale, { k: 3 }, { qty: () => '(SELECT count(*) + 100 FROM sale)' })
          return quantities(manager)
        })
        expect(found).toEqual(numbers(0, 24).map((id) => (id % 6 === 2 ? 124 : id)))
      })

      it('counts the rows of a key', async () => {
        const found = await undone(async (manager) => {
          await manager.updateAll(Sale, { qty: () => '(SELECT count(*) FROM near n WHERE n.k = sale.k)' })
          return quantities(manager)
        })
        expect(found).toEqual(numbers(0, 24).map((id) => (id % 6 < 3 ? 1 : 0)))
      })

      it('reads an unsharded table', async () => {
        const found = await undone(async (manager) => {
          await manager.update(Sale, { k: 5 }, { qty: () => '(SELECT sum(n) FROM tag)' })
          return quantities(manager)
        })
        expect(found).toEqual(numbers(0, 24).map((id) => (id % 6 === 3 ? 6 : id)))
      })

      it('counts all rows in an insert on several shards, as they were before it', async () => {
        const found = await undone(async (manager) => {
          const rows = [101, 102, 103].map((id, index) => ({
            id,
            k: keys[index] ?? 0,
            qty: () => '(SELECT count(*) FROM sale)',
          }))
          const { identifiers } = await manager.insert(Sale, rows)
          return [identifiers, (await quantities(manager)).slice(24)]
        })
        expect(found).toEqual([
          [{ id: 101 }, { id: 102 }, { id: 103 }],
          [24, 24, 24],
        ])
      })

      it('counts all rows in an insert on one shard, and in an upsert', async () => {
        const found = await undone(async (manager) => {
          await manager.insert(Sale, { id: 101, k: 8, qty: () => '(SELECT max(qty) FROM sale)' })
          const name = () => '(SELECT count(*)::text FROM sale)'
          await manager.upsert(
            Shop,
            [
              { k: 1, name },
              { k: 99, name },
            ] as never,
            ['k'],
          )
          return [
            (await quantities(manager))[24],
            await manager.find(Shop, { where: [{ k: 1 }, { k: 99 }], order: { k: 'ASC' } }),
          ]
        })
        expect(found).toEqual([
          23,
          [
            { k: 1, name: '25' },
            { k: 99, name: '25' },
          ],
        ])
      })

      it('refuses in a save what may lie elsewhere, and saves what lies on the shard', async () => {
        const saved = (sql: string) =>
          undone(async (manager) => {
            await manager.save(Sale, { id: 4, k: 8, qty: () => sql } as never)
            return (await quantities(manager))[4]
          })
        expect(await saved('(SELECT count(*) FROM sale s WHERE s.k = 8)')).toBe(4)
        const all = saved('(SELECT count(*) FROM sale)').catch((error: unknown) => (error as ShardedError).code)
        expect(await all).toBe(target.shards > 1 ? 'STATEMENT_UNSUPPORTED' : 24)
      })
    })

    describe('in criteria of writes', () => {
      const isGreatest = () => Raw((column) => `${column} = (SELECT max(qty) FROM "sale")`)

      it.each([
        ['delete', (manager: EntityManager) => manager.delete(Sale, { qty: isGreatest() })],
        ['softDelete', (manager: EntityManager) => manager.softDelete(Sale, { qty: isGreatest() })],
        ['update', (manager: EntityManager) => manager.update(Sale, { qty: isGreatest() }, { qty: 1 })],
        ['increment', (manager: EntityManager) => manager.increment(Sale, { qty: isGreatest() }, 'qty', 5)],
        ['delete of one shard', (manager: EntityManager) => manager.delete(Sale, { k: 13, qty: isGreatest() })],
      ])('finds the greatest of all: %s', async (_, write) => {
        const found = await undone(async (manager) => [
          (await write(manager)).affected,
          await manager.countBy(Sale, { qty: 23 }),
        ])
        expect(found).toEqual([1, 0])
      })

      it('restores by an average over all', async () => {
        const found = await undone(async (manager) => {
          await manager.softDelete(Sale, { k: 1 })
          return (await manager.restore(Sale, { qty: Raw((column) => `${column} < (SELECT avg(qty) FROM sale)`) }))
            .affected
        })
        expect(found).toBe(2)
      })
    })

    describe('in conditions of reads', () => {
      it('reads an unsharded table on shards of other nodes', async () => {
        const where = { qty: Raw((column) => `${column} IN (SELECT n FROM tag)`) }
        const found = await target.dataSource.getRepository(Sale).find({ where, order: { id: 'ASC' } })
        expect(found.map(({ id }) => id)).toEqual([1, 2, 3])
        for (const [k, count] of [
          [2, 1],
          [3, 1],
          [5, 1],
          [8, 0],
        ] as const)
          expect(await target.dataSource.getRepository(Sale).countBy({ ...where, k })).toBe(count)
      })

      it('takes EXTRACT and DISTINCT FROM for what they are', async () => {
        const where = { qty: Raw((column) => `${column} IS DISTINCT FROM extract(year FROM date '2020-01-01')`) }
        expect(await target.dataSource.getRepository(Sale).countBy(where)).toBe(24)
      })
    })

    describe('in computed columns', () => {
      const nears = keys.slice(0, 3).map((k) => ({ id: k, k, n: 0, own: 4 }))
      const fars = keys.slice(0, 3).map((k) => ({ id: k, k, nearId: k, n: 0, total: 24 }))

      it('finds them, alone and as relations', async () => {
        const { manager } = target.dataSource
        expect(await manager.find(Near, { order: { id: 'ASC' } })).toEqual(nears)
        expect(await manager.find(Far, { order: { id: 'ASC' } })).toEqual(fars)
        expect(await manager.findOneBy(Far, { k: 2, id: 2 })).toEqual(fars[1])
        expect(await manager.find(Far, { relations: { near: true }, order: { id: 'ASC' } })).toEqual(
          fars.map((far, index) => ({ ...far, near: nears[index] })),
        )
        for (const relationLoadStrategy of ['join', 'query'] as const) {
          const options = { relations: { fars: true }, relationLoadStrategy, order: { id: 'ASC' } } as const
          expect(await manager.find(Near, options)).toEqual(
            nears.map((near, index) => ({ ...near, fars: [fars[index]] })),
          )
        }
        expect(await manager.find(Tagged, { order: { id: 'ASC' } })).toEqual(
          keys.slice(0, 3).map((k) => ({ id: k, k, n: 0, text: `tag ${k}` })),
        )
      })

      it.each([
        'SELECT * FROM near ORDER BY id',
        'SELECT x.* FROM (SELECT f.* FROM far f ORDER BY f.id LIMIT 2) x',
        'SELECT count(*)::int AS n FROM (SELECT t.* FROM tagged t ORDER BY id LIMIT 2) x',
        'WITH x AS (SELECT * FROM far) SELECT DISTINCT * FROM x ORDER BY id',
      ])('are none of %s', async (text) => {
        const expected = text.includes('count')
          ? [{ n: 2 }]
          : keys
              .slice(0, text.includes('LIMIT') ? 2 : 3)
              .map((k) => ({ id: k, k, n: 0, ...(text.includes('far') && { nearId: k }) }))
        expect(await target.dataSource.query(text)).toEqual(expected)
      })

      it('saves entities that have them', async () => {
        const found = await undone(async (manager) => {
          await manager.save(Near, [
            {
              id: 1,
              k: 1,
              n: 5,
              fars: [
                { id: 1, k: 1, n: 8 },
                { id: 77, k: 1 },
              ],
            },
            { id: 9, k: 3, n: 5 },
          ])
          await manager.save(Far, [
            { id: 2, k: 2, nearId: 2, n: 6 },
            { id: 3, k: 3, nearId: 3, n: 7 },
          ])
          await manager.save(Tagged, [
            { id: 1, k: 1, n: 2 },
            { id: 5, k: 5 },
          ])
          await manager.remove(await manager.findOneByOrFail(Far, { id: 77 }))
          return [
            await manager.find(Near, { order: { id: 'ASC' } }),
            await manager.find(Far, { order: { id: 'ASC' } }),
            (await manager.find(Tagged, { order: { id: 'ASC' } })).map(({ id, n, text }) => [id, n, text]),
          ]
        })
        expect(found).toEqual([
          [{ ...nears[0], n: 5 }, nears[1], nears[2], { id: 9, k: 3, n: 5, own: 4 }],
          [
            { ...fars[0], n: 8 },
            { ...fars[1], n: 6 },
            { ...fars[2], n: 7 },
          ],
          [
            [1, 2, 'tag 1'],
            [2, 0, 'tag 2'],
            [3, 0, 'tag 3'],
            [5, 0, null],
          ],
        ])
      })

      it('saves outside a transaction of the caller, and preloads', async () => {
        const repository = target.dataSource.getRepository(Far)
        expect(await repository.preload({ id: 1, k: 1, n: 9 })).toEqual({ ...fars[0], n: 9 })
        await repository.save({ id: 1, k: 1, nearId: 1, n: 9 })
        expect(await repository.findOneBy({ id: 1 })).toEqual({ ...fars[0], n: 9 })
        await repository.save({ id: 1, k: 1, nearId: 1, n: 0 })
      })

      it('saves, with a row, the row of a reference table that it refers to', async () => {
        const found = await undone(async (manager) => {
          await manager.save(Deal, [
            { id: 1, k: 2, owner: { id: 3, name: 'ann' } },
            { id: 2, k: 3, owner: { id: 5, name: 'ben' } },
          ])
          await manager.save(Deal, { id: 1, k: 2, owner: { id: 3, name: 'eve' } })
          return manager.find(Deal, { order: { id: 'ASC' } })
        })
        expect(found).toEqual([
          { id: 1, k: 2, owner: { id: 3, name: 'eve', sales: 4 } },
          { id: 2, k: 3, owner: { id: 5, name: 'ben', sales: 4 } },
        ])
      })

      it('sees rows of the same transaction', async () => {
        const found = await undone(async (manager) => {
          await manager.insert(Sale, { id: 500, k: 13, qty: 1 })
          await manager.save(Far, { id: 1, k: 1, n: 5 })
          return (await manager.findOneByOrFail(Far, { k: 1 })).total
        })
        expect(found).toBe(25)
      })
    })

    it('refuses on the data source of one shard a name that is not said to be of the shard', async () => {
      const { dataSource } = target
      if (!(dataSource instanceof ShardedDataSource)) return
      const [{ name } = { name: '' }] = dataSource.shards(Sale)
      const error: unknown = await dataSource
        .shard(name)
        .query('SELECT count(*) FROM sale')
        .catch((one: unknown) => one)
      expect(error).toBeInstanceOf(ShardedError)
      expect(error).toMatchObject({
        code: 'STATEMENT_UNSUPPORTED',
        message: expect.stringContaining('"__shard__"."sale"'),
      })
      await dataSource.shard(name).query('SELECT count(*) FROM "__shard__"."sale"')
    })
  })
})
