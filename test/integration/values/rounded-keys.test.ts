import 'reflect-metadata'
import { randomUUID } from 'node:crypto'
import { defaults } from 'pg'
import { Column, DataSource, Entity, type ObjectLiteral, PrimaryColumn, Unique } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey, time } from '../../../src'
import { createDatabases } from '../../support/databases'

const by = hash({ shards: 16 })

@Entity()
@Sharded(by, { onKeyChange: 'move' })
@Unique(['id', 'k'])
class Name {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column({ type: 'varchar', length: 3 }) k!: string
}

@Entity()
@Sharded({ colocatedWith: () => Name })
class LongName {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column({ type: 'varchar', length: 10 }) k!: string
}

@Entity()
@Sharded(by, { onKeyChange: 'move' })
@Unique(['id', 'k'])
class Price {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column('numeric', { precision: 10, scale: 2 }) k!: string | number
}

@Entity()
@Sharded({ colocatedWith: () => Price })
class ExactPrice {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column('numeric') k!: string
}

@Entity()
@Sharded(by, { onKeyChange: 'move' })
@Unique(['id', 'k'])
class Tick {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column({ type: 'timestamp', precision: 0 }) k!: Date
}

@Entity()
@Sharded(by, { onKeyChange: 'move' })
@Unique(['id', 'k'])
class Stamp {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column({ type: 'timestamptz', precision: 2 }) k!: Date
}

@Entity()
@Sharded(by, { onKeyChange: 'move' })
@Unique(['id', 'k'])
class Code {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column({ type: 'char', length: 4 }) k!: string
}

@Entity()
@Sharded(by, { onKeyChange: 'move' })
@Unique(['id', 'k'])
class Word {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column('text') k!: string
}

@Entity()
@Sharded(by, { onKeyChange: 'move' })
@Unique(['id', 'k'])
class Numbered {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column('int') k!: number
}

@Entity()
@Sharded(by)
class Diary {
  @ShardKey() @PrimaryColumn('date') k!: string
}

@Entity()
@Sharded(time({ every: 'month', from: '2024-01', to: '2024-04' }))
class Visit {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column('timestamp') k!: Date
}

const entities = [Name, LongName, Price, ExactPrice, Tick, Stamp, Code, Word, Numbered, Diary, Visit]

