import { Column, Entity, type EntityManager, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Author {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) name!: string
  @OneToMany(
    () => Book,
    (book) => book.author,
  )
  books!: Relation<Book>[]
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Book {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Author,
    (author) => author.books,
  )
  author!: Relation<Author>
}

const ids = Array.from({ length: 40 }, (_, id) => id)

/** More transactions than connections: plain TypeORM has them wait for each other, and ends them all. */
describe('transactions that hold all connections that there are', { timeout: 60_000 }, () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource

  const open = async (poolSize: number) => {
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    // A fresh process: nothing is known of functions, types and rows.
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Author, Book],
      nodes,
      poolSize,
      synchronize: true,
      logging: false,
      // What waits for ever fails by the test's own time.
      connectTimeoutMS: 60_000,
    }).initialize()
  }
  /** All at once. @returns why some have failed */
  const atOnce = async (count: number, work: (manager: EntityManager, id: number) => Promise<unknown>) => {
    const outcomes = await Promise.allSettled(
      ids.slice(0, count).map((id) =>
        dataSource.transaction(async (manager) => {
          await manager.update(Author, { id }, { name: `n${id}` })
          return work(manager, id)
        }),
      ),
    )
    return outcomes.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []))
  }
  const isAtRest = () =>
    ['a', 'b'].every((node) => {
      const { counts, transactions } = dataSource.runtime.pool(node)
      return counts.waiting === 0 && counts.idle === counts.total && transactions.counts.taken === 0
    })

  beforeAll(async () => {
    databases = await createDatabases(2)
    await open(2)
    await dataSource.manager.insert(
      Author,
      ids.map((id) => ({ id })),
    )
    await dataSource.manager.insert(
      Book,
      ids.map((id) => ({ id, author: { id } })),
    )
    await dataSource.destroy()
  }, 60_000)
  afterEach(async () => {
    await dataSource.destroy()
  })
  afterAll(() => databases?.drop())

  it.each([
    [10, 24],
    [3, 12],
    [1, 6],
  ])('gather with pools of %i: %i of them', async (poolSize, count) => {
    await open(poolSize)
    const failed = await atOnce(count, async (manager, id) => {
      const found = await manager.find(Book, { where: { author: { name: `n${id}` } } })
      expect(found.map((book) => book.id)).toEqual([id])
    })
    expect(failed).toEqual([])
    expect(isAtRest()).toBe(true)
  })

  it.each([
    [10, 24],
    [1, 6],
  ])('ask for rows of all shards with pools of %i: %i of them', async (poolSize, count) => {
    await open(poolSize)
    for (let time = 0; time < 2; time += 1)
      expect(
        await atOnce(count, async (manager) => {
          expect(await manager.count(Author)).toBe(ids.length)
          await manager.find(Author, { relations: { books: true } })
        }),
      ).toEqual([])
    expect(isAtRest()).toBe(true)
  })

  it('ask by texts that are all new', async () => {
    await open(10)
    const failed = await atOnce(24, async (manager, id) => {
      const text = `SELECT a.id AS c${id} FROM author a JOIN book b ON b."authorId" = a.id WHERE a.id + ${id} < 50 ORDER BY 1 LIMIT 2`
      expect(await manager.query(text)).toEqual([{ [`c${id}`]: 0 }, { [`c${id}`]: 1 }])
    })
    expect(failed).toEqual([])
  })

  it('and reads outside of them, which asked the same first', async () => {
    await open(3)
    const find = (manager: EntityManager) => manager.find(Book, { where: { author: { id: 1 } } })
    const reads = Array.from({ length: 10 }, () => find(dataSource.manager))
    expect(await atOnce(12, find)).toEqual([])
    expect((await Promise.all(reads)).every((rows) => rows.length === 1)).toBe(true)
  })
})
