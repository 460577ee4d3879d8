import { Column, type DataSource, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { tableOn } from '../../../src/planning/bind-shard-names'
import type { TargetOptions } from '../../support/targets'

/** The root of the group. */
@Entity('acct')
@Sharded(hash({ shards: 3 }), { group: 'acct' })
export class Acct {
  @ShardKey()
  @PrimaryColumn('int')
  k!: number

  @Column('text')
  name!: string

  @Column('int')
  score!: number
}

/** Its rows have a key that is not their primary key, and some accounts have none of them. */
@Entity('ord')
@Sharded({ colocatedWith: () => Acct })
export class Ord {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  k!: number

  @ManyToOne(() => Acct)
  @JoinColumn({ name: 'k' })
  acct!: Relation<Acct>

  @Column('int')
  qty!: number

  @Column('text', { nullable: true })
  status!: string | null

  /** Of no fixed scale: equal values may be written differently. */
  @Column('numeric')
  amount!: string

  @Column('jsonb', { nullable: true })
  doc!: object | null

  @Column('timestamptz', { default: () => 'now()' })
  created!: Date
}

@Entity('item')
@Sharded({ colocatedWith: () => Acct })
export class Item {
  @PrimaryColumn('int')
  n!: number

  @ShardKey()
  @Column('int')
  k!: number

  @Column('int')
  ordId!: number

  @Column('text')
  label!: string
}

/** Of a group of its own. */
@Entity('memo')
@Sharded(hash({ shards: 3 }), { group: 'memo' })
export class Memo {
  @ShardKey()
  @PrimaryColumn('int')
  m!: number

  @Column('int', { nullable: true })
  qty!: number | null

  @Column('text')
  note!: string
}

/** Unsharded. */
@Entity('ref')
export class Ref {
  @PrimaryColumn('int')
  id!: number

  @Column('text')
  code!: string

  @Column('text', { nullable: true })
  label!: string | null
}

const words = ['ash', 'birch', 'cedar', 'elm']
const statuses = ['new', 'paid', null, 'sent', 'back']

/**
 * Tables as they are after years: a column of the middle of the class was added later and stands last, and one is of no
 * property.
 */
const changes = [
  ['item', 'DROP COLUMN k, ADD k int NOT NULL'],
  ['item', "ADD left_over text DEFAULT 'old'"],
  ['ref', 'DROP COLUMN code, ADD code text NOT NULL'],
  ['ref', "ADD left_over text DEFAULT 'older'"],
] as const

async function ageTables(dataSource: DataSource): Promise<void> {
  for (const [table, change] of changes) {
    if (!(dataSource instanceof ShardedDataSource) || table === 'ref') {
      await dataSource.query(`ALTER TABLE ${table} ${change}`)
      continue
    }
    for (const shard of dataSource.shards(Item))
      await dataSource.shard(shard.name).query(`ALTER TABLE ${tableOn(table, shard)} ${change}`)
  }
}

/** Writes the rows that all sides hold. */
export async function openLedger(dataSource: DataSource): Promise<void> {
  await ageTables(dataSource)
  const { manager } = dataSource
  await manager.insert(
    Acct,
    Array.from({ length: 20 }, (_, index) => ({
      k: index + 1,
      name: `${words[index % 4]}-${index}`,
      score: (index * 7) % 11,
    })),
  )
  await manager.insert(
    Ord,
    Array.from({ length: 60 }, (_, index) => ({
      id: index + 1,
      // The accounts 16 to 20 have none.
      k: ((index * 7) % 15) + 1,
      qty: (index * 5) % 9,
      status: statuses[index % 5] ?? null,
      amount: `${(index * 3) % 10}.${index % 10}`,
      doc: index % 4 === 0 ? null : { a: index % 3, b: [index] },
      created: new Date(Date.UTC(2026, 0, 1 + (index % 28))),
    })),
  )
  await manager.insert(
    Item,
    Array.from({ length: 40 }, (_, index) => ({
      n: index + 1,
      k: ((index * 7) % 15) + 1,
      ordId: index + 1,
      label: words[index % 4] ?? '',
    })),
  )
  await manager.insert(
    Memo,
    Array.from({ length: 12 }, (_, index) => ({
      m: index + 1,
      qty: index % 4 === 3 ? null : (index * 3) % 7,
      note: words[(index * 3) % 4] ?? '',
    })),
  )
  await manager.insert(
    Ref,
    Array.from({ length: 9 }, (_, index) => ({
      id: index,
      code: `c${index}`,
      label: index % 3 === 0 ? null : `l${index}`,
    })),
  )
}

/** A ledger of accounts with orders and items, memos beside it, and a table of the home node. */
export const ledger: TargetOptions = {
  entities: [Acct, Ord, Item, Memo, Ref],
  groups: ['acct', 'memo'],
  seed: openLedger,
}
