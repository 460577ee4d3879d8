import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation, RelationId } from 'typeorm'
import { beforeEach, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Shelf {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column() name!: string
  @OneToMany(
    () => Book,
    (book) => book.shelf,
  )
  books!: Relation<Book>[]
  @RelationId((shelf: Shelf) => shelf.books) bookIds!: number[]
}

@Entity()
@Sharded({ colocatedWith: () => Shelf })
class Book {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') shelfId!: number
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.books,
  )
  @JoinColumn({ name: 'shelfId' })
  shelf!: Relation<Shelf>
  @RelationId((book: Book) => book.shelf) shelfRef!: number
}

onTargets({ entities: [Shelf, Book], groups: ['shelf'] }, (target) => {
  const shelves = () => target.dataSource.getRepository(Shelf)
  const books = () => target.dataSource.getRepository(Book)
  beforeEach(async () => {
    await shelves().save([1, 2, 3, 4, 5].map((id) => ({ id, name: `s${id % 2}` })))
    await books().save([1, 2, 3, 4, 5, 6, 7].map((id) => ({ id, shelfId: 1 + (id % 4) })))
  })

  it('fills what @RelationId asks for, in finds and pages, over shards and on one', async () => {
    const found = await shelves().find({ order: { id: 'ASC' } })
    expect(found.map(({ id, bookIds }) => [id, [...bookIds].sort()])).toEqual([
      [1, [4]],
      [2, [1, 5]],
      [3, [2, 6]],
      [4, [3, 7]],
      [5, []],
    ])
    const page = await shelves().find({ order: { name: 'DESC', id: 'DESC' }, skip: 1, take: 2 })
    expect(page.map(({ id, bookIds }) => [id, [...bookIds].sort()])).toEqual([
      [3, [2, 6]],
      [1, [4]],
    ])
    for (const id of [2, 3]) expect((await shelves().findOneByOrFail({ id })).bookIds).toHaveLength(2)
    expect((await books().find({ order: { id: 'ASC' } })).map(({ shelfRef }) => shelfRef)).toEqual([
      2, 3, 4, 1, 2, 3, 4,
    ])
    expect(await books().findOneBy({ shelfId: 1 })).toEqual({ id: 4, shelfId: 1, shelfRef: 1 })
  })

  it('fills it for query builders and joined entities', async () => {
    const joined = await books()
      .createQueryBuilder('book')
      .innerJoinAndSelect('book.shelf', 'shelf')
      .where('book.id < 4')
      .orderBy('book.id')
      .getMany()
    expect(joined.map(({ shelfRef, shelf }) => [shelfRef, [...shelf.bookIds].sort()])).toEqual([
      [2, [1, 5]],
      [3, [2, 6]],
      [4, [3, 7]],
    ])
  })
})
