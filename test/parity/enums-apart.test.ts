import {
  Column,
  type DataSource,
  Entity,
  type EntityManager,
  In,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openingMs, openTargets } from '../support/targets'

/** Not in the order of the alphabet. */
const states = ['open', 'closed', 'Lost'] as const
const sizes = ['xl', 'm', 's'] as const

@Entity()
@Sharded(hash({ shards: 4 }))
class Product {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { nullable: true }) note!: string | null
  @Column('enum', { enum: sizes }) size!: string
  @Column('enum', { enum: sizes, array: true, nullable: true }) sizes!: string[] | null
  @OneToMany(
    () => Line,
    (line) => line.product,
  )
  lines!: Relation<Line>[]
}

/** Of a group of its own: on each of its shards, its enums are other types. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Line {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('enum', { enum: states, nullable: true }) state!: string | null
  @Column('enum', { enum: states, array: true, nullable: true }) states!: string[] | null
  @ManyToOne(
    () => Product,
    (product) => product.lines,
    { nullable: true },
  )
  product!: Relation<Product> | null
}

/** Of the home node. */
@Entity()
class Shelf {
  @PrimaryColumn('int') id!: number
  @Column('int') room!: number
  @Column('text', { nullable: true }) label!: string | null
}

/** Of every node. */
@Entity()
@ReferenceTable()
class Rack {
  @PrimaryColumn('int') id!: number
  @Column('text', { nullable: true }) label!: string | null
}

const seed = async ({ manager }: DataSource): Promise<void> => {
  const ids = Array.from({ length: 12 }, (_, index) => index + 1)
  await manager.insert(
    Product,
    ids.map((id) => ({
      id,
      note: id % 2 ? 'odd' : null,
      size: sizes[id % 3] ?? 'm',
      sizes: id % 4 ? [...sizes].slice(id % 3) : null,
    })),
  )
  await manager.insert(
    Line,
    ids.concat(ids.map((id) => id + 12)).map((id) => ({
      id,
      state: states[id % 4] ?? null,
      states: id % 5 ? [...states].slice(id % 3).reverse() : null,
      product: id % 7 ? { id: ((id * 5) % 12) + 1 } : null,
    })),
  )
  await manager.insert(
    Shelf,
    ids.map((id) => ({ id, room: id % 4 })),
  )
}

const queries = [
  'SELECT p.id FROM product p WHERE EXISTS (SELECT FROM line l WHERE l.state = \'closed\' AND p.id = l."productId" AND l.id > 6) ORDER BY 1',
  'SELECT p.id, l.id AS l, l.state, l.states, p.size FROM product p JOIN line l ON l."productId" = p.id ORDER BY l.state, p.size, l.id',
  'SELECT p.*, l.* FROM product p LEFT JOIN line l ON l."productId" = p.id AND l.state > \'open\' ORDER BY p.id, 5 NULLS FIRST',
  'SELECT l.state, max(l.states) AS a, min(p.size) AS s, array_agg(p.size ORDER BY p.size, p.id) AS g FROM product p JOIN line l ON l."productId" = p.id GROUP BY l.state ORDER BY l.state DESC NULLS FIRST',
  'SELECT p.id FROM product p JOIN line l ON p.size::text = l.state::text OR \'Lost\' = ANY (l.states) AND l."productId" = p.id GROUP BY p.id ORDER BY 1',
  'SELECT DISTINCT p.sizes, l.states FROM product p JOIN line l ON l."productId" = p.id ORDER BY 1, 2',
  'SELECT p.id, s.room, p.size, l.state FROM product p JOIN line l ON l."productId" = p.id JOIN shelf s ON s.id = p.id ORDER BY p.size, l.id',
  'SELECT (l).state AS s, row_to_json(p) AS j FROM product p JOIN line l ON l."productId" = p.id ORDER BY l.id LIMIT 5',
  'SELECT p.id FROM product p WHERE p.sizes IS NOT NULL AND NOT EXISTS (SELECT * FROM line l WHERE l."productId" = p.id AND l.states[1] >= \'closed\') ORDER BY 1',
  'SELECT state::text AS t, state::text AS u FROM line UNION SELECT size::text, note FROM product ORDER BY 1, 2',
  '(SELECT p.size, p.sizes FROM product p JOIN line l ON l."productId" = p.id) EXCEPT SELECT size, sizes FROM product WHERE id < 5 ORDER BY 1, 2',
  'WITH w AS (SELECT l.state, count(*) AS n FROM line l JOIN product p ON p.id = l."productId" GROUP BY 1) SELECT * FROM w WHERE state <> \'open\' ORDER BY state',
  'SELECT p.id, (SELECT l.state FROM line l WHERE l."productId" = p.id ORDER BY l.state, l.id LIMIT 1) AS s FROM product p ORDER BY 2, 1',
  'SELECT id, (SELECT max(state)::text FROM line) AS m FROM product ORDER BY 1',
  "SELECT id FROM shelf WHERE EXISTS (SELECT FROM line WHERE line.id = shelf.id AND state = 'closed') ORDER BY 1",
  'SELECT s.id, l.state, p.size FROM shelf s LEFT JOIN line l ON l.id = s.room LEFT JOIN product p ON p.id = l."productId" ORDER BY l.state, s.id',
]

