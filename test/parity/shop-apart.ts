import {
  AfterLoad,
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
import { hash, Sharded, ShardKey } from '../../src/index'

/** Of no group: its rows are on the home node. */
@Entity()
export class Category {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @OneToMany(
    () => Product,
    (product) => product.category,
  )
  products!: Relation<Product>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Product {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @Column('numeric', { precision: 8, scale: 2 }) price!: string
  @ManyToOne(
    () => Category,
    (category) => category.products,
  )
  category!: Relation<Category> | null
  @DeleteDateColumn() deletedAt!: Date | null
  @OneToMany(
    () => Review,
    (review) => review.product,
  )
  reviews!: Relation<Review>[]
  @OneToMany(
    () => OrderLine,
    (line) => line.product,
  )
  lines!: Relation<OrderLine>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
export class Customer {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToOne(
    () => Customer,
    (customer) => customer.referred,
  )
  referrer!: Relation<Customer> | null
  @OneToMany(
    () => Customer,
    (customer) => customer.referrer,
  )
  referred!: Relation<Customer>[]
  @OneToMany(
    () => Order,
    (order) => order.customer,
  )
  orders!: Relation<Order>[]
  @OneToOne(
    () => Badge,
    (badge) => badge.customer,
  )
  badge!: Relation<Badge> | null
  @OneToMany(
    () => Review,
    (review) => review.author,
  )
  reviews!: Relation<Review>[]
  @OneToMany(
    () => Visit,
    (visit) => visit.customer,
  )
  visits!: Promise<Visit[]>
  loadedWith: string[] | undefined = undefined
  @AfterLoad() note(): void {
    this.loadedWith = Object.keys(this)
      .filter((name) => name !== 'loadedWith')
      .sort()
  }
}

@Entity({ name: 'purchase' })
@Sharded({ colocatedWith: () => Customer })
export class Order {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') customerId!: number
  @Column('text') state!: string
  @ManyToOne(
    () => Customer,
    (customer) => customer.orders,
    { nullable: false },
  )
  @JoinColumn({ name: 'customerId' })
  customer!: Relation<Customer>
  @OneToMany(
    () => OrderLine,
    (line) => line.order,
  )
  lines!: Relation<OrderLine>[]
}

@Entity()
@Sharded({ colocatedWith: () => Customer })
export class OrderLine {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') customerId!: number
  @Column('int') position!: number
  @ManyToOne(
    () => Order,
    (order) => order.lines,
  )
  order!: Relation<Order>
  /** Its column has no property. */
  @ManyToOne(
    () => Product,
    (product) => product.lines,
  )
  product!: Relation<Product> | null
}

@Entity()
@Sharded({ colocatedWith: () => Product })
export class Review {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') productId!: number
  @Column('int') stars!: number
  @ManyToOne(
    () => Product,
    (product) => product.reviews,
    { nullable: false },
  )
  @JoinColumn({ name: 'productId' })
  product!: Relation<Product>
  @Column('int', { nullable: true }) authorId!: number | null
  @ManyToOne(
    () => Customer,
    (customer) => customer.reviews,
  )
  @JoinColumn({ name: 'authorId' })
  author!: Relation<Customer> | null
}

@Entity()
@Sharded(hash({ shards: 2 }), { perShardUnique: true })
export class Badge {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') colour!: string
  @OneToOne(
    () => Customer,
    (customer) => customer.badge,
    { eager: true, nullable: false },
  )
  @JoinColumn()
  customer!: Relation<Customer>
}

@Entity()
@Sharded({ colocatedWith: () => Product })
export class Visit {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') productId!: number
  @ManyToOne(() => Product)
  @JoinColumn({ name: 'productId' })
  product!: Promise<Product>
  @ManyToOne(
    () => Customer,
    (customer) => customer.visits,
  )
  customer!: Promise<Customer | null>
}

export const shopEntities = [Category, Product, Customer, Order, OrderLine, Review, Badge, Visit] as const
export const shopGroups = ['product', 'customer', 'badge'] as const

const numbers = (length: number): readonly number[] => Array.from({ length }, (_, index) => index + 1)

/** Customers come in the order in which they refer to each other. */
export async function writeShop({ manager }: DataSource): Promise<void> {
  await manager.insert(
    Category,
    numbers(4).map((id) => ({ id, name: `category ${id}` })),
  )
  await manager.insert(
    Product,
    numbers(12).map((id) => ({
      id,
      name: `product ${id % 5}`,
      price: `${id}.50`,
      category: id % 4 === 0 ? null : { id: id % 3 === 0 ? 3 : (id % 2) + 1 },
      deletedAt: id % 6 === 0 ? new Date(Date.UTC(2024, 0, id)) : null,
    })),
  )
  for (const id of numbers(10))
    await manager.insert(Customer, {
      id,
      name: `customer ${id}`,
      referrer: id < 4 || id % 3 === 0 ? null : { id: (id % 3) + 1 },
    })
  await manager.insert(
    Order,
    numbers(30).map((id) => ({ id, customerId: (id % 9) + 1, state: id % 4 === 0 ? 'open' : 'done' })),
  )
  await manager.insert(
    OrderLine,
    numbers(70).map((id) => {
      const order = (id % 25) + 1
      return {
        id,
        customerId: (order % 9) + 1,
        position: (id * 7) % 11,
        order: { id: order },
        product: id % 7 === 0 ? null : { id: (id % 11) + 1 },
      }
    }),
  )
  await manager.insert(
    Review,
    numbers(25).map((id) => ({
      id,
      productId: (id % 12) + 1,
      stars: id % 5,
      authorId: id % 6 === 0 ? null : (id % 8) + 1,
    })),
  )
  await manager.insert(
    Badge,
    numbers(5).map((id) => ({ id, colour: `colour ${id}`, customer: { id: id * 2 } })),
  )
  await manager.insert(
    Visit,
    numbers(15).map((id) => ({
      id,
      productId: (id % 12) + 1,
      // A lazy relation takes a promise, or what it is to be the promise of.
      customer: id % 4 === 0 ? null : { id: (id % 6) + 1 },
    })) as never,
  )
}
