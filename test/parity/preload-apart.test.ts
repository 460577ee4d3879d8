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
  VersionColumn,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
class Shelf {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

@Entity()
@ReferenceTable()
class Language {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Book {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') title!: string
  @VersionColumn() version!: number
  @ManyToOne(
    () => Book,
    (book) => book.sequels,
  )
  prequel!: Relation<Book> | null
  @OneToMany(
    () => Book,
    (book) => book.prequel,
  )
  sequels!: Relation<Book>[]
  @OneToMany(
    () => Copy,
    (copy) => copy.book,
    { cascade: true },
  )
  copies!: Relation<Copy>[]
  @OneToMany(
    () => Chapter,
    (chapter) => chapter.book,
  )
  chapters!: Relation<Chapter>[]
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf>
  @ManyToOne(() => Language) language!: Relation<Language>
  @ManyToMany(() => Reader, { createForeignKeyConstraints: false }) @JoinTable() readers!: Relation<Reader>[]
}

@Entity()
@Sharded({ colocatedWith: () => Book })
class Chapter {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') bookId!: number
  @ManyToOne(
    () => Book,
    (book) => book.chapters,
  )
  @JoinColumn({ name: 'bookId' })
  book!: Relation<Book>
  @Column('text') title!: string
  @ManyToOne(() => Reader) editor!: Relation<Reader>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Copy {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') label!: string
  @ManyToOne(
    () => Book,
    (book) => book.copies,
  )
  book!: Relation<Book>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Reader {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

const entities = [Shelf, Language, Book, Chapter, Copy, Reader]

describe('preload of an object with objects of rows elsewhere', () => {
  onTargets({ entities, groups: ['book', 'copy', 'reader'] }, (target) => {
    const manager = () => target.dataSource.manager
    beforeEach(async () => {
      await manager().insert(Shelf, { id: 1, name: 'oak' })
      await manager().insert(Language, { id: 1, name: 'en', shelf: { id: 1 } })
      for (const id of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const prequel = id === 1 ? null : { id: id - 1 }
        await manager().insert(Book, { id, title: `t${id}`, prequel, shelf: { id: 1 }, language: { id: 1 } })
        await manager().insert(Copy, { id, label: `c${id}`, book: { id } })
        await manager().insert(Reader, { id, name: `r${id}` })
        await manager().insert(Chapter, { id: id * 10, bookId: id, title: 'first', editor: { id } })
      }
    })

    it('reads the rows that refer to it, and saves them', async () => {
      const book = await manager().preload(Book, { id: 1, title: 'p', copies: [{ id: 1, label: 'x' }, { id: 5 }] })
      expect(book).toEqual({
        id: 1,
        title: 'p',
        version: 1,
        copies: [
          { id: 1, label: 'x' },
          { id: 5, label: 'c5' },
        ],
      })
      expect(book?.copies[0]).toBeInstanceOf(Copy)
      await manager().save([book].flatMap((one) => one ?? []))
      expect(await manager().find(Copy, { where: { book: { id: 1 } }, order: { id: 'ASC' } })).toEqual([
        { id: 1, label: 'x' },
        { id: 5, label: 'c5' },
      ])
    })

    it('reads the row that it refers to, of another entity and of its own', async () => {
      for (const id of [1, 2, 3, 4, 5, 6, 7, 8])
        expect(await manager().preload(Copy, { id, book: { id: 9 - id, title: 'new' } })).toEqual({
          id,
          label: `c${id}`,
          book: { id: 9 - id, title: 'new', version: 1 },
        })
      for (const id of [2, 3, 4, 5, 6, 7, 8])
        expect(await manager().preload(Book, { id, prequel: { id: id - 1, title: 'new' } })).toEqual({
          id,
          title: `t${id}`,
          version: 1,
          prequel: { id: id - 1, title: 'new', version: 1 },
        })
    })

    it('reads unsharded rows, reference tables and links, and leaves what is beyond', async () => {
      const readers = [{ id: 3 }, { id: 4, name: 'z' }]
      const language = { id: 1 }
      for (const id of [1, 2, 3, 4])
        expect(await manager().preload(Book, { id, shelf: { id: 1 }, readers, language })).toEqual({
          id,
          title: `t${id}`,
          version: 1,
          shelf: { id: 1, name: 'oak' },
          readers: [
            { id: 3, name: 'r3' },
            { id: 4, name: 'z' },
          ],
          language: { id: 1, name: 'en' },
        })
      const chapters = [{ id: 50, title: 'x', editor: { id: 6 }, language: { id: 1 } }]
      expect(await manager().preload(Book, { id: 5, chapters })).toMatchObject({
        title: 't5',
        chapters: [{ id: 50, bookId: 5, title: 'x', editor: { id: 6 } }],
      })
      expect(await manager().preload(Chapter, { id: 50, editor: { id: 6 } })).toEqual({
        id: 50,
        bookId: 5,
        title: 'first',
        editor: { id: 6, name: 'r6' },
      })
    })

    it('leaves what is not stored as it is given', async () => {
      expect(await manager().preload(Copy, { id: 3, book: { id: 99, title: 'n' } })).toEqual({
        id: 3,
        label: 'c3',
        book: { id: 99, title: 'n' },
      })
      expect(await manager().preload(Copy, { id: 99, book: { id: 1 } })).toBeUndefined()
    })

    it('does so in a transaction', async () => {
      await manager().transaction(async (inner) => {
        expect(await inner.preload(Copy, { id: 3, book: { id: 4 } })).toMatchObject({
          label: 'c3',
          book: { title: 't4' },
        })
        expect(await inner.preload(Book, { id: 5, prequel: { id: 4, prequel: { id: 3 } } })).toMatchObject({
          title: 't5',
          prequel: { title: 't4', prequel: { title: 't3' } },
        })
      })
    })
  })
})
