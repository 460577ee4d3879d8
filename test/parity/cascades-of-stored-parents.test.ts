import {
  Column,
  Entity,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 2 }))
class Board {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @OneToMany(
    () => Card,
    (card) => card.board,
    { cascade: true },
  )
  cards!: Relation<Card>[]
}

/** Its shard key is a join column that no property has. */
@Entity()
@Sharded({ colocatedWith: () => Board })
@ShardKey({ from: 'board' })
class Card {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'card' }) title!: string
  @ManyToOne(
    () => Board,
    (board) => board.cards,
    { nullable: false },
  )
  board!: Relation<Board>
  @OneToMany(
    () => Note,
    (note) => note.card,
    { cascade: true },
  )
  notes!: Relation<Note>[]
}

/** Its shard key is a column that no property has. */
@Entity()
@Sharded({ colocatedWith: () => Board })
@ShardKey({ from: 'card' })
class Note {
  @PrimaryGeneratedColumn('uuid') id!: string
  @Column('text') text!: string
  @ManyToOne(
    () => Card,
    (card) => card.notes,
  )
  card!: Relation<Card> | null
  @OneToMany(
    () => Line,
    (line) => line.note,
    { cascade: true },
  )
  lines!: Relation<Line>[]
}

@Entity()
@Sharded({ colocatedWith: () => Board })
@ShardKey({ from: 'note' })
class Line {
  @PrimaryColumn('int') id!: number
  @ManyToOne(
    () => Note,
    (note) => note.lines,
  )
  note!: Relation<Note>
}

/** Its shard key is a column besides its id, as its rows have it. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Invoice {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') customer!: number
  @OneToMany(
    () => Position,
    (position) => position.invoice,
    { cascade: true },
  )
  positions!: Relation<Position>[]
  @ManyToMany(() => Label, { cascade: true }) @JoinTable() labels!: Relation<Label>[]
  @OneToOne(
    () => Letter,
    (letter) => letter.invoice,
    { cascade: true },
  )
  letter!: Relation<Letter> | null
}

@Entity()
@Sharded({ colocatedWith: () => Invoice })
class Position {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { nullable: true }) customer!: number | null
  @Column('text', { default: 'position' }) text!: string
  @ManyToOne(
    () => Invoice,
    (invoice) => invoice.positions,
  )
  invoice!: Relation<Invoice>
}

@Entity()
@Sharded({ colocatedWith: () => Invoice })
class Letter {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { nullable: true }) customer!: number | null
  @OneToOne(
    () => Invoice,
    (invoice) => invoice.letter,
  )
  @JoinColumn()
  invoice!: Relation<Invoice>
}

@Entity()
@Sharded({ colocatedWith: () => Invoice })
class Label {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { nullable: true }) customer!: number | null
}

const entities = [Board, Card, Note, Line, Invoice, Position, Letter, Label]
const boards = [1, 2, 3, 4, 5, 6, 7, 8]

describe('a save that cascades to children of a stored parent whose object has no shard key', () => {
  onTargets({ entities, groups: ['board', 'invoice'] }, (target) => {
    const manager = () => target.dataSource.manager
    const texts = async () =>
      (await manager().find(Note, { relations: { card: true }, order: { text: 'ASC' } })).map(
        ({ text, card }) => `${text} ${card?.id}`,
      )
    /** Every row lies on the shard of its key. */
    const allPlaced = async () => {
      if (!(target.dataSource instanceof ShardedDataSource)) return
      expect((await target.dataSource.verifyPlacement()).filter(({ misplaced }) => misplaced > 0)).toEqual([])
    }
    beforeEach(async () => {
      for (const id of boards) {
        await manager().save(Board, { id, name: `b${id}`, cards: [{ id: id * 10 }, { id: id * 10 + 1 }] })
        await manager().save(Invoice, { id, customer: id * 3, positions: [{ id }] })
      }
    })

    it('takes the key from the row of a loaded parent', async () => {
      for (const id of boards) {
        const card = await manager().findOneByOrFail(Card, { id: id * 10 })
        card.notes = [manager().create(Note, { text: `a${id}` })]
        await manager().save(card)
        const again = await manager().findOneOrFail(Card, { where: { id: id * 10 }, relations: { notes: true } })
        again.title = 'new'
        again.notes.push(manager().create(Note, { text: `b${id}`, lines: [{ id: id * 100 }] }))
        await manager().save(again)
      }
      expect(await texts()).toEqual([...boards.map((id) => `a${id} ${id}0`), ...boards.map((id) => `b${id} ${id}0`)])
      expect(await manager().countBy(Card, { title: 'new' })).toBe(boards.length)
      expect(await manager().count(Line)).toBe(boards.length)
      await allPlaced()
    })

    it('takes the key from the row of a plain object, of several, and of a preloaded one', async () => {
      for (const id of boards) await manager().save(Card, { id: id * 10, notes: [{ text: `a${id}` }] })
      await manager().save(
        Card,
        boards.map((id) => ({ id: id * 10 + 1, title: 'list', notes: [{ text: `b${id}`, lines: [{ id }] }] })),
      )
      await manager().transaction(async (inner) => {
        const card = await inner.preload(Card, { id: 30, title: 'pre', notes: [{ text: 'c' }] })
        await inner.save([card].flatMap((one) => one ?? []))
      })
      expect(await texts()).toEqual([
        ...boards.map((id) => `a${id} ${id === 3 ? undefined : id * 10}`),
        ...boards.map((id) => `b${id} ${id}1`),
        'c 30',
      ])
      await allPlaced()
    })

    it('takes a key that objects have a property for', async () => {
      for (const id of boards) {
        const invoice = await manager().findOneOrFail(Invoice, { where: { id }, select: { id: true } })
        invoice.positions = [
          manager().create(Position, { id: id * 10 }),
          manager().create(Position, { id: id * 10 + 1 }),
        ]
        invoice.labels = [manager().create(Label, { id })]
        invoice.letter = manager().create(Letter, { id })
        await manager().save(invoice)
        await manager().save(Invoice, { id, positions: [{ id: id * 10 }, { id: id * 100, text: 'plain' }] })
      }
      const found = await manager().find(Position, { where: { invoice: { id: 4 } }, order: { id: 'ASC' } })
      expect(found.map(({ id, text }) => [id, text])).toEqual([
        [40, 'position'],
        [400, 'plain'],
      ])
      const invoices = await manager().find(Invoice, { relations: { labels: true }, order: { id: 'ASC' } })
      expect(invoices.map(({ customer, labels }) => [customer, labels.map(({ id }) => id)])).toEqual(
        boards.map((id) => [id * 3, [id]]),
      )
      await allPlaced()
    })

    it('names no hidden property where the parent is not stored', async () => {
      const error: unknown = await manager()
        .save(Note, { text: 'x', card: { id: 999 } })
        .catch((reason: unknown) => reason)
      expect(String(error)).not.toContain('__shardKey')
      if (target.dataSource instanceof ShardedDataSource)
        expect(String(error)).toMatch(/boardId of the shard key Note\.boardId is not set\. Set card to an object/)
    })
  })
})
