import { Client } from 'pg'
import { Column, DataSource, Entity, type Logger, PrimaryColumn } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Word {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') text!: string
  @Column({ type: 'text', collation: 'mine' }) own!: string
  @Column('int') number!: number
  @Column('enum', { enum: ['high', 'low'] }) level!: 'high' | 'low'
}

const letters = ['z', 'ö', 'o', 'Z', 'Ö', 'a', 'A', 'é', '10', '9', 'ß', 'å', 'zz', 'ee']
const words = Array.from({ length: 84 }, (_, id) => ({
  id,
  text: `${letters[(id * 5) % letters.length]}${letters[(id * 3) % 5]}`,
  own: `${letters[(id * 9) % letters.length]}${id % 7}`,
  number: (id * 31) % 200,
  level: id % 3 ? ('low' as const) : ('high' as const),
}))

/** What TypeORM's logger is told as a warning. */
class Warnings implements Logger {
  readonly lines: string[] = []
  log(level: 'log' | 'info' | 'warn', message: unknown): void {
    if (level === 'warn') this.lines.push(String(message))
  }
  logQuery(): void {}
  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
}

let databases: FreshDatabases
let open: DataSource[] = []
let logger: Warnings

beforeEach(async () => {
  databases = await createDatabases(2)
  logger = new Warnings()
})
afterEach(async () => {
  for (const dataSource of open) if (dataSource.isInitialized) await dataSource.destroy()
  open = []
  await databases.drop()
})

const everywhere = () => [...databases.nodes, databases.oracle]

const run = async (url: string | undefined, ...statements: readonly string[]): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

/** Runs a statement over every table `word` of some databases. */
const alterWords = (urls: readonly (string | undefined)[], change: string): Promise<unknown> =>
  Promise.all(
    urls.map((url) =>
      run(
        url,
        `DO $$ DECLARE t text; BEGIN FOR t IN SELECT format('%I.word', schemaname) FROM pg_tables WHERE tablename = 'word'
         LOOP EXECUTE format('ALTER TABLE %s ${change}', t); END LOOP; END $$`,
      ),
    ),
  )

const makeMine = (url: string | undefined, locale: string) =>
  run(url, `CREATE COLLATION mine (provider = icu, locale = '${locale}')`)

const openSharded = async (): Promise<ShardedDataSource> => {
  const [a = '', b = ''] = databases.nodes
  const dataSource = new ShardedDataSource({
    type: 'postgres',
    entities: [Word],
    nodes: { a: { url: a }, b: { url: b } },
    synchronize: true,
    logger,
  })
  open.push(dataSource)
  return dataSource.initialize()
}

const openPlain = async (): Promise<DataSource> => {
  const dataSource = new DataSource({ type: 'postgres', url: databases.oracle, entities: [Word], synchronize: true })
  open.push(dataSource)
  return dataSource.initialize()
}

const openBoth = async () => {
  await Promise.all(everywhere().map((url) => makeMine(url, 'sv')))
  const [sharded, plain] = [await openSharded(), await openPlain()]
  for (const dataSource of [sharded, plain]) await dataSource.getRepository(Word).insert(words)
  return { sharded: sharded.getRepository(Word), plain: plain.getRepository(Word) }
}

const orders = (column: 'text' | 'number') => [
  { order: { [column]: 'ASC', id: 'ASC' } } as const,
  { order: { [column]: 'DESC', id: 'DESC' }, skip: 11, take: 23 } as const,
  { order: { [column]: 'ASC' }, take: 10 } as const,
]

