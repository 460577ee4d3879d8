import fc from 'fast-check'
import { Client } from 'pg'
import {
  Column,
  DataSource,
  DeleteDateColumn,
  Entity,
  type FindManyOptions,
  Index,
  LessThan,
  Not,
  type ObjectLiteral,
  PrimaryColumn,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  composite,
  custom,
  hash,
  list,
  range,
  Sharded,
  ShardedDataSource,
  type ShardingFunction,
  ShardKey,
  type StatementEvent,
} from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'
import { shareOf } from '../support/share-of'

const moods = ['zeta', 'alpha', 'mid'] as const

abstract class Columns {
  @PrimaryColumn('int') id!: number
  @Column('smallint', { nullable: true }) few!: number | null
  @Index() @Column('text', { nullable: true }) word!: string | null
  @Column({ type: 'text', collation: 'C' }) code!: string
  @Column('timestamptz') at!: Date
  @Column('numeric', { nullable: true }) amount!: string | null
  @Column('double precision', { nullable: true }) ratio!: number | null
  @Column('enum', { enum: moods }) mood!: (typeof moods)[number]
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null
}

@Entity()
@Sharded(hash({ shards: 7 }))
class Row extends Columns {
  @ShardKey() @Column('int') key!: number
}

@Entity()
@Sharded(composite(list({ shards: { x: ['x'], y: ['y'] } }), hash({ shards: 3 })))
class Pair extends Columns {
  @ShardKey() @Column('text') region!: string
  @ShardKey() @Column('int') key!: number
}

const rowCount = 6_000

/** Few values, NULLs, ties, microseconds, accents: made in the database, alike on every machine. */
const columnsSql = `id, CASE WHEN id % 5 = 0 THEN NULL ELSE (id * 7919 % 6)::smallint END AS few,
  CASE WHEN id % 11 = 0 THEN NULL ELSE chr(97 + id * 31 % 26) || chr(192 + id * 17 % 60) || (id % 900) END AS word,
  chr(65 + id * 13 % 58) || id % 70 AS code,
  timestamptz '2024-01-01Z' + (id * 7919 % 4001) * interval '1 microsecond' AS at,
  CASE WHEN id % 7 = 0 THEN NULL WHEN id % 97 = 0 THEN 'NaN' ELSE (id * 37 % 500)::numeric / 8 END AS amount,
  CASE WHEN id % 13 = 0 THEN NULL WHEN id % 89 = 0 THEN 'Infinity' ELSE (id * 41 % 300)::float8 / 7 END AS ratio,
  (ARRAY['zeta', 'alpha', 'mid'])[1 + id % 3] AS mood,
  CASE WHEN id % 50 = 0 THEN now() END AS "deletedAt"`

const names = 'id, few, word, code, at, amount, ratio, mood, "deletedAt"'
const valuesOf = (table: string): string => names.replace('mood', `mood::${table}_mood_enum`)

const orderNames = ['few', 'word', 'code', 'at', 'amount', 'ratio', 'mood', 'key'] as const

const orderArb = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom(...orderNames),
      direction: fc.constantFrom('ASC', 'DESC'),
      nulls: fc.constantFrom(undefined, 'FIRST', 'LAST'),
    }),
    { minLength: 1, maxLength: 3, selector: ({ name }) => name },
  )
  .map((terms) =>
    Object.fromEntries([
      ...terms.map(({ name, direction, nulls }) => [name, nulls === undefined ? direction : { direction, nulls }]),
      ['id', 'ASC'],
    ]),
  )

const whereArb = fc.constantFrom<ObjectLiteral | ObjectLiteral[] | undefined>(
  undefined,
  undefined,
  { id: LessThan(5_200) },
  [{ id: LessThan(3_000) }, { few: 3 }, { mood: Not('zeta') }],
)

