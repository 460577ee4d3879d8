import type { DataSource } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ShardedDataSource } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'
import { bulk, Circle, Leaf, rowsOf, Seed, Square, Wide, wideOf } from './bulk-entities'
import { deleteRows, storedRows } from './stored-rows'

type Target = new () => object

async function* streamed<T>(rows: readonly T[]): AsyncGenerator<T> {
  yield* rows
}

/** Texts of several bytes a character, and one that is longer than a chunk's first buffer. */
const wide = ['深圳', '😀', '語'.repeat(5000)]

describe('load stores what insert stores', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets(bulk)
  })
  afterEach(async () => {
    for (const { dataSource } of [{ dataSource: targets.plain }, ...targets.sharded]) await deleteRows(dataSource)
  })
  afterAll(() => targets.close())

  const insert = async (dataSource: DataSource, entity: Target, rows: readonly object[]): Promise<void> => {
    for (const row of rows) await dataSource.getRepository(entity).insert(row)
  }

  /** Inserts the rows one by one into one database, and loads them into shards, at once and in batches. */
  const same = async (work: readonly (readonly [Target, () => readonly object[]])[]): Promise<void> => {
    for (const [entity, rows] of work) await insert(targets.plain, entity, rows())
    const stored = await storedRows(targets.plain)
    expect(stored.length).toBeGreaterThan(0)
    for (const { name, dataSource } of targets.sharded) {
      for (const options of [{}, { batch: 7 }]) {
        for (const [entity, rows] of work) {
          const given = rows()
          const report = await (dataSource as ShardedDataSource).getRepository(entity).load(streamed(given), options)
          expect(report.rows).toBe(given.length)
          expect(report.shards.every(({ state }) => state === 'loaded')).toBe(true)
          expect(report.shards.reduce((sum, shard) => sum + shard.rows, 0)).toBe(given.length)
        }
        expect(await storedRows(dataSource), `${name} ${JSON.stringify(options)}`).toEqual(stored)
        await deleteRows(dataSource)
      }
    }
  }

  it('every type', () => same([[Wide, () => rowsOf(60, wideOf)]]))

  it('rows that set different columns', () =>
    same([
      [
        Wide,
        () =>
          rowsOf(60, (n) => {
            const row = Object.entries(wideOf(n))
            return Object.fromEntries(
              row.filter(([name], at) => name === 'id' || name === 'name' || (n * at) % 3 === 0),
            )
          }),
      ],
    ]))

  it('instants of a zone whose offset had seconds, and of years that ISO 8601 writes otherwise', async () => {
    const zone = process.env['TZ']
    const instants = [-70_000_000_000_000, -62_135_596_800_001, -1, 0, Date.UTC(1972, 0, 6), Date.UTC(1973, 0) - 1]
    const later = [Date.UTC(1973, 0), Date.UTC(2026, 6, 1, 12), Date.UTC(9999, 11, 31), Date.UTC(10_000, 0)]
    process.env['TZ'] = 'Africa/Monrovia'
    try {
      await same([
        [
          Wide,
          () =>
            [...instants, ...later].map((time, n) => ({
              id: String(n),
              name: 'row',
              local: new Date(time),
              instant: new Date(time),
            })),
        ],
      ])
    } finally {
      if (zone === undefined) delete process.env['TZ']
      else process.env['TZ'] = zone
    }
  })

  it('texts that COPY has a meaning for', () =>
    same([
      [
        Wide,
        () =>
          [
            '\\N',
            '\\D',
            '\\.',
            '\\',
            'a\tb',
            'a\nb',
            'a\r\nb',
            '\b\f\v',
            'NULL',
            '"',
            ',',
            '\\\\N',
            '\u0001',
            ...wide,
          ].map((name, n) => ({
            id: String(n),
            name: name.slice(0, 12),
            words: [name, name],
            tags: [name, ''],
            extra: { [name]: name },
          })),
      ],
    ]))

  it('generated keys, relations by their objects, inheritance', () =>
    same([
      [Seed, () => rowsOf(30, (n) => ({ n }))],
      [Wide, () => rowsOf(9, (n) => ({ id: String(n), name: 'x' }))],
      [
        Leaf,
        () =>
          rowsOf(30, (n) => (n % 2 ? { wideId: String(1 + (n % 9)), n } : { wide: { id: String(1 + (n % 9)) }, n })),
      ],
      [Circle, () => rowsOf(9, (n) => ({ id: n, colour: 'red', radius: n }))],
      [Square, () => rowsOf(9, (n) => ({ id: 100 + n, colour: 'blue', ...(n > 3 && { side: n }) }))],
    ]))
})
