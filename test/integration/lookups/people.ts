import {
  Column,
  DataSource,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  Unique,
} from 'typeorm'
import {
  GlobalUnique,
  hash,
  LookupIndex,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardKey,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

/** As one database has it. */
@Entity('person')
@Unique('one_name_a_team', ['team', 'name'])
export class PlainPerson {
  @PrimaryColumn('bigint')
  id!: string

  @Column('varchar', { nullable: true, unique: true })
  email!: string | null

  @Column('varchar', { default: 'red' })
  team!: string

  @Column('varchar', { nullable: true })
  name!: string | null

  @Column('varchar', { nullable: true })
  city!: string | null

  @DeleteDateColumn()
  deletedAt!: Date | null

  @OneToMany(
    () => PlainBadge,
    (badge) => badge.person,
    { cascade: true },
  )
  badges!: Relation<PlainBadge>[]
}

@Entity('badge')
export class PlainBadge {
  @PrimaryColumn('int')
  id!: number

  @Column('bigint')
  personId!: string

  @Column('varchar', { unique: true })
  code!: string

  @ManyToOne(
    () => PlainPerson,
    (person) => person.badges,
    { onDelete: 'CASCADE', orphanedRowAction: 'delete' },
  )
  @JoinColumn({ name: 'personId' })
  person!: Relation<PlainPerson>
}

@Entity('person')
@Sharded(hash({ shards: 5 }))
@GlobalUnique('one_name_a_team', ['team', 'name'])
export class Person {
  @ShardKey()
  @PrimaryColumn('bigint')
  id!: string

  @GlobalUnique()
  @Column('varchar', { nullable: true })
  email!: string | null

  @Column('varchar', { default: 'red' })
  team!: string

  @Column('varchar', { nullable: true })
  name!: string | null

  @LookupIndex()
  @Column('varchar', { nullable: true })
  city!: string | null

  @DeleteDateColumn()
  deletedAt!: Date | null

  @OneToMany(
    () => Badge,
    (badge) => badge.person,
    { cascade: true },
  )
  badges!: Relation<Badge>[]
}

@Entity('badge')
@Sharded({ colocatedWith: () => Person })
export class Badge {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('bigint')
  personId!: string

  @GlobalUnique()
  @Column('varchar')
  code!: string

  @ManyToOne(
    () => Person,
    (person) => person.badges,
    { onDelete: 'CASCADE', orphanedRowAction: 'delete' },
  )
  @JoinColumn({ name: 'personId' })
  person!: Relation<Person>
}

/** The same entities in one database and over shards. */
export interface People {
  readonly plain: DataSource
  readonly sharded: ShardedDataSource
  readonly databases: FreshDatabases
  clear(): Promise<void>
  close(): Promise<void>
}

export async function openPeople(options: Partial<ShardedDataSourceOptions> = {}): Promise<People> {
  const databases = await createDatabases(3)
  const [a = '', b = '', c = ''] = databases.nodes
  const plain = await new DataSource({
    type: 'postgres',
    url: databases.oracle,
    entities: [PlainPerson, PlainBadge],
  }).initialize()
  await plain.synchronize()
  const sharded = await new ShardedDataSource({
    type: 'postgres',
    entities: [Person, Badge],
    nodes: { a: { url: a }, b: { url: b }, c: { url: c } },
    ...options,
  } as ShardedDataSourceOptions).initialize()
  await sharded.synchronize()
  return {
    plain,
    sharded,
    databases,
    clear: async () => {
      await plain.query('TRUNCATE person CASCADE')
      await sharded.getRepository(Person).clear({ cascade: true })
    },
    close: async () => {
      await Promise.all([plain.destroy(), sharded.destroy()])
      await databases.drop()
    },
  }
}

/** What code that meets a unique constraint reads of its error. */
export async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
    return 'done'
  } catch (error) {
    const { name, message, code, constraint, detail, table } = error as Record<string, unknown>
    return { name, message, code, constraint, detail, table }
  }
}
