import { Client } from 'pg'
import {
  Column,
  DataSource,
  Entity,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  type Repository,
} from 'typeorm'
import { hash, Sharded, ShardedDataSource, type ShardedDataSourceOptions, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'
import type { Rng } from './rng'

/** Texts that differ and are equal to the collation: case does not count in it. */
const collation = `CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`

export const moods = ['sad', 'fine', 'glad', 'Zest'] as const

class Place {
  @Column('int', { nullable: true })
  floor!: number | null

  @Column('varchar', { length: 20 })
  room!: string
}

export interface Item {
  id: string
  ownerId: string
  owner: Owner
  tags: Tag[]
}
export interface Owner {
  id: string
  name: string | null
}
export interface Tag {
  id: string
  itemId: string
  word: string
}

/** The same entities twice over: TypeORM's decorators know a class once, and it is sharded or not. */
function makeEntities(prefix: string, decorate: (colocated: (() => new () => object) | undefined) => ClassDecorator) {
  @Entity(`${prefix}_owner`)
  @decorate(undefined)
  class OwnerEntity implements Owner {
    @ShardKey()
    @PrimaryColumn('bigint')
    id!: string

    @Column('text', { nullable: true })
    name!: string | null

    @OneToMany(() => ItemEntity, 'owner')
    items!: Relation<ItemEntity>[]
  }

  @Entity(`${prefix}_item`)
  @decorate(() => OwnerEntity)
  class ItemEntity implements Item {
    @PrimaryColumn('bigint')
    id!: string

    @ShardKey()
    @Column('bigint')
    ownerId!: string

    @ManyToOne(() => OwnerEntity, 'items', { nullable: true, createForeignKeyConstraints: false })
    owner!: Relation<OwnerEntity>

    @OneToMany(() => TagEntity, 'item')
    tags!: Relation<TagEntity>[]

    @Column('int')
    small!: number

    @Column('int', { nullable: true })
    count!: number | null

    @Column('numeric', { nullable: true })
    amount!: string | null

    @Column('double precision', { nullable: true })
    ratio!: number | null

    @Column('text')
    word!: string

    @Column({ type: 'text', nullable: true, collation: 'loose' })
    loose!: string | null

    @Column('citext', { nullable: true })
    label!: string | null

    @Column('timestamptz', { nullable: true })
    at!: Date | null

    @Column('timestamp')
    local!: Date

    @Column('date', { nullable: true })
    day!: string | null

    @Column('uuid', { nullable: true })
    token!: string | null

    @Column('enum', { enum: moods, nullable: true })
    mood!: string | null

    @Column('bytea', { nullable: true })
    bytes!: Buffer | null

    @Column('jsonb', { nullable: true })
    doc!: object | null

    @Column('int', { array: true, nullable: true })
    list!: number[] | null

    @Column('boolean')
    flag!: boolean

    @Column('interval', { nullable: true })
    span!: object | null

    @Column('money', { nullable: true })
    price!: string | null

    @Column(() => Place)
    place!: Place
  }

  @Entity(`${prefix}_tag`)
  @decorate(() => OwnerEntity)
  class TagEntity implements Tag {
    @PrimaryColumn('bigint')
    id!: string

    @ShardKey()
    @Column('bigint')
    ownerId!: string

    @Column('bigint')
    itemId!: string

    @ManyToOne(() => ItemEntity, 'tags')
    item!: Relation<ItemEntity>

    @Column('text')
    word!: string
  }
  return { owner: OwnerEntity, item: ItemEntity, tag: TagEntity }
}

const sharded = makeEntities('s', (colocated) =>
  colocated ? Sharded({ colocatedWith: colocated }) : Sharded(hash({ shards: 4 }), { group: 'owner' }),
)
const unsharded = makeEntities('u', () => () => undefined)

const literal = (text: string | null): string => (text === null ? 'NULL' : `'${text.replaceAll("'", "''")}'`)

/** Literals of each column; few, so that there are ties, and the awkward ones among them. */
export const values: Readonly<Record<string, readonly string[]>> = {
  small: ['1', '2', '3'],
  count: ['NULL', '0', '-5', '2147483647', '7'],
  amount: ['NULL', `'NaN'`, `'Infinity'`, `'-Infinity'`, '1.10', '1.1', '12345678901234567890.000000001', '0'],
  ratio: ['NULL', `'NaN'`, `'Infinity'`, `'-Infinity'`, `'-0'`, '0', '0.1', '0.30000000000000004', '1e300', '5e-324'],
  word: ['', 'a', 'A', 'ä', 'é', 'e\u0301', 'z', "it's", ' ', '~', ':keyset_0', '日本'].map(literal),
  loose: [null, 'a', 'A', 'b', 'B', 'á', 'Á', 'ab', 'AB', 'aB'].map(literal),
  label: [null, 'x', 'X', 'xY', 'Xy', 'ß', ''].map(literal),
  at: [
    null,
    '2024-03-31 01:59:59.999999+01',
    '2024-03-31 01:59:59.999998+01',
    '2024-03-31 00:59:59.999999+00',
    '2024-03-31 02:00:00.000001+02',
    '1883-11-18 12:03:57.5-05',
    'infinity',
    '-infinity',
    '0044-03-15 12:00:00+00 BC',
    '12024-01-01 00:00:00.000001+00',
  ].map(literal),
  local: ['2024-01-01 00:00:00.000001', '2024-01-01 00:00:00.000002', '2024-01-01', 'infinity', '0001-01-01 BC'].map(
    literal,
  ),
  day: [null, '2024-02-29', '2024-03-01', '-infinity', '0044-03-15 BC', '12024-01-01'].map(literal),
  token: [null, '00000000-0000-0000-0000-0000000000ff', 'ffffffff-0000-0000-0000-000000000000'].map(literal),
  mood: [null, ...moods].map(literal),
  bytes: [null, '\\x', '\\x00', '\\xff00', '\\x41'].map(literal),
  doc: [null, '{"a":1}', '{"a":1.0}', '[]', '"x"', 'null', '{"b":{"c":"é"}}'].map(literal),
  list: [null, '{}', '{1}', '{1,2}', '{NULL}', '{2}'].map(literal),
  flag: ['true', 'false'],
  span: [null, '1 mon', '30 days', '1 day', '24:00:00', '-1 day +02:03:04.000005', '-3 mons +4 days', 'infinity'].map(
    literal,
  ),
  price: [null, '1.50', '-3', '1000000.01'].map(literal),
  'place.floor': ['NULL', '-1', '0', '2'],
  'place.room': ['', 'a', 'A', 'ä'].map(literal),
}

const columnOf = (path: string): string =>
  path.startsWith('place.') ? `place${path[6]?.toUpperCase()}${path.slice(7)}` : path

/** A row of a table as SQL literals by column. */
export type Row = Readonly<Record<string, string>>

export function makeItem(rng: Rng, id: number, owners: number): Row {
  const cells = Object.entries(values).map(([path, literals]) => [columnOf(path), rng.pick(literals)] as const)
  return { id: String(id), ownerId: String(1 + rng.int(owners)), ...Object.fromEntries(cells) }
}

/** One way to hold the rows, and the repository that pages are asked of. */
export interface Side {
  readonly name: string
  readonly items: () => ReturnType<ShardedDataSource['getRepository']>
  /** The statements since the last call, by node. */
  readonly statements: () => readonly string[]
}

export interface PageWorld {
  readonly oracle: Repository<Item>
  readonly sides: readonly (Omit<Side, 'items'> & { items: () => ItemRepository })[]
  insert(kind: 'owner' | 'item' | 'tag', rows: readonly Row[]): Promise<void>
  deleteItems(ids: readonly string[]): Promise<void>
  empty(): Promise<void>
  end(): Promise<void>
}

type ItemRepository = ReturnType<typeof repositoryOf>
const repositoryOf = (dataSource: ShardedDataSource, target: new () => Item) => dataSource.getRepository<Item>(target)

/** What the texts of values could depend on; times are still in a form that the driver reads. */
const sessionSettings = '-c TimeZone=Asia/Kolkata -c IntervalStyle=sql_standard -c bytea_output=escape'

const cursors = { secret: 'a secret of the tests' }

/** The same rows on plain TypeORM, unsharded, and over 1, 3 and 8 shards. */
export async function openPageWorld(): Promise<PageWorld> {
  const databases: FreshDatabases = await createDatabases(5)
  const urls = [...databases.nodes, databases.oracle]
  const clients = await Promise.all(urls.map(connect))
  for (const client of clients) await client.query(`${collation}; CREATE EXTENSION IF NOT EXISTS citext`)
  const [a = '', b = '', c = '', d = '', e = ''] = databases.nodes
  const open = async (nodes: Record<string, string>, shards: number, more: Partial<ShardedDataSourceOptions>) => {
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [...Object.values(sharded), ...Object.values(unsharded)],
      nodes: Object.fromEntries(Object.entries(nodes).map(([name, url]) => [name, { url }])),
      groups: { owner: { shards: hash({ shards }) } },
      cursors,
      ...more,
    })
    await dataSource.initialize()
    await dataSource.synchronize()
    return dataSource
  }
  const plain = new DataSource({ type: 'postgres', url: databases.oracle, entities: Object.values(sharded) })
  await plain.initialize()
  await plain.synchronize()
  const one = await open({ a }, 1, {})
  const three = await open({ b, c }, 3, { extra: { options: sessionSettings } })
  const eight = await open({ d, e }, 8, { layout: 'table' })
  const all = [one, three, eight]
  const sideOf = (name: string, dataSource: ShardedDataSource, target: new () => Item) => {
    const seen: string[] = []
    dataSource.onStatement(({ node }) => seen.push(node))
    return { name, items: () => repositoryOf(dataSource, target), statements: () => seen.splice(0).sort() }
  }
  const tables = ['owner', 'item', 'tag'] as const
  const target = { oracle: plain }
  return {
    oracle: target.oracle.getRepository<Item>(sharded.item),
    sides: [
      sideOf('unsharded', one, unsharded.item),
      sideOf('1 shard', one, sharded.item),
      sideOf('3 shards', three, sharded.item),
      sideOf('8 shards in layout table', eight, sharded.item),
    ],
    insert: async (kind, rows) => {
      if (rows.length === 0) return
      await plain.query(insertSql(`"s_${kind}"`, rows))
      await one.query(insertSql(`"u_${kind}"`, rows))
      for (const dataSource of all) {
        const key = kind === 'owner' ? 'id' : 'ownerId'
        const shardOf = (row: Row) => dataSource.locate(sharded.owner, row[key]).shard
        for (const shard of new Set(rows.map(shardOf))) {
          const own = rows.filter((row) => shardOf(row) === shard)
          await dataSource
            .getRepository(sharded[kind])
            .onShard(shard)
            .query(insertSql(`"__shard__"."s_${kind}"`, own))
        }
      }
    },
    deleteItems: async (ids) => {
      for (const [kind, column] of [
        ['tag', 'itemId'],
        ['item', 'id'],
      ] as const) {
        const text = (table: string) => `DELETE FROM ${table} WHERE "${column}" IN (${['-1', ...ids].join()})`
        await plain.query(text(`"s_${kind}"`))
        await one.query(text(`"u_${kind}"`))
        for (const dataSource of all)
          await dataSource
            .getRepository(sharded[kind])
            .acrossShards()
            .query(text(`"__shard__"."s_${kind}"`))
      }
    },
    empty: async () => {
      for (const name of [...tables].reverse()) {
        await plain.query(`DELETE FROM "s_${name}"`)
        await one.query(`DELETE FROM "u_${name}"`)
        for (const dataSource of all)
          await dataSource.getRepository(sharded[name]).acrossShards().query(`DELETE FROM "__shard__"."s_${name}"`)
      }
    },
    end: async () => {
      for (const dataSource of [plain, ...all]) await dataSource.destroy()
      await Promise.all(clients.map((client) => client.end()))
      await databases.drop()
    },
  }
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  await client.connect()
  return client
}

function insertSql(table: string, rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {})
  const tuples = rows.map((row) => `(${names.map((name) => row[name] ?? 'NULL').join(', ')})`)
  return `INSERT INTO ${table} (${names.map((name) => `"${name}"`).join(', ')}) VALUES ${tuples.join(', ')}`
}
