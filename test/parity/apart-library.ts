import {
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'

/** Of no group: its rows are on the home node. */
@Entity()
export class Room {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

@Entity()
@ReferenceTable()
export class Genre {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Shelf {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(() => Room, { cascade: ['insert', 'remove'] }) room!: Relation<Room> | null
  @ManyToOne(() => Genre, { cascade: ['insert', 'remove'] }) genre!: Relation<Genre> | null
  @OneToMany(
    () => Book,
    (book) => book.shelf,
    { cascade: true },
  )
  books!: Relation<Book>[]
  @OneToMany(
    () => Note,
    (note) => note.shelf,
  )
  notes!: Relation<Note>[]
  @OneToMany(
    () => Card,
    (card) => card.shelf,
    { cascade: ['insert'] },
  )
  cards!: Relation<Card>[]
  @OneToMany(
    () => Tape,
    (tape) => tape.shelf,
    { cascade: ['soft-remove', 'recover'] },
  )
  tapes!: Relation<Tape>[]
  @OneToMany(
    () => Chart,
    (chart) => chart.shelf,
  )
  charts!: Relation<Chart>[]
  @OneToMany(
    () => Sticker,
    (sticker) => sticker.shelf,
  )
  stickers!: Relation<Sticker>[]
  @OneToOne(
    () => Plan,
    (plan) => plan.shelf,
  )
  plan!: Relation<Plan> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Book {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') title!: string
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.books,
  )
  shelf!: Relation<Shelf> | null
  @OneToMany(
    () => Page,
    (page) => page.book,
    { cascade: true },
  )
  pages!: Relation<Page>[]
  @ManyToOne(() => Cover, { cascade: true }) cover!: Relation<Cover> | null
}

@Entity()
@Sharded({ colocatedWith: () => Book })
export class Page {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') bookId!: number
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(
    () => Book,
    (book) => book.pages,
  )
  @JoinColumn({ name: 'bookId' })
  book!: Relation<Book>
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Cover {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') colour!: string
  @DeleteDateColumn() deletedAt!: Date | null
}

/** No object of it has its shard key. */
@Entity()
@Sharded({ colocatedWith: () => Book })
@ShardKey({ from: 'book' })
export class Sticker {
  @PrimaryColumn('int') id!: number
  @ManyToOne(() => Book) book!: Relation<Book>
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.stickers,
  )
  shelf!: Relation<Shelf> | null
}

/** Cannot be without a shelf: TypeORM deletes what leaves one. */
@Entity()
@Sharded(hash({ shards: 2 }))
export class Note {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.notes,
    { nullable: false },
  )
  shelf!: Relation<Shelf>
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Card {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') box!: number
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.cards,
    { orphanedRowAction: 'delete' },
  )
  shelf!: Relation<Shelf> | null
}

@Entity()
@Sharded({ colocatedWith: () => Card })
export class Tape {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') box!: number
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.tapes,
    { orphanedRowAction: 'soft-delete' },
  )
  shelf!: Relation<Shelf> | null
}

@Entity()
@Sharded({ colocatedWith: () => Card })
export class Chart {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') box!: number
  @ManyToOne(
    () => Shelf,
    (shelf) => shelf.charts,
    { orphanedRowAction: 'disable' },
  )
  shelf!: Relation<Shelf> | null
}

@Entity()
@Sharded({ colocatedWith: () => Card }, { perShardUnique: true })
export class Plan {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') box!: number
  @OneToOne(
    () => Shelf,
    (shelf) => shelf.plan,
  )
  @JoinColumn()
  shelf!: Relation<Shelf> | null
}

export const libraryEntities = [Room, Genre, Shelf, Book, Page, Cover, Sticker, Note, Card, Tape, Chart, Plan] as const
export const libraryGroups = ['shelf', 'book', 'cover', 'note', 'card'] as const

const shelves = [1, 2, 3, 4, 5, 6]

/** Of each kind three things on a shelf. */
export async function writeLibrary({ manager }: DataSource): Promise<void> {
  const things = shelves.flatMap((shelf) =>
    [1, 2, 3].map((index) => ({ id: shelf * 10 + index, box: shelf * 7 + index, shelf: { id: shelf } })),
  )
  await manager.insert(
    Room,
    shelves.map((id) => ({ id, name: `room ${id}` })),
  )
  await manager.insert(
    Genre,
    shelves.map((id) => ({ id, name: `genre ${id}` })),
  )
  await manager.insert(
    Shelf,
    shelves.map((id) => ({ id, name: `shelf ${id}`, room: { id }, genre: { id } })),
  )
  await manager.insert(
    Cover,
    things.map(({ id }) => ({ id, colour: `colour ${id}` })),
  )
  await manager.insert(
    Book,
    things.map(({ id, shelf }) => ({ id, title: `book ${id}`, shelf, cover: { id } })),
  )
  await manager.insert(
    Page,
    things.flatMap(({ id }) => [1, 2].map((index) => ({ id: id * 10 + index, bookId: id }))),
  )
  await manager.insert(
    Sticker,
    [1, 2, 3].map((id) => ({ id, book: { id: 50 + id }, shelf: { id: id < 3 ? 5 : 2 } })),
  )
  await manager.insert(
    Note,
    things.map(({ id, shelf }) => ({ id, shelf })),
  )
  for (const target of [Card, Tape, Chart]) await manager.insert(target, things)
  await manager.insert(
    Plan,
    shelves.map((id) => ({ id, box: id, shelf: { id } })),
  )
}
