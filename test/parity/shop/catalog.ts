import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  Tree,
  TreeChildren,
  TreeParent,
} from 'typeorm'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../../src/index'
import { User } from './people'
import { Wish } from './sales'

@Entity()
@ReferenceTable()
export class Country {
  @PrimaryColumn('varchar', { length: 2 }) code!: string
  @Column('text', { unique: true }) name!: string
  @Column('numeric', { precision: 4, scale: 1 }) vat!: string
}

@Entity()
@Tree('materialized-path')
@ReferenceTable()
export class Category {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @TreeParent({ onDelete: 'CASCADE' }) parent!: Category | null
  @TreeChildren() children!: Category[]
}

@Entity()
@ReferenceTable()
export class Tag {
  @PrimaryGeneratedColumn() id!: number
  @Column('text', { unique: true }) word!: string
}

@Entity()
@Sharded(hash({ shards: 4 }))
export class Product {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @Column('numeric', { precision: 10, scale: 2 }) price!: string
  @Column('int', { default: 0 }) stock!: number
  @Column('jsonb', { default: {} }) facts!: object
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(() => Category, { eager: true }) category!: Relation<Category>
  @ManyToMany(() => Tag, { cascade: ['insert'] }) @JoinTable() tags!: Relation<Tag>[]
  @OneToMany(
    () => Review,
    ({ product }) => product,
    { cascade: true },
  )
  reviews!: Relation<Review>[]
  @OneToMany(
    () => Wish,
    ({ product }) => product,
  )
  wishes!: Promise<Wish[]>
  @ManyToMany(
    () => User,
    ({ followed }) => followed,
    { createForeignKeyConstraints: false },
  )
  followers!: Relation<User>[]
}

/** Lies with its product; who wrote it lies with the users of a tenant. */
@Entity()
@Sharded({ colocatedWith: () => Product })
export class Review {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') productId!: number
  @ManyToOne(
    () => Product,
    ({ reviews }) => reviews,
    { onDelete: 'CASCADE' },
  )
  product!: Relation<Product>
  @ManyToOne(
    () => User,
    ({ reviews }) => reviews,
    { cascade: ['insert', 'update'], createForeignKeyConstraints: false },
  )
  author!: Relation<User>
  @Column('int') rating!: number
  @Column('text', { default: '' }) text!: string
}
