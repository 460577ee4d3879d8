import { type DataSource, type DeepPartial, QueryFailedError } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource, type StatementEvent } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'
import { bulk, Circle, Leaf, rowsOf, Seed, Shape, Square, Stamp, Wide, wideOf } from './bulk-entities'
import { comparable, deleteRows, storedRows } from './stored-rows'

describe('inserts of several rows, as one database has them', () => {
  let targets: OpenTargets
  const events: StatementEvent[] = []

  beforeAll(async () => {
    targets = await openTargets({ ...bulk, inAll: true })
    for (const { dataSource } of targets.sharded)
      if (dataSource instanceof ShardedDataSource) dataSource.onStatement((event) => events.push(event))
  })
  afterEach(async () => {
    for (const { dataSource } of [{ dataSource: targets.plain }, ...targets.sharded]) await deleteRows(dataSource)
  })
  afterAll(() => targets.close())

  const outcome = async (
    dataSource: DataSource,
    work: (dataSource: DataSource) => Promise<unknown>,
  ): Promise<string> => {
    try {
      return comparable(await work(dataSource))
    } catch (error) {
      if (!(error instanceof QueryFailedError)) throw error
      const { code, column, constraint, detail, dataType, severity } = error.driverError as Record<string, unknown>
      // In the layout `table` the name is made from that of the shard's table.
      const where = constraint === undefined ? undefined : String(constraint).replace(/(?<=^PK_)\w+$/, '<hash>')
      return comparable({ code, column, where, detail, dataType, severity })
    }
  }

  /** Does the same on all sides, and compares what is returned and what is stored. */
  const same = async (work: (dataSource: DataSource) => Promise<unknown>, expected?: RegExp): Promise<void> => {
    const want = await outcome(targets.plain, work)
    const rows = await storedRows(targets.plain)
    if (expected) expect(want).toMatch(expected)
    for (const { name, dataSource } of targets.sharded) {
      expect(await outcome(dataSource, work), name).toBe(want)
      expect(await storedRows(dataSource), name).toEqual(rows)
    }
  }

  const arrayStatements = async (work: () => Promise<unknown>): Promise<number> => {
    events.length = 0
    await work()
    return events.filter(({ text }) => text.includes('unnest(')).length
  }

  it.each([0, 1, 2, 3, 5, 40])('insert of %d rows with every type', async (count) => {
    await same(async (dataSource) => {
      const given = rowsOf(count, wideOf).map(({ moods: _moods, ...row }) => row)
      return { result: await dataSource.getRepository(Wide).insert(given as never), given }
    })
  })

  it.each([0, 1, 2, 3, 5, 40])('save of %d rows with every type', async (count) => {
    await same(async (dataSource) => {
      const repository = dataSource.getRepository(Wide)
      const given = rowsOf(count, wideOf).map(
        ({ moods: _moods, ...row }) => repository.create(row as never) as unknown as Wide,
      )
      return repository.save(given as DeepPartial<Wide>[])
    })
  })

  it('goes by arrays where it can', async () => {
    const [target] = targets.sharded
    const write = (rows: Partial<Wide>[]) =>
      target?.dataSource.getRepository(Wide).insert(rows as never) ?? Promise.resolve()
    const plain = (n: number) => {
      const { moods: _moods, tags: _tags, marks: _marks, visits: _visits, ...row } = wideOf(n)
      return row
    }
    expect(await arrayStatements(() => write(rowsOf(40, plain)))).toBe(1)
    // As elements, arrays would be cast to the declared type, which may be narrower than that of the table.
    expect(await arrayStatements(() => write(rowsOf(4, (n) => ({ ...plain(n + 50), marks: [n] }))))).toBe(0)
    expect(await arrayStatements(() => write(rowsOf(2, (n) => plain(n + 100))))).toBe(0)
    // An enum in an array, an expression, a column that only some rows set.
    expect(await arrayStatements(() => write(rowsOf(4, (n) => wideOf(n + 200))))).toBe(0)
    expect(
      await arrayStatements(() => write(rowsOf(4, (n) => ({ ...plain(n + 300), count: (() => '1') as never })))),
    ).toBe(0)
    expect(
      await arrayStatements(() => write(rowsOf(4, (n) => (n > 1 ? plain(n + 400) : { id: '400', name: 'x' })))),
    ).toBe(0)
  })

  it('what goes by VALUES: arrays of enums, expressions, columns that some rows set', async () => {
    await same(async (dataSource) => {
      const repository = dataSource.getRepository(Wide)
      return [
        await repository.insert(rowsOf(10, wideOf) as never),
        await repository.insert(rowsOf(10, (n) => ({ id: String(100 + n), name: (() => `'n' || ${n}`) as never }))),
        await repository.insert(rowsOf(10, (n) => ({ id: String(200 + n), name: 'x', ...(n > 5 && { count: n }) }))),
      ]
    })
  })

  it('defaults of all rows alike', async () => {
    await same((dataSource) => dataSource.getRepository(Wide).insert(rowsOf(20, (n) => ({ id: String(n), name: 'x' }))))
    await same((dataSource) =>
      dataSource.getRepository(Wide).save(rowsOf(20, (n) => ({ id: String(30 + n), name: 'x' }))),
    )
  })

  it('generated keys: in the database, and here where they decide the shard', async () => {
    await same(async (dataSource) => {
      const seeds = rowsOf(20, (n) => ({ n }))
      const { identifiers } = await dataSource.getRepository(Seed).insert(seeds)
      expect(identifiers).toEqual(seeds.map((seed) => ({ id: (seed as { id?: string }).id })))
      for (const [index, { id }] of identifiers.entries())
        expect(await dataSource.getRepository(Seed).findOneByOrFail({ id })).toMatchObject({ n: index + 1 })
      await dataSource.getRepository(Wide).insert(rowsOf(20, (n) => ({ id: String(n), name: 'x' })))
      const leaves = await dataSource.getRepository(Leaf).save(rowsOf(60, (n) => ({ wideId: String((n % 20) + 1), n })))
      for (const { id, n } of leaves)
        expect(await dataSource.getRepository(Leaf).findOneByOrFail({ id })).toMatchObject({ n })
      return [
        seeds,
        identifiers,
        leaves,
        await dataSource.getRepository(Leaf).insert(rowsOf(9, (n) => ({ wide: { id: '3' }, n }))),
      ]
    })
  })

  it('single-table inheritance, its discriminator an enum, and rows of a junction', async () => {
    await same(async (dataSource) => [
      await dataSource.getRepository(Circle).insert(rowsOf(20, (n) => ({ id: n, colour: 'red', radius: n }))),
      await dataSource.getRepository(Square).save(rowsOf(20, (n) => ({ id: 100 + n, colour: 'blue' }))),
      await dataSource.getRepository(Shape).save(
        rowsOf(6, (n) => ({
          id: 200 + n,
          colour: 'green',
          stamps: rowsOf(5, (at) => ({ shapeId: 200 + n, n: at })),
        })),
      ),
    ])
  })

  it.each([
    ['a duplicate of a stored row', /23505/, [{ id: '7' }]],
    ['a duplicate within', /23505/, [{ id: '50' }, { id: '50' }]],
    ['a missing value', /23502/, [{ id: '51', name: null }]],
    ['a text that is too long', /22001/, [{ id: '52', name: 'thirteen long' }]],
    ['a number out of range', /22003/, [{ id: '53', small: 40_000 }]],
    ['a word that is no number', /22P02/, [{ id: '54', exact: 'many' }]],
    ['a word that the enum lacks', /22P02/, [{ id: '55', mood: 'other' }]],
    ['an array that is none', /22P02/, [{ id: '56', marks: '{1' }]],
    ['bits of another length', /22026/, [{ id: '57', bits: '1' }]],
    ['a zero byte', /22021/, [{ id: '58', name: 'a\0b' }]],
  ])('the same error for %s, and nothing written', async (_what, expected, wrong) => {
    await same((dataSource) => dataSource.getRepository(Wide).insert(rowsOf(9, (n) => ({ id: String(n), name: 'x' }))))
    const rows = () =>
      [...rowsOf(9, (n) => wideOf(n + 20)), ...wrong.map((one) => ({ ...wideOf(60), ...one }))].map(
        ({ moods: _moods, ...row }) => row as never,
      )
    await same((dataSource) => dataSource.getRepository(Wide).insert(rows()), expected)
    await same((dataSource) => dataSource.transaction((manager) => manager.insert(Wide, rows())), expected)
  })

  it('upserts and ignores conflicts', async () => {
    const plain = (n: number) => {
      const { moods: _moods, ...row } = wideOf(n)
      return row
    }
    await same((dataSource) => dataSource.getRepository(Wide).insert(rowsOf(10, plain) as never))
    await same(async (dataSource) => {
      const { generatedMaps, ...result } = await dataSource.getRepository(Wide).upsert(
        rowsOf(20, (n) => ({ id: String(n), name: `up ${n}`, count: n })),
        ['id'],
      )
      return { result, generatedMaps: generatedMaps.map(({ version, count, twice }) => ({ version, count, twice })) }
    })
    await same((dataSource) =>
      dataSource.getRepository(Wide).upsert(
        rowsOf(20, (n) => ({ id: String(n), name: `up ${n}`, count: n })),
        {
          conflictPaths: ['id'],
          skipUpdateIfNoValuesChanged: true,
          returning: ['id', 'name'],
        },
      ),
    )
    await same(
      (dataSource) => dataSource.getRepository(Wide).upsert([...rowsOf(9, plain), plain(3)] as never, ['id']),
      /21000/,
    )
  })

  it('more rows than a statement has parameters for', async () => {
    for (const { dataSource } of targets.sharded) {
      const result = await dataSource.getRepository(Seed).insert(rowsOf(70_000, (n) => ({ n })))
      expect(result.identifiers).toHaveLength(70_000)
      expect(await dataSource.getRepository(Seed).count()).toBe(70_000)
    }
    const [one] = targets.sharded
    const rows = rowsOf(70_000, (n) => ({ shapeId: n, n: 1 }))
    // The last row of the second statement breaks the key: the first is taken back.
    const failing = one?.dataSource.getRepository(Stamp).insert([...rows, { shapeId: 70_000, n: 1 }])
    await expect(failing).rejects.toMatchObject({ driverError: { code: '23505' } })
    expect(await one?.dataSource.getRepository(Stamp).count()).toBe(0)
  }, 120_000)
})
