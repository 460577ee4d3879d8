import {
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src/index'

/** Its primary key is the shard key; most kinds of columns that TypeORM fills. */
@Entity()
@Sharded(hash({ shards: 3 }))
export class Account {
  @ShardKey()
  @PrimaryColumn('bigint')
  id!: string

  @Column()
  owner!: string

  @Column('int', { default: 0 })
  balance!: number

  @Column('numeric', { nullable: true, precision: 20, scale: 4 })
  rate!: string | null

  @Column('varchar', { default: 'open' })
  state!: string

  @Column('varchar', { nullable: true, select: false })
  secret?: string | null

  @VersionColumn()
  version!: number

  @CreateDateColumn()
  createdAt!: Date

  @UpdateDateColumn()
  updatedAt!: Date

  @DeleteDateColumn()
  deletedAt!: Date | null

  @OneToMany(
    () => Entry,
    (entry) => entry.account,
    { cascade: true },
  )
  entries!: Relation<Entry>[]
}

/** Its primary key is generated and is not the shard key. */
@Entity()
@Sharded({ colocatedWith: () => Account })
export class Entry {
  @PrimaryGeneratedColumn('uuid')
  id!: string

  @ShardKey()
  @Column('bigint')
  accountId!: string

  @ManyToOne(
    () => Account,
    (account) => account.entries,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'accountId' })
  account!: Relation<Account>

  @Column('int')
  amount!: number

  @Column('text', { default: '' })
  note!: string
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

export const bank = { entities: [Account, Entry, Setting], groups: ['account'] } as const

/** Twelve keys: on three and on eight shards they reach every node. */
export const ids: readonly string[] = Array.from({ length: 12 }, (_, index) => String(index + 1))

/** Accounts 1 to 12 with balances 10 to 120, of owners a, b and c in turn. */
export const twelveAccounts = (): Pick<Account, 'id' | 'owner' | 'balance'>[] =>
  ids.map((id, index) => ({ id, owner: 'abc'[index % 3] ?? '', balance: 10 * (index + 1) }))
