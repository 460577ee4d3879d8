import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation, Unique } from 'typeorm'
import { hash, Sharded, ShardedId, ShardKey } from '../../../src/index'

@Entity()
@Sharded(hash({ shards: 8 }))
export class Customer {
  @ShardKey()
  @PrimaryColumn('bigint')
  @ShardedId()
  id!: string

  @Column('text')
  name!: string

  @OneToMany(
    () => Purchase,
    (purchase) => purchase.customer,
    { cascade: true },
  )
  purchases!: Relation<Purchase>[]
}

@Entity()
@Sharded({ colocatedWith: () => Customer }, { perShardUnique: true })
@Unique('purchase_number', ['customerId', 'number'])
export class Purchase {
  @PrimaryColumn('bigint')
  @ShardedId()
  id!: string

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @Column('int', { default: 0 })
  number!: number

  @Column('int', { default: 0 })
  total!: number

  @ManyToOne(
    () => Customer,
    (customer) => customer.purchases,
  )
  @JoinColumn({ name: 'customerId' })
  customer!: Relation<Customer>

  @OneToMany(
    () => Line,
    (line) => line.purchase,
    { cascade: true },
  )
  lines!: Relation<Line>[]
}

@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Line {
  @PrimaryColumn('uuid')
  @ShardedId('uuid')
  id!: string

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @Column('bigint')
  purchaseId!: string

  @Column('text', { default: '' })
  text!: string

  @ManyToOne(
    () => Purchase,
    (purchase) => purchase.lines,
  )
  @JoinColumn({ name: 'purchaseId' })
  purchase!: Relation<Purchase>
}

/** Ids that a JavaScript number holds. */
@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Note {
  @PrimaryColumn('double precision')
  @ShardedId('53-bit')
  id!: number

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @Column('text', { default: '' })
  text!: string
}

/** Ids that are counted. */
@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Ticket {
  @PrimaryColumn('int')
  @ShardedId('sequence')
  id!: number

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @Column('text', { default: '' })
  text!: string
}

export const shop = [Customer, Purchase, Line, Note, Ticket] as const