describe('rows whose key PostgreSQL stores otherwise than it was given', () => {
  let databases: Awaited<ReturnType<typeof createDatabases>>
  let sharded: ShardedDataSource
  let plain: DataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    plain = new DataSource({ type: 'postgres', url: databases.oracle, entities, synchronize: true })
    sharded = new ShardedDataSource({
      type: 'postgres',
      entities,
      nodes: { a: { url: a }, b: { url: b } },
      synchronize: true,
    })
    await Promise.all([plain.initialize(), sharded.initialize()])
  })
  afterAll(async () => {
    await Promise.all([plain.destroy(), sharded.destroy()])
    await databases.drop()
  })
  beforeEach(async () => {
    for (const entity of entities)
      for (const one of [plain, sharded]) await one.createQueryBuilder().delete().from(entity).execute()
  })

  /** Rows are where their key says, the same as on one database, and found by the key that is stored. */
  const check = async (entity: new () => ObjectLiteral, count: number) => {
    expect((await sharded.verifyPlacement(entity)).flatMap(({ listed }) => listed)).toEqual([])
    const rows = await plain.getRepository(entity).find()
    const found = await sharded.getRepository(entity).find()
    const sorted = (list: readonly object[]) => list.map((row) => JSON.stringify(row)).sort()
    expect(sorted(found)).toEqual(sorted(rows))
    expect(found).toHaveLength(count)
    for (const { k } of rows) {
      const own = await plain.getRepository(entity).countBy({ k })
      expect(await sharded.getRepository(entity).countBy({ k })).toBe(own)
    }
  }
  const both = async (work: (dataSource: DataSource) => Promise<unknown>) => {
    await work(plain)
    await work(sharded)
  }
  const ids = Array.from({ length: 12 }, () => randomUUID())

  const cases: readonly (readonly [string, new () => ObjectLiteral, readonly unknown[]])[] = [
    ['varchar(3)', Name, ['abc  ', 'ab ', 'é中😀    ', 'x', ' a  ', 'ab      ']],
    ['numeric(10,2)', Price, ['1.005', 1.005, '2.675', '-0.001', '1e-3', '99999.999']],
    [
      'timestamp(0)',
      Tick,
      [
        '2024-02-29T23:59:59.500Z',
        '2024-01-01T00:00:00.499Z',
        '1999-12-31T23:59:59.500Z',
        '1969-01-01T00:00:00.501Z',
      ].map((text) => new Date(text)),
    ],
    ['timestamptz(2)', Stamp, ['2024-02-29T23:59:59.995Z', '1999-12-31T23:59:59.995Z'].map((text) => new Date(text))],
    ['char(4)', Code, ['ab', 'ab   ', 'abcd    ', '']],
  ]

  describe.each(cases)('of type %s', (_, entity, keys) => {
    const rows = keys.map((k, index) => ({ id: ids[index] ?? '', k }))
    const table = () => `"${plain.getMetadata(entity).tableName}"`
    const values = rows.map((__, index) => `($${2 * index + 1}, $${2 * index + 2})`).join(', ')
    const parameters = rows.flatMap(({ id, k }) => [id, k])

    it('by insert, one by one and at once', async () => {
      await both(async (one) => {
        for (const row of rows.slice(0, 2)) await one.getRepository(entity).insert({ ...row })
        if (rows.length > 2) await one.getRepository(entity).insert(rows.slice(2).map((row) => ({ ...row })))
      })
      await check(entity, rows.length)
    })
    it('by save, and saved again', async () => {
      await both(async (one) => {
        const saved = await one.getRepository(entity).save(rows.map((row) => ({ ...row })))
        await one.getRepository(entity).save(saved)
      })
      await check(entity, rows.length)
    })
    it('by upsert, twice', async () => {
      await both(async (one) => {
        for (const __ of [1, 2])
          await one.getRepository(entity).upsert(
            rows.map((row) => ({ ...row })),
            ['id', 'k'],
          )
      })
      await check(entity, rows.length)
    })
    it('by load', async () => {
      await plain.getRepository(entity).insert(rows.map((row) => ({ ...row })))
      await sharded.getRepository(entity).load(rows.map((row) => ({ ...row })))
      await check(entity, rows.length)
    })
    it('by the builder of an insert', async () => {
      await both((one) =>
        one
          .createQueryBuilder()
          .insert()
          .into(entity)
          .values(rows.map((row) => ({ ...row })))
          .execute(),
      )
      await check(entity, rows.length)
    })
    it('by INSERT', async () => {
      await both((one) => one.query(`INSERT INTO ${table()} (id, k) VALUES ${values}`, parameters))
      await check(entity, rows.length)
    })
    it('by INSERT … ON CONFLICT, twice', async () => {
      const text = `INSERT INTO ${table()} (id, k) VALUES ${values} ON CONFLICT (id, k) DO UPDATE SET k = excluded.k`
      await both(async (one) => {
        await one.query(text, parameters)
        await one.query(text, parameters)
      })
      await check(entity, rows.length)
    })
    it('by an UPDATE that moves them', async () => {
      const [first] = keys
      await both(async (one) => {
        await one.getRepository(entity).insert(rows.map((row) => ({ ...row, k: keys.at(-1) })))
        for (const [index, { id, k }] of rows.entries()) {
          if (index % 2 === 0) await one.query(`UPDATE ${table()} SET k = $1 WHERE id = $2`, [k, id])
          else await one.getRepository(entity).update({ id }, { k })
        }
      })
      await check(entity, rows.length)
      const moved = await sharded.getRepository(entity).findOneByOrFail({ id: ids[1] ?? '' })
      await sharded.getRepository(entity).move(moved, first)
      await plain.getRepository(entity).update({ id: ids[1] ?? '' }, { k: first })
      await check(entity, rows.length)
    })
    it('are not found by what was given where that is not stored', async () => {
      await both((one) => one.getRepository(entity).insert(rows.map((row) => ({ ...row }))))
      for (const { k } of rows) {
        const expected = await plain.getRepository(entity).countBy({ k })
        expect(await sharded.getRepository(entity).countBy({ k })).toBe(expected)
        const [row] = await sharded.query(`SELECT count(*)::int AS n FROM ${table()} WHERE k = $1`, [k])
        expect(row).toEqual({ n: expected })
      }
    })
  })

  it('of constants that PostgreSQL converts to the type of the column', async () => {
    const texts = ['1.50', '5', '-7', '.5', '1e2', 'true', `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid`, `'05'::int`]
    const numbers = ['1.5', '2.5', '-2.5', '7', '-9.4', '3e0', `'4'`]
    const insert = async (one: DataSource, table: string, id: string | undefined, value: string) =>
      one.query(`INSERT INTO ${table} (id, k) VALUES ($1, ${value})`, [id]).catch((error: unknown) => {
        if (one === sharded) return error
        throw error
      })
    for (const [table, list, entity] of [
      ['word', texts, Word],
      ['numbered', numbers, Numbered],
    ] as const) {
      let stored = 0
      for (const [index, value] of list.entries()) {
        const refused: unknown = await insert(sharded, table, ids[index], value)
        // Digits that PostgreSQL writes otherwise are not placed by what they look like.
        if (refused instanceof Error) expect(refused).toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
        else {
          stored += 1
          await insert(plain, table, ids[index], value)
        }
      }
      expect(stored).toBeGreaterThanOrEqual(6)
      await check(entity, stored)
    }
    expect(await sharded.query(`SELECT k FROM word WHERE k = ('05'::int)::text`)).toEqual([{ k: '5' }, { k: '5' }])
  })

  it('go where they belong by INSERT … SELECT, from a wider column as well', async () => {
    const [one = '', two = ''] = ids
    await sharded.getRepository(LongName).insert({ id: one, k: 'abc  ' })
    await sharded.getRepository(ExactPrice).insert({ id: one, k: '1.005' })
    for (const [to, from] of [
      ['name', 'long_name'],
      ['price', 'exact_price'],
    ])
      await sharded.query(`INSERT INTO ${to} (id, k) SELECT id, k FROM ${from}`)
    for (const report of await sharded.verifyPlacement()) expect(report).toMatchObject({ misplaced: 0 })
    expect(await sharded.getRepository(Name).countBy({ k: 'abc' })).toBe(1)
    expect(await sharded.getRepository(Price).countBy({ k: '1.01' })).toBe(1)
    for (const table of ['name', 'price']) await sharded.query(`DELETE FROM ${table}`)
    await sharded.getRepository(Name).insert({ id: two, k: 'abc  ' })
    await sharded.getRepository(Price).insert({ id: two, k: '2.005' })
    await sharded.query('INSERT INTO long_name (id, k) SELECT id, k FROM name')
    await sharded.query('INSERT INTO exact_price (id, k) SELECT id, k FROM price')
    for (const report of await sharded.verifyPlacement()) expect(report).toMatchObject({ misplaced: 0 })
    expect(await sharded.getRepository(LongName).countBy({ k: 'abc' })).toBe(1)
    expect(await sharded.getRepository(ExactPrice).countBy({ k: '2.01' })).toBe(1)
  })

  it('too long is the error of PostgreSQL', async () => {
    for (const one of [plain, sharded])
      await expect(one.getRepository(Name).insert({ id: ids[0] ?? '', k: 'abcd' })).rejects.toMatchObject({
        code: '22001',
      })
  })

  it.each([
    [true, '2024_02'],
    [false, '2024_01'],
  ])('of dates that pg sends by the clock of UTC: %s', async (isUtc, label) => {
    const { TZ } = process.env
    process.env['TZ'] = 'America/New_York'
    defaults.parseInputDatesAsUTC = isUtc
    try {
      const k = new Date('2024-02-01T02:00:00Z')
      await sharded.getRepository(Visit).insert({ id: randomUUID(), k })
      await sharded.query('INSERT INTO visit (id, k) VALUES ($1, $2)', [randomUUID(), k])
      expect(await sharded.getRepository(Visit).countBy({ k })).toBe(2)
      expect(await sharded.getRepository(Visit).onShard(`visit_${label}`).count()).toBe(2)
      expect(await sharded.verifyPlacement(Visit)).toMatchObject([{ rows: 2, misplaced: 0 }])
    } finally {
      defaults.parseInputDatesAsUTC = false
      if (TZ === undefined) delete process.env['TZ']
      else process.env['TZ'] = TZ
    }
  })

  it.each(['275760-09-13', '294276-12-31', '5874897-12-31', '9999-12-31', '10000-01-01', '0001-01-01'])(
    'of the day %s are found again',
    async (k) => {
      const at = new Date(`${k.length > 10 ? '+' : ''}${k.padStart(k.length > 10 ? 12 : 10, '0')}T12:00:00`)
      await both(async (one) => {
        await one.getRepository(Diary).insert({ k })
        // TypeORM writes the last four digits of a Date's year, and looks for all of them.
        if (!Number.isNaN(at.getTime()))
          await one.query('INSERT INTO diary (k) VALUES ($1) ON CONFLICT DO NOTHING', [at])
      })
      for (const value of [k, at]) {
        if (value instanceof Date && Number.isNaN(value.getTime())) continue
        const counts = [plain, sharded].map((one) => one.getRepository(Diary).countBy({ k: value as string }))
        expect(await Promise.all(counts)).toEqual([1, 1])
        const rows = [plain, sharded].map((one) => one.query('SELECT k::text FROM diary WHERE k = $1', [value]))
        expect(await Promise.all(rows)).toEqual([[{ k }], [{ k }]])
      }
      expect(await sharded.verifyPlacement(Diary)).toMatchObject([{ misplaced: 0 }])
    },
  )
})