describe('a column that is not as its entity says', () => {
  it('is merged by the collation that it has', async () => {
    const { sharded, plain } = await openBoth()
    await alterWords(everywhere(), 'ALTER COLUMN "text" TYPE text COLLATE "sv-x-icu"')
    for (const options of orders('text')) {
      const expected = await plain.find({ ...options, order: { ...options.order, id: options.order.id ?? 'ASC' } })
      expect(await sharded.find(options)).toEqual(expected)
    }
  })

  it('is refused where the shards do not agree', async () => {
    const { sharded } = await openBoth()
    await alterWords(databases.nodes.slice(1), 'ALTER COLUMN "text" TYPE text COLLATE "sv-x-icu"')
    for (const options of orders('text'))
      await expect(sharded.find(options)).rejects.toMatchObject({
        code: 'COLLATION_DIFFERS',
        details: { order: 'Word.text' },
      })
  })

  it('is ranked by the type that it has, when the rows show that it is another one', async () => {
    const { sharded, plain } = await openBoth()
    await alterWords(everywhere(), 'ALTER COLUMN "number" TYPE text')
    for (const options of orders('number')) {
      const expected = await plain.find({ ...options, order: { ...options.order, id: options.order.id ?? 'ASC' } })
      expect(await sharded.find(options)).toEqual(expected)
    }
  })

  it('is refused where an enum has other labels on another shard', async () => {
    const { sharded, plain } = await openBoth()
    const order = { level: 'DESC', id: 'ASC' } as const
    expect(await sharded.find({ order })).toEqual(await plain.find({ order }))
    await run(databases.nodes[0], `ALTER TYPE "word_00".word_level_enum ADD VALUE 'middle' BEFORE 'low'`)
    await expect(sharded.find({ order })).rejects.toMatchObject({
      code: 'MERGE_ORDER',
      details: { order: 'Word.level', labels: expect.arrayContaining(['{high,low}', '{high,middle,low}']) },
    })
  })
})

describe('collations that nodes do not share', () => {
  it('are reported when the data source initialises, and refused when an order needs them', async () => {
    const [a, b] = databases.nodes
    await makeMine(a, 'sv')
    await makeMine(b, 'de')
    const mine = (await openSharded()).getRepository(Word)
    expect(logger.lines).toEqual([expect.stringMatching(/^Collation "mine" .*: a has icu sv .*, b has icu de /)])
    await mine.insert(words)
    await expect(mine.find({ order: { own: 'ASC' } })).rejects.toMatchObject({
      code: 'COLLATION_DIFFERS',
      details: { entity: 'Word', column: 'own', collation: '"mine"' },
    })
    expect((await mine.find({ order: { text: 'ASC' }, take: 1 })).length).toBe(1)
    expect(await mine.count({ where: { own: 'ö1' } })).toBe(words.filter(({ own }) => own === 'ö1').length)
  })

  it('are reported where one node lacks one', async () => {
    const { sharded } = await openBoth()
    await alterWords(databases.nodes.slice(1), 'ALTER COLUMN own TYPE text COLLATE "C"')
    await run(databases.nodes[1], 'DROP COLLATION mine')
    logger.lines.length = 0
    const [again] = open
    await again?.destroy()
    const dataSource = await again?.setOptions({ synchronize: false } as never).initialize()
    expect(logger.lines).toEqual([expect.stringContaining('b has none of that name')])
    const repository = dataSource?.getRepository(Word) ?? sharded
    await expect(repository.find({ order: { own: 'ASC' } })).rejects.toMatchObject({ code: 'COLLATION_DIFFERS' })
  })

  it('are reported where a version was recorded that the library has left behind', async () => {
    await Promise.all(everywhere().map((url) => makeMine(url, 'sv')))
    await run(databases.nodes[1], `UPDATE pg_collation SET collversion = '0.5' WHERE collname = 'mine'`)
    const dataSource = await openSharded()
    expect(logger.lines).toEqual([
      expect.stringMatching(/^Node b: collation "mine" was made with version 0\.5, the server has \d/),
    ])
    // What sorts is the library, and that is the same on both.
    expect(await dataSource.getRepository(Word).find({ order: { own: 'ASC' }, take: 5 })).toEqual([])
  })

  it('are no matter where all is well', async () => {
    const { sharded, plain } = await openBoth()
    expect(logger.lines).toEqual([])
    const order = { own: 'DESC', id: 'ASC' } as const
    expect(await sharded.find({ order, skip: 5, take: 50 })).toEqual(await plain.find({ order, skip: 5, take: 50 }))
  })
})
