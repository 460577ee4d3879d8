import { Column, Entity, Index, PrimaryColumn } from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src/index'

/** A row of ordinary width. The decorators about shards say nothing to plain TypeORM: both sides use this one class. */
@Entity()
@Sharded(hash({ shards: 16 }))
export class Item {
  @ShardKey() @PrimaryColumn('bigint') id!: string
  @Column() name!: string
  @Column() email!: string
  @Column() city!: string
  @Column('int') amount!: number
  @Column('numeric', { precision: 12, scale: 2 }) price!: string
  @Column() active!: boolean
  @Column('int') rank!: number
  @Index() @Column('timestamptz') createdAt!: Date
  @Column('text', { nullable: true }) note!: string | null
}

/** The same row without shards: it lives on the home node. */
@Entity()
export class Setting {
  @PrimaryColumn('bigint') id!: string
  @Column() name!: string
  @Column() email!: string
  @Column() city!: string
  @Column('int') amount!: number
  @Column('numeric', { precision: 12, scale: 2 }) price!: string
  @Column() active!: boolean
  @Column('int') rank!: number
  @Index() @Column('timestamptz') createdAt!: Date
  @Column('text', { nullable: true }) note!: string | null
}

/** A child: its primary key does not hold the shard key. */
@Entity()
@Sharded({ colocatedWith: () => Item })
export class Line {
  @PrimaryColumn('bigint') id!: string
  @ShardKey() @Column('bigint') itemId!: string
  @Column() text!: string
  @Column('int') amount!: number
}

/** An object to be written, the same for the same number. */
export const itemOf = (number: number): Item =>
  Object.assign(new Item(), {
    id: String(number),
    name: `name ${number}`,
    email: `user${number}@example.org`,
    city: `city ${number % 1000}`,
    amount: number % 10_000,
    price: `${number % 100_000}.25`,
    active: number % 3 === 0,
    rank: (number * 7919) % 1_000_003,
    createdAt: new Date(1_600_000_000_000 + ((number * 7919) % 1_000_003) * 60_000),
    note: null,
  })

/** The columns of `itemOf` for a column `id`, in SQL. */
export const itemColumns = `id, 'name ' || id, 'user' || id || '@example.org', 'city ' || id % 1000, (id % 10000)::int,
  (id % 100000)::numeric(12, 2) + 0.25, id % 3 = 0, (id * 7919 % 1000003)::int,
  timestamptz '2020-09-13 12:26:40Z' + (id * 7919 % 1000003) * interval '1 minute', NULL`

export const itemColumnNames = 'id, name, email, city, amount, price, active, rank, "createdAt", note'
