import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  Index,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  TableInheritance,
  VersionColumn,
} from 'typeorm'
import { Sharded, ShardKey, time } from '../../../src/index'
import { Product } from './catalog'
import { Address, Tenant, User } from './people'

export type Status = 'open' | 'paid' | 'sent'

/** Numbered by its tenant. */
@Entity('purchase')
@Sharded({ colocatedWith: () => Tenant })
@Index(['tenantId', 'placedAt'])
export class Order {
  @ShardKey() @PrimaryColumn('int') tenantId!: number
  @PrimaryColumn('int') number!: number
  @Column('enum', { enum: ['open', 'paid', 'sent'], default: 'open' }) status!: Status
  @Column('timestamptz') placedAt!: Date
  @Column('numeric', {
    precision: 12,
    scale: 2,
    default: 0,
    transformer: { to: (value: number) => value, from: (text: string) => Number(text) },
  })
  total!: number
  @VersionColumn() version!: number
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(() => User, { onDelete: 'CASCADE' }) user!: Relation<User>
  @ManyToOne(() => Address, { nullable: true, onDelete: 'SET NULL' }) shipTo!: Relation<Address> | null
  @OneToMany(
    () => Line,
    ({ order }) => order,
    { cascade: true },
  )
  lines!: Relation<Line>[]
  @OneToMany(
    () => Payment,
    ({ order }) => order,
    { cascade: ['insert'] },
  )
  payments!: Relation<Payment>[]
}

/** The key of an order is part of what it refers to it by, and so comes from the order. */
const ofOrder = [
  { name: 'tenantId', referencedColumnName: 'tenantId' },
  { name: 'orderNumber', referencedColumnName: 'number' },
]

@Entity()
@Sharded({ colocatedWith: () => Tenant })
export class Line {
  @ShardKey() @PrimaryColumn('int') tenantId!: number
  @PrimaryColumn('int') orderNumber!: number
  @PrimaryColumn('int') place!: number
  @ManyToOne(
    () => Order,
    ({ lines }) => lines,
    { onDelete: 'CASCADE', orphanedRowAction: 'delete' },
  )
  @JoinColumn(ofOrder)
  order!: Relation<Order>
  /** Products lie on shards of their own. */
  @ManyToOne(() => Product, { cascade: ['insert', 'update'], createForeignKeyConstraints: false })
  product!: Relation<Product>
  @Column('int') quantity!: number
  @Column('numeric', { precision: 10, scale: 2 }) price!: string
}

@Entity()
@Sharded({ colocatedWith: () => Tenant })
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
export class Payment {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') tenantId!: number
  @Column('int') orderNumber!: number
  @ManyToOne(
    () => Order,
    ({ payments }) => payments,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn(ofOrder)
  order!: Relation<Order>
  @Column('numeric', { precision: 12, scale: 2 }) amount!: string
}

@ChildEntity('card')
export class CardPayment extends Payment {
  @Column('varchar', { length: 4 }) lastDigits!: string
}

@ChildEntity('transfer')
export class TransferPayment extends Payment {
  @Column('text') iban!: string
}

/** A month a shard. */
@Entity()
@Sharded(time({ every: 'month', from: '2026-01-01', to: '2026-07-01' }))
export class AuditEntry {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('timestamptz') at!: Date
  @Column('text') what!: string
  @Column('int', { nullable: true }) tenantId!: number | null
  @ManyToOne(() => Tenant, { nullable: true, createForeignKeyConstraints: false })
  @JoinColumn({ name: 'tenantId' })
  tenant!: Promise<Tenant | null>
}

/** What a user would like to have: lies with the user. */
@Entity()
@Sharded({ colocatedWith: () => Tenant })
export class Wish {
  @ShardKey() @PrimaryColumn('int') tenantId!: number
  @PrimaryColumn('uuid') userId!: string
  @PrimaryColumn('int') productId!: number
  @ManyToOne(
    () => User,
    ({ wishes }) => wishes,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'userId' })
  user!: Relation<User>
  @ManyToOne(
    () => Product,
    ({ wishes }) => wishes,
    { eager: true, cascade: ['insert'], createForeignKeyConstraints: false },
  )
  @JoinColumn({ name: 'productId' })
  product!: Relation<Product>
  @Column('int', { default: 0 }) rank!: number
}

@Entity()
export class Setting {
  @PrimaryColumn('text') name!: string
  @Column('jsonb') value!: unknown
  @Column('int', { nullable: true }) tenantId!: number | null
  @ManyToOne(() => Tenant, { nullable: true, createForeignKeyConstraints: false })
  @JoinColumn({ name: 'tenantId' })
  tenant!: Relation<Tenant> | null
}
