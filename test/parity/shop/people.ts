import {
  Column,
  CreateDateColumn,
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
  Unique,
  UpdateDateColumn,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../../src/index'
import { Country, Product, Review } from './catalog'
import { Order, Wish } from './sales'

@Entity()
@Sharded(hash({ shards: 4 }))
export class Tenant {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToOne(() => Country, { eager: true }) country!: Relation<Country>
  @OneToMany(
    () => User,
    ({ tenant }) => tenant,
  )
  users!: Relation<User>[]
  /** Whom it came by, on any shard. */
  @ManyToOne(
    () => Tenant,
    ({ brought }) => brought,
    { nullable: true, createForeignKeyConstraints: false },
  )
  broughtBy!: Promise<Tenant | null>
  @OneToMany(
    () => Tenant,
    ({ broughtBy }) => broughtBy,
  )
  brought!: Promise<Tenant[]>
}

export class Contact {
  @Column('text', { nullable: true }) phone!: string | null
  @Column('boolean', { default: false }) mayCall!: boolean
}

@Entity('app_user')
@Sharded({ colocatedWith: () => Tenant })
@Unique(['tenantId', 'email'])
export class User {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') tenantId!: number
  @ManyToOne(
    () => Tenant,
    ({ users }) => users,
    { onDelete: 'CASCADE' },
  )
  tenant!: Relation<Tenant>
  @Column('text') email!: string
  @Column('text') name!: string
  @Column(() => Contact) contact!: Contact
  @CreateDateColumn() createdAt!: Date
  @UpdateDateColumn() updatedAt!: Date
  @ManyToOne(() => User, { nullable: true, onDelete: 'SET NULL' }) referrer!: Relation<User> | null
  @OneToOne(
    () => Profile,
    ({ user }) => user,
    { cascade: true },
  )
  profile!: Relation<Profile> | null
  @OneToMany(
    () => Address,
    ({ user }) => user,
    { cascade: true },
  )
  addresses!: Relation<Address>[]
  @OneToMany(
    () => Order,
    ({ user }) => user,
  )
  orders!: Promise<Order[]>
  @OneToMany(
    () => Review,
    ({ author }) => author,
  )
  reviews!: Relation<Review>[]
  @OneToMany(
    () => Wish,
    ({ user }) => user,
    { cascade: true },
  )
  wishes!: Relation<Wish>[]
  /** The links lie with the user, the products on shards of their own. */
  @ManyToMany(
    () => Product,
    ({ followers }) => followers,
    { cascade: ['insert'], createForeignKeyConstraints: false },
  )
  @JoinTable()
  followed!: Relation<Product>[]
}

/** Its rows lie with their users, whose tenant it has no property for. */
@Entity()
@Sharded({ colocatedWith: () => Tenant }, { perShardUnique: true })
@ShardKey({ from: 'user' })
export class Profile {
  @PrimaryGeneratedColumn('uuid') id!: string
  @OneToOne(
    () => User,
    ({ profile }) => profile,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn()
  user!: Relation<User>
  @Column('text') bio!: string
  @Column('date', { nullable: true }) born!: string | null
}

@Entity()
@Sharded({ colocatedWith: () => Tenant })
export class Address {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') tenantId!: number
  @ManyToOne(
    () => User,
    ({ addresses }) => addresses,
    { onDelete: 'CASCADE', orphanedRowAction: 'delete' },
  )
  user!: Relation<User>
  @Column('text') street!: string
  @ManyToOne(() => Country) country!: Relation<Country>
}