const writes = [
  'UPDATE product SET note = (SELECT max(l.state)::text FROM line l WHERE l."productId" = product.id) WHERE size <> \'m\' RETURNING *',
  'DELETE FROM line WHERE NOT EXISTS (SELECT FROM product WHERE product.id = line."productId") RETURNING *',
  "DELETE FROM line l WHERE EXISTS (SELECT * FROM product p WHERE p.id = l.\"productId\" AND p.size > 'xl' AND l.state <> 'open') RETURNING l.id, l.states",
  "UPDATE line SET state = 'Lost' WHERE \"productId\" IN (SELECT id FROM product WHERE 's' = ANY (sizes)) RETURNING id, state",
]

/** A query that is gathered, into tables that have no shards. */
const inserts = [
  'INSERT INTO shelf (id, room) SELECT p.id + 100, count(*) FROM product p JOIN line l ON l."productId" = p.id GROUP BY 1 RETURNING id',
  'INSERT INTO shelf (id, room, label) SELECT l.id + 100, $1, \'x\' FROM product p JOIN line l ON l."productId" = p.id WHERE l.id > $2 ON CONFLICT (id) DO NOTHING RETURNING id, label',
  'WITH w AS (SELECT l.id, p.note FROM product p JOIN line l ON l."productId" = p.id) INSERT INTO rack SELECT id + $1, note FROM w WHERE id > $2 RETURNING *',
  'INSERT INTO rack (id, label) SELECT l.id + $1, l.state::text FROM product p JOIN line l ON l."productId" = p.id WHERE l.id > $2 RETURNING *',
]

const finds: Readonly<Record<string, (manager: EntityManager) => Promise<unknown>>> = {
  'by a related enum': (manager) =>
    manager.find(Product, { where: { lines: { state: 'closed' } }, order: { id: 'ASC' } }),
  'by a related array': (manager) =>
    manager.find(Product, { where: { lines: { states: In([['Lost']]) } }, order: { id: 'ASC' } }),
  'with what is related': (manager) =>
    manager.find(Product, {
      where: { lines: { state: 'closed' } },
      relations: { lines: true },
      order: { id: 'ASC', lines: { id: 'ASC' } },
    }),
  'in the order of a related enum': (manager) =>
    manager.find(Line, { relations: { product: true }, order: { product: { size: 'DESC' }, id: 'ASC' }, take: 7 }),
  counted: (manager) => manager.count(Line, { where: { product: { size: 'm' } } }),
  'by a builder that maps': (manager) =>
    manager
      .createQueryBuilder(Product, 'p')
      .leftJoinAndMapMany('p.x', 'p.lines', 'l', "l.state = 'open'")
      .orderBy('p.id')
      .addOrderBy('l.id')
      .getMany(),
}

describe('enums of two groups', () => {
  let open: OpenTargets
  beforeAll(async () => {
    open = await openTargets({
      entities: [Product, Line, Shelf, Rack],
      groups: ['product', 'line'],
      seed,
      inAll: true,
      onThreeNodes: true,
    })
  }, openingMs)
  afterAll(() => open?.close())

  const expectAlike = async (ask: (dataSource: DataSource) => Promise<unknown>) => {
    const expected = await ask(open.plain)
    for (const { name, dataSource } of open.sharded)
      expect({ name, given: await ask(dataSource) }).toEqual({ name, given: expected })
  }

  it.each(queries)('are read: %s', (text) => expectAlike((dataSource) => dataSource.query(text)))

  it.each(Object.entries(finds))('are found %s', (_, find) => expectAlike(({ manager }) => find(manager)))

  const inserted = (text: string) => async (dataSource: DataSource) => {
    const runner = dataSource.createQueryRunner()
    try {
      await runner.startTransaction()
      const rows: { id: number }[] = await runner.query(text, text.includes('$1') ? [1000, 3] : [])
      return [
        rows.toSorted((a, b) => a.id - b.id),
        await runner.query('SELECT * FROM shelf ORDER BY id'),
        await runner.query('SELECT * FROM rack ORDER BY id'),
      ]
    } finally {
      await runner.rollbackTransaction()
      await runner.release()
    }
  }

  it.each(inserts)('are inserted elsewhere: %s', (text) => expectAlike(inserted(text)))

  it.each([
    'INSERT INTO rack (id, label) SELECT l.id + $1, l.state FROM product p JOIN line l ON l."productId" = p.id RETURNING *, $2::int AS n',
    'INSERT INTO rack (id, label) SELECT id + $1, state FROM line WHERE id > $2 RETURNING *',
  ])('are inserted as they are where the home node has a shard with their type: %s', async (text) => {
    const expected = await inserted(text)(open.plain)
    for (const { name, shards, dataSource } of open.sharded) {
      const given = inserted(text)(dataSource)
      // The only shard is on the first node, and the home node is the last.
      if (shards === 1) await expect(given).rejects.toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
      else expect({ name, given: await given }).toEqual({ name, given: expected })
    }
  })

  it.each(writes)('are written: %s', (text) =>
    expectAlike(async (dataSource) => {
      const runner = dataSource.createQueryRunner()
      try {
        await runner.startTransaction()
        const [rows, count] = await runner.query(text)
        const sorted = (rows as { id: number }[]).toSorted((a, b) => a.id - b.id)
        const after = await runner.query('SELECT id, state, states FROM line ORDER BY 1')
        return [sorted, count, after, await runner.query('SELECT id, note FROM product ORDER BY 1')]
      } finally {
        await runner.rollbackTransaction()
        await runner.release()
      }
    }),
  )
})
