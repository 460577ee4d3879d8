import {
  Column,
  CreateDateColumn,
  DeleteDateColumn,
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
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../../src/index'

export type Tier = 'silver' | 'bronze' | 'gold'
export type Status = 'pending' | 'paid' | 'shipped' | 'cancelled'

/** An embedded, so that property paths with dots are met. */
export class Address {
  @Column('text')
  city!: string

  @Column('text', { nullable: true })
  postcode!: string | null
}

/** The root of the group: its primary key is the shard key. One column of each type that a merge could get wrong. */
@Entity()
@Sharded(hash({ shards: 3 }))
export class Customer {
  @ShardKey()
  @PrimaryColumn('bigint')
  id!: string

  @Column('text')
  name!: string

  @Column('varchar', { nullable: true })
  email!: string | null

  /** Declared in an order that is not that of the alphabet. */
  @Column('enum', { enum: ['silver', 'bronze', 'gold'] })
  tier!: Tier

  @Column('numeric', { precision: 14, scale: 4, nullable: true })
  balance!: string | null

  @Column('double precision', { nullable: true })
  score!: number | null

  @Column('int')
  points!: number

  @Column('boolean')
  active!: boolean

  @Column('jsonb', { nullable: true })
  profile!: { readonly lang: string; readonly level: number; readonly nested: { readonly vip: boolean } } | null

  @Column('text', { array: true })
  tags!: string[]

  /** Differs between customers in microseconds only, which a JavaScript Date cannot hold. */
  @Column({ type: 'timestamptz', precision: 6 })
  seenAt!: Date

  /** Stored with a mark in front. */
  @Column('text', {
    nullable: true,
    transformer: {
      to: (value: unknown) => (typeof value === 'string' ? `~${value}` : value),
      from: (value: unknown) => (typeof value === 'string' ? value.slice(1) : value),
    },
  })
  nickname!: string | null

  @Column('text', { select: false })
  secret?: string

  @Column(() => Address)
  address!: Address

  @VersionColumn()
  version!: number

  @DeleteDateColumn()
  deletedAt!: Date | null

  @OneToMany(
    () => Order,
    (order) => order.customer,
  )
  orders!: Relation<Order>[]

  @OneToMany(
    () => Category,
    (category) => category.customer,
  )
  categories!: Relation<Category>[]

  /** For joins that map. */
  paidOrders?: Order[]
  firstOrder?: Order | null
  orderIds?: string[]
}

/** Its table is named as a reserved word; its primary key is not the shard key. */
@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Order {
  @PrimaryColumn('uuid')
  id!: string

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @ManyToOne(
    () => Customer,
    (customer) => customer.orders,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'customerId' })
  customer!: Relation<Customer>

  @Column('int')
  number!: number

  @Column('enum', { enum: ['pending', 'paid', 'shipped', 'cancelled'], default: 'pending' })
  status!: Status

  @Column('numeric', { precision: 12, scale: 2 })
  total!: string

  @Column('timestamptz')
  placedAt!: Date

  @Column('text', { nullable: true })
  note!: string | null

  @VersionColumn()
  version!: number

  @UpdateDateColumn()
  updatedAt!: Date

  @DeleteDateColumn()
  deletedAt!: Date | null

  @OneToMany(
    () => Item,
    (item) => item.order,
  )
  items!: Relation<Item>[]

  @OneToOne(
    () => Payment,
    (payment) => payment.order,
    { eager: true },
  )
  payment!: Relation<Payment> | null

  @ManyToMany(
    () => Category,
    (category) => category.orders,
  )
  @JoinTable({ name: 'order_category' })
  categories!: Relation<Category>[]

  /** For joins that map. */
  cheapItems?: Item[]
}

@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Item {
  @PrimaryColumn('bigint')
  id!: string

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @Column('uuid', { nullable: true })
  orderId!: string | null

  @ManyToOne(
    () => Order,
    (order) => order.items,
    { onDelete: 'CASCADE', nullable: true },
  )
  @JoinColumn({ name: 'orderId' })
  order!: Relation<Order> | null

  @Column('varchar')
  sku!: string

  @Column('int')
  quantity!: number

  @Column('numeric', { precision: 10, scale: 2 })
  price!: string

  @Column('jsonb')
  attributes!: { readonly colour: string; readonly weight: number }
}

/** The other side of a one-to-one. */
@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Payment {
  @PrimaryColumn('uuid')
  orderId!: string

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @OneToOne(
    () => Order,
    (order) => order.payment,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'orderId' })
  order!: Relation<Order>

  @Column('varchar')
  method!: string

  @Column('numeric', { precision: 12, scale: 2 })
  amount!: string
}

/** Its primary key has two columns, one of them the shard key; many-to-many with orders. */
@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Category {
  @ShardKey()
  @PrimaryColumn('bigint')
  customerId!: string

  @PrimaryColumn('varchar')
  name!: string

  @ManyToOne(
    () => Customer,
    (customer) => customer.categories,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'customerId' })
  customer!: Relation<Customer>

  @Column('int')
  rank!: number

  @ManyToMany(
    () => Order,
    (order) => order.categories,
  )
  orders!: Relation<Order>[]
}

/** What the database or TypeORM fills: a uuid, a default, a date. */
@Entity()
@Sharded({ colocatedWith: () => Customer })
export class Visit {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @Column('bigint')
  customerId!: string

  @Column('varchar', { default: 'web' })
  channel!: string

  @Column('int', { default: 1 })
  pages!: number

  @CreateDateColumn()
  at!: Date
}

/** The root of another group. */
@Entity()
@Sharded(hash({ shards: 3 }))
export class Warehouse {
  @ShardKey()
  @PrimaryColumn('varchar')
  code!: string

  @Column('text')
  city!: string

  @Column('int')
  capacity!: number
}

/** Unsharded: lives on the home node. */
@Entity()
export class Setting {
  @PrimaryGeneratedColumn()
  id!: number

  @Column({ unique: true })
  name!: string

  @Column('int', { default: 0 })
  value!: number
}

export const shop = {
  entities: [Customer, Order, Item, Payment, Category, Visit, Warehouse, Setting],
  groups: ['customer', 'warehouse'],
} as const
