import { Column, DeleteDateColumn, Entity, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { composite, hash, list, range, Sharded, ShardKey, time } from '../../../src/index'

@Entity()
@Sharded(hash({ shards: 3 }))
export class Item {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('bigint', { nullable: true }) rank!: string | null
  @Column('text') name!: string
  @OneToMany(
    () => Line,
    (line) => line.item,
  )
  lines!: Relation<Line>[]
}

@Entity()
@Sharded({ colocatedWith: () => Item })
export class Line {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn('int') itemId!: number
  @Column('enum', { enum: ['new', 'paid'] }) state!: string
  @ManyToOne(
    () => Item,
    (item) => item.lines,
  )
  item!: Relation<Item>
}

@Entity()
@Sharded(time({ every: 'month', from: '2020-01', to: '2020-05' }))
export class Visit {
  @PrimaryColumn('uuid') id!: string
  @ShardKey() @Column('timestamptz') at!: Date
  @Column('jsonb') data!: object
}

@Entity()
@Sharded(range({ shards: { low: [null, 10], mid: [10, 20], high: [20, null] } }))
export class Score {
  @PrimaryColumn('text') id!: string
  @ShardKey() @Column('int') points!: number
  @Column('boolean') won!: boolean
  @DeleteDateColumn() deletedAt!: Date | null
}

@Entity()
@Sharded(list({ shards: { eu: ['de', 'fr'], us: ['us'], rest: ['jp', 'br'] } }))
export class Place {
  @ShardKey() @PrimaryColumn('text') country!: string
  @PrimaryColumn('text') name!: string
  @Column('numeric', { nullable: true }) height!: string | null
}

@Entity()
@Sharded(composite(list({ shards: { x: ['x'], y: ['y'] } }), hash({ shards: 2 })))
export class Pair {
  @ShardKey() @PrimaryColumn('text') region!: string
  @ShardKey() @PrimaryColumn('int') key!: number
  @Column('double precision') ratio!: number
}

export const specEntities = [Item, Line, Visit, Score, Place, Pair] as const
