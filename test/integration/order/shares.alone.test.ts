import { Between, Column, DataSource, Entity, type FindManyOptions, IsNull, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { range, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

const times = [
  '-infinity',
  '0044-03-15 12:00:00+00 BC',
  '1883-11-18 12:03:58+00',
  '1969-12-31 23:59:59.999999+00',
  '1970-01-01 00:00:00+00',
  '2024-02-29 10:00:00.000001+00',
  '2024-02-29 10:00:00.000002+00',
  '2024-02-29 10:00:00.000999+00',
  '2024-02-29 10:00:00.001+00',
  '2024-10-27 02:30:00+02',
  '2024-10-27 02:30:00+01',
  '12024-01-01 00:00:00+00',
  '294276-12-31 23:59:59.999999+00',
  'infinity',
]
const numbers = ['NaN', '-Infinity', 'Infinity', '0', '-0.000', '1e-20', '1.10', '1.1', '9007199254740993.5', '12', '7']
const bigs = [
  '9223372036854775807',
  '-9223372036854775808',
  '9007199254740993',
  '9007199254740992',
  '10',
  '9',
  '-9',
  '0',
]

/** Rows lie on the shards in turns. */
@Entity()
@Sharded(range({ shards: { a: [null, 100], b: [100, 200], c: [200, 300], d: [300, null] } }))
class Event {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('timestamptz', { nullable: true }) at!: Date | null
  @Column('numeric', { nullable: true }) amount!: string | null
  @Column('bigint', { nullable: true }) big!: string | null
}

const rows = Array.from({ length: 88 }, (_, n) => ({
  id: (n % 4) * 100 + n,
  at: n < 2 ? null : times[(n * 5) % times.length],
  amount: n < 2 ? null : numbers[(n * 3) % numbers.length],
  big: n < 2 ? null : bigs[(n * 3) % bigs.length],
}))

describe.each([{ parseInt8: false }, { parseInt8: true }])(
  'shares of a page, compared by the values of the driver, $parseInt8',
  ({ parseInt8 }) => {
    let databases: FreshDatabases
    let sharded: ShardedDataSource
    let plain: DataSource
    beforeAll(async () => {
      databases = await createDatabases(2)
      const nodes = Object.fromEntries(databases.nodes.map((url, index) => [`n${index}`, { url }]))
      const common = { type: 'postgres', synchronize: true, parseInt8 } as const
      sharded = new ShardedDataSource({ ...common, entities: [Event], nodes })
      plain = new DataSource({ ...common, entities: [Event], url: databases.oracle })
      for (const dataSource of [sharded, plain]) {
        await dataSource.initialize()
        for (const { id, at, amount, big } of rows)
          await dataSource.query('INSERT INTO "event" (id, at, amount, big) VALUES ($1, $2, $3, $4)', [
            id,
            at,
            amount,
            big,
          ])
      }
    })
    afterAll(async () => {
      await sharded.destroy()
      await plain.destroy()
      await databases.drop()
    })

    const orders: readonly FindManyOptions<Event>['order'][] = (['at', 'amount', 'big'] as const).flatMap((name) =>
      (['ASC', 'DESC'] as const).flatMap((direction) =>
        (['FIRST', 'LAST'] as const).map((nulls) => ({ [name]: { direction, nulls }, id: 'ASC' as const })),
      ),
    )

    it.each(orders.map((order) => [JSON.stringify(order), order] as const))(
      'orders as one database: %s',
      async (_, order) => {
        for (const page of [
          { take: 1 },
          { take: 3 },
          { take: 9 },
          { take: 40 },
          { skip: 2, take: 7 },
          { skip: 30, take: 9 },
        ]) {
          const options = { order, ...page } as FindManyOptions<Event>
          expect(await sharded.getRepository(Event).find(options)).toEqual(
            await plain.getRepository(Event).find(options),
          )
        }
      },
    )

    it('does not take for equal what the driver cuts off, and go by the next term', async () => {
      for (const dataSource of [sharded, plain])
        await dataSource.query(
          `INSERT INTO "event" (id, at) VALUES (-1, '2100-01-01 00:00:00.000002'), (399, '2100-01-01 00:00:00.000001')`,
        )
      const first = sharded.locate(Event, -1)
      expect(sharded.locate(Event, 399).node).not.toBe(first.node)
      const options: FindManyOptions<Event> = {
        where: { amount: IsNull(), at: Between(new Date('2099-01-01'), new Date('2101-01-01')) },
        order: { at: 'ASC', id: 'ASC' },
        take: 2,
      }
      const ids = async (dataSource: DataSource | ShardedDataSource) =>
        (await dataSource.getRepository(Event).find(options)).map(({ id }) => id)
      expect([await ids(plain), await ids(sharded)]).toEqual([
        [399, -1],
        [399, -1],
      ])
    })

    it('orders what has no ties by the value alone', async () => {
      for (const direction of ['ASC', 'DESC'] as const) {
        const options: FindManyOptions<Event> = { order: { id: direction }, take: 20 }
        expect(await sharded.getRepository(Event).find(options)).toEqual(await plain.getRepository(Event).find(options))
      }
    })
  },
)
