import { Column, type DataSource, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Reading {
  @ShardKey()
  @PrimaryColumn('int')
  sensor!: number

  @PrimaryColumn('int')
  number!: number

  @Column('int')
  value!: number

  /** Microseconds, of which the driver gives none. */
  @Column('timestamp with time zone', { precision: 6 })
  at!: Date

  @Column('text', { nullable: true })
  note!: string | null
}

const sensors = Array.from({ length: 20 }, (_, index) => index + 1)

const rowOf = (sensor: number, number: number): string => {
  const at = `timestamptz '2026-01-01' + ${sensor * 31 + number * 17} * interval '1 microsecond'`
  const note = number % 5 > 0 ? `'note ${number % 7}'` : 'NULL'
  return `(${sensor}, ${number}, ${(sensor * 7919 + number * 104_729) % 100_003}, ${at}, ${note})`
}

/** Rows of every sensor: of many shards, of one, of one that has most of them, and more than there are. */
const queries: readonly string[] = [
  'SELECT * FROM reading ORDER BY value, sensor, number LIMIT 600',
  'SELECT * FROM reading ORDER BY value DESC, sensor, number LIMIT 900 OFFSET 250',
  'SELECT sensor, number, at FROM reading ORDER BY at, sensor, number LIMIT 700',
  'SELECT sensor, note FROM reading ORDER BY note NULLS FIRST, number DESC, sensor LIMIT 800 OFFSET 30',
  'SELECT DISTINCT value % 900 AS v FROM reading ORDER BY v LIMIT 600',
  'SELECT r.sensor, o.number FROM reading r JOIN reading o ON o.sensor = r.sensor WHERE r.number < 3 ORDER BY o.value, r.sensor, r.number LIMIT 1000',
  // Of one node nearly all: its share is too small.
  'SELECT sensor, number FROM reading WHERE sensor = 1 OR number = 2 ORDER BY sensor, number LIMIT 1200',
  'SELECT sensor, number FROM reading ORDER BY sensor, number LIMIT 100000',
]

describe('a page of many rows', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      entities: [Reading],
      groups: ['reading'],
      inAll: true,
      seed: async (dataSource) => {
        for (const sensor of sensors) {
          const rows = Array.from({ length: sensor === 1 ? 1_300 : 40 }, (_, index) => rowOf(sensor, index + 1))
          await dataSource.query(`INSERT INTO reading (sensor, number, value, at, note) VALUES ${rows.join(', ')}`)
        }
      },
    })
  })
  afterAll(() => targets.close())

  it.each(queries)('%s', async (query) => {
    const expected: unknown[] = await targets.plain.query(query)
    expect(expected.length).toBeGreaterThan(500)
    for (const { dataSource, name } of targets.sharded) expect(await dataSource.query(query), name).toEqual(expected)
  })

  it.each([
    { take: 600 },
    { take: 3_500, skip: 10 },
    { take: 1_200, where: { sensor: 1 } },
    { take: 600, skip: 1_200 },
  ])('as a find: %o', async (options) => {
    for (const order of [{ value: 'ASC' }, { at: 'DESC' }] as const) {
      const total = { ...order, sensor: 'ASC', number: 'ASC' } as const
      const found = ({ dataSource }: { dataSource: DataSource }) =>
        dataSource.getRepository(Reading).find({ ...options, order: total })
      const expected = await found({ dataSource: targets.plain })
      expect(expected.length).toBeGreaterThan(500)
      for (const target of targets.sharded) expect(await found(target), target.name).toEqual(expected)
    }
  })
})
