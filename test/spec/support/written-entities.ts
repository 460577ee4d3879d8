import { Column, DeleteDateColumn, Entity, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { hash, list, Sharded, ShardKey } from '../../../src/index'

/** The shard key is the primary key. */
@Entity()
@Sharded(hash({ shards: 4 }), { group: 'account' })
export class Account {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') owner!: string
  @Column('numeric', { default: 0 }) balance!: string
  @Column('text', { nullable: true, unique: true }) code!: string | null
}

/** It lies with its account, and its primary key does not tell where. */
@Entity()
@Sharded({ colocatedWith: () => Account })
export class Entry {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') accountId!: number
  @Column('int') amount!: number
  @Column('enum', { enum: ['open', 'done'] }) state!: string
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(() => Account)
  account!: Relation<Account>
}

/** Its rows may move. */
@Entity()
@Sharded(list({ shards: { eu: ['de', 'fr'], us: ['us'], rest: ['jp', 'br'] } }), { onKeyChange: 'move' })
export class Customer {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') country!: string
  @Column('text') name!: string
}

/** It lies apart from accounts. */
@Entity()
@Sharded(hash({ shards: 2 }), { group: 'account-log' })
export class Log {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') text!: string
}

@Entity()
export class Note {
  @PrimaryColumn('int') id!: number
  @Column('text') text!: string
}

export const writtenEntities = [Account, Entry, Customer, Log, Note] as const
