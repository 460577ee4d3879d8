import type { Readable } from 'node:stream'
import {
  BaseEntity,
  Column,
  CreateDateColumn,
  type DataSource,
  DeleteDateColumn,
  Entity,
  type EntityManager,
  MoreThan,
  PrimaryColumn,
  Raw,
  UpdateDateColumn,
} from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, type ShardedRepository, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

const shards = { shards: 3 }

@Entity()
@Sharded(hash(shards))
class Visit extends BaseEntity {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column({ default: 'x' })
  name!: string

  @CreateDateColumn({ precision: 6 })
  createdAt!: Date

  @UpdateDateColumn({ precision: 6 })
  updatedAt!: Date

  @DeleteDateColumn({ precision: 6 })
  deletedAt!: Date | null

  @Column('timestamptz', { default: () => 'now()' })
  at!: Date

  @Column({ type: 'timestamp', precision: 6, default: () => 'LOCALTIMESTAMP' })
  local!: Date

  @Column({ type: 'timestamptz', default: () => `now() + interval '1 day'`, nullable: true, insert: false })
  due!: Date | null

  @Column('time', { default: () => 'CURRENT_TIME(6)' })
  time!: string

  @Column('timestamptz', { nullable: true })
  seen!: Date | null
}

/** Unsharded: of the home node. */
@Entity()
class Stay {
  @PrimaryColumn('int')
  id!: number

  @CreateDateColumn({ precision: 6 })
  createdAt!: Date

  @Column('text', { default: () => 'SESSION_USER' })
  by!: string
}

const many = () => Array.from({ length: 12 }, (_, id) => ({ id }))
const all = { name: 'x' }

/** Each is one operation on rows of all shards; `of` are the columns that it sets to the time. */
const operations: readonly (readonly [
  string,
  readonly (keyof Visit)[],
  (manager: EntityManager) => Promise<unknown>,
])[] = [
  ['save', inserted(), (manager) => manager.save(Visit, many())],
  ['save of one row after the other', inserted(), (manager) => inTurn(many(), (row) => manager.save(Visit, row))],
  [
    'save of rows that set other columns',
    inserted(),
    (manager) =>
      manager.save(
        Visit,
        many().map((row) => (row.id % 2 ? row : { ...row, seen: new Date(0) })),
      ),
  ],
  ['insert', inserted(), (manager) => manager.insert(Visit, many())],
  [
    'insert of an expression',
    [...inserted(), 'seen'],
    (manager) =>
      manager.insert(
        Visit,
        many().map((row) => ({ ...row, seen: () => 'now()' })),
      ),
  ],
  ['upsert', inserted(), (manager) => manager.upsert(Visit, many(), ['id'])],
  [
    'upsert of rows that are there',
    ['updatedAt'],
    async (manager) => {
      await separately(manager)
      await manager.upsert(
        Visit,
        many().map((row) => ({ ...row, name: 'y' })),
        ['id'],
      )
    },
  ],
  ['a builder', inserted(), (manager) => manager.createQueryBuilder().insert().into(Visit).values(many()).execute()],
  ['SQL', inserted(), (manager) => manager.query(`INSERT INTO visit (id) VALUES ${many().map(({ id }) => `(${id})`)}`)],
  [
    'update',
    ['updatedAt', 'seen'],
    async (manager) => {
      await separately(manager)
      await manager.update(Visit, all, { seen: () => 'now()' })
    },
  ],
  [
    'update of one key after the other',
    ['updatedAt', 'seen'],
    async (manager) => {
      await separately(manager)
      await inTurn(many(), ({ id }) => manager.update(Visit, { id }, { seen: () => 'CURRENT_TIMESTAMP' }))
    },
  ],
  [
    'softDelete',
    ['updatedAt', 'deletedAt'],
    async (manager) => {
      await separately(manager)
      await manager.softDelete(Visit, all)
    },
  ],
  [
    'softRemove',
    ['updatedAt', 'deletedAt'],
    async (manager) => {
      await separately(manager)
      await manager.softRemove(await manager.find(Visit))
    },
  ],
  [
    'restore',
    ['updatedAt'],
    async (manager) => {
      await separately(manager)
      await manager.softDelete(Visit, all)
      await manager.restore(Visit, all)
    },
  ],
]