describe('deep pages', () => {
  let databases: FreshDatabases
  let plain: DataSource
  const opened: DataSource[] = []
  const events: StatementEvent[] = []

  beforeAll(async () => {
    databases = await createDatabases(2)
    plain = await new DataSource({
      type: 'postgres',
      url: databases.oracle,
      entities: [Row, Pair],
      synchronize: true,
    }).initialize()
    opened.push(plain)
    const source = `generate_series(1, ${rowCount}) id`
    await plain.query(
      `INSERT INTO "row" (${names}, "key") SELECT ${valuesOf('row')}, id * 7919 % 1000 FROM (SELECT ${columnsSql} FROM ${source}) s`,
    )
    await plain.query(
      `INSERT INTO "pair" (${names}, "region", "key") SELECT ${valuesOf('pair')}, CASE WHEN id % 9 = 0 THEN 'x' ELSE 'y' END, id * 7919 % 1000
       FROM (SELECT ${columnsSql} FROM ${source}) s`,
    )
  })
  beforeEach(() => {
    events.length = 0
  })
  afterAll(async () => {
    await Promise.all(opened.map((dataSource) => dataSource.destroy()))
    await databases.drop()
  })

  const openSharded = async (entity: new () => Columns, group: string, shards?: ShardingFunction) => {
    for (const connectionString of databases.nodes) {
      const client = new Client({ connectionString })
      await client.connect()
      const { rows } = await client.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE $1`, [`${group}\\_%`])
      for (const { nspname } of rows) await client.query(`DROP SCHEMA "${nspname}" CASCADE`)
      await client.end()
    }
    const [a = '', b = ''] = databases.nodes
    const dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [entity],
      nodes: { a: { url: a }, b: { url: b } },
      // The shards of another sharding were dropped.
      onTopologyChange: 'replace',
      synchronize: true,
      ...(shards && { groups: { [group]: { shards } } }),
    }).initialize()
    opened.push(dataSource)
    const rows: readonly { readonly json: string }[] = await plain.query(
      `SELECT row_to_json(t)::text AS json FROM "${group}" t`,
    )
    const byShard = new Map<string, string[]>()
    for (const { json } of rows) {
      const { region, key }: ObjectLiteral = JSON.parse(json)
      const { shard } = dataSource.locate(entity, group === 'pair' ? { region, key } : key)
      const own = byShard.get(shard)
      if (own) own.push(json)
      else byShard.set(shard, [json])
    }
    for (const [shard, own] of byShard) {
      const table = `"__shard__"."${group}"`
      await dataSource
        .shard(shard)
        .query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [`[${own.join()}]`])
    }
    dataSource.onStatement((event) => events.push(event))
    return dataSource
  }

  const intervals = (...bounds: number[]) =>
    range({
      shards: Object.fromEntries(
        [null, ...bounds].map((from, index) => [`r${index}`, [from, bounds[index] ?? null]] as const),
      ),
    })

  const kinds: readonly (readonly [string, new () => Columns, string, ShardingFunction | undefined])[] = [
    ['hash', Row, 'row', undefined],
    [
      'a list of which one shard has all rows',
      Row,
      'row',
      list({ shards: { none: [-1], all: [-2], other: [-3] }, otherwise: 'all' }),
    ],
    ['range, with empty shards', Row, 'row', intervals(-5, 100, 400, 401, 402, 700, 5_000)],
    [
      'list',
      Row,
      'row',
      list({ shards: { a: [1, 2, 3], b: Array.from({ length: 400 }, (_, i) => i + 4) }, otherwise: 'c' }),
    ],
    [
      'custom',
      Row,
      'row',
      custom({ shards: ['even', 'odd', 'none'], shardOf: (key) => (Number(key) % 2 === 0 ? 'even' : 'odd') }),
    ],
    ['composite', Pair, 'pair', undefined],
  ]

  it.each(shareOf(kinds))(
    'are those of plain TypeORM, over %s',
    { timeout: 240_000 },
    async (_, entity, group, shards) => {
      const dataSource = await openSharded(entity, group, shards)
      const ours = dataSource.getRepository<ObjectLiteral>(entity)
      const oracle = plain.getRepository<ObjectLiteral>(entity)
      const strategies = new Set<string>()
      await fc.assert(
        fc.asyncProperty(
          orderArb,
          whereArb,
          fc.array(fc.integer({ min: 0, max: rowCount + 50 }), { minLength: 2, maxLength: 3 }),
          fc.integer({ min: 1, max: 30 }),
          async (order, where, offsets, take) => {
            for (const skip of [...offsets, 2_000, 5_870]) {
              const options: FindManyOptions<ObjectLiteral> = {
                order,
                skip,
                take,
                ...(where !== undefined && { where }),
              }
              strategies.add((await ours.explain(options)).page?.strategy ?? '')
              expect(await ours.find(options)).toEqual(await oracle.find(options))
            }
          },
        ),
        { numRuns: 12 },
      )
      expect(strategies).toContain('pivot-counting')
    },
  )
})
