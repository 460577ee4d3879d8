import {
  Column,
  Entity,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { composite, hash, list, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Shelf {
  @ShardKey() @PrimaryColumn('int') id!: number
  @OneToMany(
    () => Book,
    (book) => book.shelf,
  )
  books!: Promise<Book[]>
}

@Entity()
@Sharded({ colocatedWith: () => Shelf })
class Book {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') shelfId!: number
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.books,
    { lazy: true },
  )
  @JoinColumn({ name: 'shelfId' })
  shelf!: Promise<Shelf | null>
  @OneToMany(
    () => Page,
    (page) => page.book,
    { lazy: true },
  )
  pages!: Promise<Page[]>
  @ManyToMany(() => Tag, { lazy: true })
  @JoinTable()
  tags!: Promise<Tag[]>
}

@Entity()
@Sharded({ colocatedWith: () => Shelf })
class Tag {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') shelfId!: number
}

@Entity()
@Sharded({ colocatedWith: () => Shelf })
class Page {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') shelfId!: number
  @Column('int') bookId!: number
  @ManyToOne(
    () => Book,
    (book) => book.pages,
  )
  @JoinColumn({ name: 'bookId' })
  book!: Relation<Book>
}

const ids = [1, 2, 3, 4, 5, 6]

describe('an entity made by hand, whose primary key does not tell the shard', () => {
  onTargets({ entities: [Shelf, Book, Page, Tag], groups: ['shelf'] }, (target) => {
    const books = () => target.dataSource.getRepository(Book)
    beforeEach(async () => {
      await target.dataSource.manager.insert(
        Shelf,
        ids.map((id) => ({ id })),
      )
      await books().insert(ids.map((id) => ({ id: 10 * id, shelfId: id })))
      await target.dataSource.manager.insert(
        Page,
        ids.map((id) => ({ id: 100 * id, shelfId: id, bookId: 10 * id })),
      )
    })

    it('loads its lazy relations', async () => {
      for (const id of ids) {
        const book = books().create({ id: 10 * id })
        expect((await book.shelf)?.id).toBe(id)
        expect((await book.pages).map((page) => page.id)).toEqual([100 * id])
      }
      expect(await books().create({ id: 77 }).shelf).toBeNull()
    })

    it('loads them in the transaction of its manager', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.insert(Page, { id: 101, shelfId: 1, bookId: 10 })
        const { relationLoader } = target.dataSource
        const relation = target.dataSource.getMetadata(Book).findRelationWithPropertyPath('pages')
        if (!relation) throw new Error('A book has pages.')
        const found: Page[] = await relationLoader.load(relation, { id: 10 }, manager.queryRunner)
        expect(found.map(({ id }) => id).toSorted()).toEqual([100, 101])
      })
    })

    it('is linked to others of its shard, many at once, and refused those of other shards', async () => {
      const { dataSource } = target
      const shardOf = (shelf: number) =>
        dataSource instanceof ShardedDataSource ? dataSource.locate(Shelf, shelf).shard : undefined
      const tags = Array.from({ length: 300 }, (_, id) => ({ id, shelfId: 1 + (id % 6) }))
      await dataSource.manager.insert(Tag, tags)
      const link = (book: number, ids: readonly number[]) =>
        dataSource.createQueryBuilder().relation(Book, 'tags').of(book).add(ids)
      const own = tags.filter(({ shelfId }) => shardOf(shelfId) === shardOf(2)).map(({ id }) => id)
      const others = tags.filter(({ id }) => !own.includes(id)).map(({ id }) => id)
      await link(20, own)
      for (const other of others.slice(0, 5))
        await expect(link(20, [...own, other])).rejects.toMatchObject({
          code: 'KEY_CONFLICT',
          details: { table: 'book_tags_tag' },
        })
      const linked = await books().create({ id: 20 }).tags
      expect(linked.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(own)
      await expect(link(20, [777])).rejects.toMatchObject({ code: '23503' })
      await expect(link(777, [1])).rejects.toMatchObject({ code: '23503' })
    })

    it('has its relation ids loaded', async () => {
      const relation = target.dataSource.getMetadata(Book).findRelationWithPropertyPath('pages')
      if (!relation) throw new Error('A book has pages.')
      for (const id of ids) {
        const found = await target.dataSource.relationIdLoader.load(relation, books().create({ id: 10 * id }))
        expect(found).toEqual([{ Page_pages_id: 100 * id, Book_id: 10 * id }])
      }
    })
  })
})

@Entity()
@Sharded(composite(list({ shards: { eu: ['de'], us: ['us'], asia: ['jp'] } }), hash({ shards: 2 })))
class Post {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('text') country!: string
  @ShardKey() @Column('int') owner!: number
  @OneToMany(
    () => Reply,
    (reply) => reply.post,
  )
  replies!: Relation<Reply>[]
}

@Entity()
@Sharded({ colocatedWith: () => Post })
class Reply {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') country!: string
  @ShardKey() @Column('int') owner!: number
  @Column('bigint') postId!: string
  @ManyToOne(
    () => Post,
    (post) => post.replies,
  )
  @JoinColumn({ name: 'postId' })
  post!: Relation<Post>
}

describe('an id that leaves several shards', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Post, Reply],
      nodes: { a: { url: a }, b: { url: b } },
      synchronize: true,
    })
    await dataSource.initialize()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('loads relations from all of them', async () => {
    const keys = ['de', 'us', 'jp'].flatMap((country) => [1, 2, 3].map((owner) => ({ country, owner })))
    const posts = await dataSource.getRepository(Post).save(keys)
    await dataSource
      .getRepository(Reply)
      .insert(posts.map(({ id: postId, country, owner }, id) => ({ id, postId, country, owner })))
    const loaded = await Promise.all(
      posts.map(({ id }) => dataSource.createQueryBuilder().relation(Post, 'replies').of(id).loadMany<Reply>()),
    )
    expect(loaded.map((replies) => replies.map(({ id }) => id))).toEqual(posts.map((_, id) => [id]))
  })
})