function inserted(): (keyof Visit)[] {
  return ['createdAt', 'updatedAt', 'at', 'local', 'due', 'time']
}

async function inTurn<T>(rows: readonly T[], work: (row: T) => Promise<unknown>): Promise<void> {
  for (const row of rows) await work(row)
}

/** Rows whose times are known to be others. */
const separately = (manager: EntityManager): Promise<unknown> =>
  manager.insert(
    Visit,
    many().map((row) => ({ ...row, createdAt: new Date(row.id), updatedAt: new Date(row.id), seen: new Date(row.id) })),
  )

/** How many times the rows have, to the microsecond. */
async function timesOf(
  from: Pick<DataSource | EntityManager, 'query'>,
  columns: readonly string[],
): Promise<Readonly<Record<string, number>>> {
  const counts = columns.map((name) => `count(DISTINCT "${name}")::int AS "${name}"`)
  const [row] = await from.query(`SELECT ${counts.join(', ')} FROM visit`)
  return row
}

const once = (columns: readonly string[]) => Object.fromEntries(columns.map((name) => [name, 1]))

describe('the time of rows that one transaction writes', () => {
  onTargets({ entities: [Visit, Stay], groups: ['visit'] }, (target) => {
    it.each(operations)('is one for %s, in a transaction', async (_, columns, work) => {
      await target.dataSource.transaction(work)
      expect(await timesOf(target.dataSource, columns)).toEqual(once(columns))
    })

    it.each(operations.filter(([name]) => !name.includes('after the other')))(
      'is one for %s alone',
      async (_, columns, work) => {
        await work(target.dataSource.manager)
        expect(await timesOf(target.dataSource, columns)).toEqual(once(columns))
      },
    )

    it('is that of SQL before and of unsharded rows after', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.query('INSERT INTO visit (id) VALUES (1)')
        await manager.query('UPDATE visit SET seen = now() WHERE id = 1')
        await manager.save(Visit, many().slice(2))
        await manager.update(Visit, { name: 'x' }, { seen: () => 'now()' })
        await manager.save(Stay, [{ id: 1 }, { id: 2 }])
        const columns = ['createdAt', 'updatedAt', 'at', 'seen']
        expect(await timesOf(manager, columns)).toEqual(once(columns))
        for (const where of [
          { seen: Raw((seen) => `${seen} = now()`) },
          { id: MoreThan(0), at: Raw((at) => `${at} = now()`) },
        ]) {
          expect(await manager.countBy(Visit, where)).toBe(11)
          expect(await manager.find(Visit, { where, order: { id: 'ASC' }, take: 20 })).toHaveLength(11)
        }
        const [found] = await manager.query('SELECT count(*)::int AS n FROM stay WHERE "createdAt" = now()')
        expect(found.n).toBe(2)
        for (const { id } of many().slice(2)) {
          const [row] = await manager.query('SELECT "createdAt" = now() AS same FROM visit WHERE id = $1', [id])
          expect(row.same).toBe(true)
        }
      })
    })

    it('is that of another node for the home node', async () => {
      const { dataSource } = target
      const nodeOf = (id: number) =>
        dataSource instanceof ShardedDataSource ? dataSource.locate(Visit, id).node : undefined
      const home = dataSource instanceof ShardedDataSource ? dataSource.shards()[0]?.node : undefined
      const elsewhere = many().find(({ id }) => nodeOf(id) !== home)?.id ?? 1
      await dataSource.transaction(async (manager) => {
        await manager.insert(Visit, { id: elsewhere })
        const [stay] = await manager.save(Stay, [{ id: 1 }, { id: 2 }])
        const [visit] = await manager.query('SELECT "createdAt"::text AS time, session_user AS by FROM visit')
        const stays = await manager.query('SELECT DISTINCT "createdAt"::text AS time, "by" FROM stay')
        expect(stays).toEqual([visit])
        expect(stay?.createdAt).toEqual((await manager.findOneByOrFail(Visit, { id: elsewhere })).createdAt)
      })
    })

    it('is that of Active Record, and of conditions', async () => {
      const saved = await Visit.save(target.dataSource.manager.create(Visit, many()))
      expect(new Set(saved.map(({ createdAt }) => createdAt.getTime())).size).toBe(1)
      expect(await timesOf(target.dataSource, inserted())).toEqual(once(inserted()))
      await Visit.update(all, { seen: () => 'now()' })
      expect(await Visit.countBy({ seen: Raw((seen) => `${seen} < now()`) })).toBe(12)
      expect(await timesOf(target.dataSource, ['seen', 'updatedAt'])).toEqual(once(['seen', 'updatedAt']))
    })

    it('is one for load', async () => {
      const { dataSource } = target
      if (!(dataSource instanceof ShardedDataSource)) return
      await dataSource.getRepository(Visit).load(many())
      expect(await timesOf(dataSource, inserted())).toEqual(once(inserted()))
    })

    it('is that of streams', async () => {
      const { dataSource } = target
      if (!(dataSource instanceof ShardedDataSource)) return
      await dataSource.transaction(async (manager) => {
        await manager.insert(Visit, many())
        const visits = manager.getRepository(Visit) as ShardedRepository<Visit>
        const where = { at: Raw((at: string) => `${at} = now()`) }
        let found = 0
        for await (const _ of visits.stream({ where, order: { id: 'ASC' } })) found += 1
        expect(found).toBe(12)
        for (const { id } of many()) {
          const rows: Readable = await manager
            .createQueryBuilder(Visit, 'v')
            .where('v.id = :id AND v.at = now()', { id })
            .stream()
          expect(await rows.toArray()).toHaveLength(1)
        }
      })
    })

    it('is the column’s own where a row gives one', async () => {
      const given = new Date(Date.UTC(2020, 0, 2))
      await target.dataSource.transaction(async (manager) => {
        await manager.save(
          Visit,
          many().map((row) => (row.id % 3 ? row : { ...row, createdAt: given })),
        )
      })
      const [row] = await target.dataSource.query(
        'SELECT count(*) FILTER (WHERE "createdAt" = $1)::int AS given, count(DISTINCT "createdAt")::int AS times FROM visit',
        [given],
      )
      expect(row).toEqual({ given: 4, times: 2 })
    })

    it('is one for upserts that skip rows which would not change', async () => {
      const visits = many().map(({ id }) => ({ id, name: 'x' }))
      await target.dataSource.transaction(async (manager) => {
        for (const name of ['x', 'x', 'y'])
          for (const visit of visits)
            await manager.upsert(
              Visit,
              { ...visit, name },
              { conflictPaths: ['id'], skipUpdateIfNoValuesChanged: true },
            )
      })
      const found = await target.dataSource.manager.find(Visit)
      expect(found.map(({ name }) => name)).toEqual(visits.map(() => 'y'))
      expect(new Set(found.map(({ updatedAt }) => updatedAt.getTime())).size).toBe(1)
    })

    it('is that of the zone that the transaction set', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.query(`SET LOCAL TimeZone = 'Asia/Kathmandu'`)
        await manager.save(Visit, many())
        expect(await timesOf(manager, inserted())).toEqual(once(inserted()))
        const [row] = await manager.query(
          'SELECT count(*)::int AS n FROM visit WHERE "createdAt" = now() AND local = localtimestamp',
        )
        expect(row.n).toBe(12)
      })
    })
  })
})
