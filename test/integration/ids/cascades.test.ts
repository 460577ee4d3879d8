import 'reflect-metadata'
import {
  CannotAttachTreeChildrenEntityError,
  ChildEntity,
  Column,
  type DataSource,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  type Relation,
  TableInheritance,
  Tree,
  TreeChildren,
  TreeParent,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../../src'
import { createDatabases } from '../../support/databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Shop {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
class Address {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') shopId!: number
  @Column('text') street!: string
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
class Card {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') shopId!: number
  @Column('text') digits!: string
}

/** Its address has to be there, so that it comes behind the addresses and before the cards, which it refers to too. */
@Entity()
@Sharded({ colocatedWith: () => Shop })
class Client {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') shopId!: number
  @ManyToOne(() => Address, { nullable: false, cascade: true }) address!: Relation<Address>
  @ManyToOne(() => Card, { cascade: true }) card!: Relation<Card> | null
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
@TableInheritance({ column: { name: 'kind', type: 'varchar' } })
class Paper {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') shopId!: number
}

@ChildEntity()
class Contract extends Paper {}

/** TypeORM orders the inserts of the two by the base class, of which it finds no object. */
@Entity()
@Sharded({ colocatedWith: () => Shop }, { perShardUnique: true })
class Seal {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') shopId!: number
  @Column('text') text!: string
  @OneToOne(() => Paper, { cascade: true }) @JoinColumn() paper!: Relation<Paper> | null
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
@Tree('closure-table')
class Shelf {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') shopId!: number
  @Column('text') name!: string
  @TreeParent() parent!: Relation<Shelf> | null
  @TreeChildren({ cascade: true }) children!: Relation<Shelf>[]
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
class Clerk {
  @PrimaryColumn('bigint') @ShardedId('sequence') id!: string
  @ShardKey() @Column('int') shopId!: number
  @Column('text') name!: string
  @ManyToOne(() => Clerk, { cascade: true }) head!: Relation<Clerk> | null
  @OneToMany(
    () => Task,
    (task) => task.clerk,
    { cascade: true },
  )
  tasks!: Relation<Task>[]
}

@Entity()
@Sharded({ colocatedWith: () => Shop })
class Task {
  @PrimaryColumn('uuid') @ShardedId('uuid') id!: string
  @ShardKey() @Column('int') shopId!: number
  @Column('text') name!: string
  @ManyToOne(
    () => Clerk,
    (clerk) => clerk.tasks,
  )
  clerk!: Relation<Clerk> | null
}

const entities = [Shop, Address, Card, Client, Paper, Contract, Seal, Shelf, Clerk, Task]

const shopIds = [1, 2, 3, 4, 5, 6]

const created = <T extends object>(dataSource: DataSource, target: new () => T, values: object): T =>
  dataSource.getRepository(target).create(values as never) as unknown as T

describe.each(['schema', 'table'] as const)('a save of new objects that refer to each other, layout %s', (layout) => {
  let databases: Awaited<ReturnType<typeof createDatabases>>
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    dataSource = new ShardedDataSource({ type: 'postgres', entities, nodes, layout, synchronize: true })
    await dataSource.initialize()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('inserts what a nullable foreign key refers to after the row itself', async () => {
    const repository = dataSource.getRepository(Client)
    const saved = await repository.save(
      shopIds.map((shopId) =>
        created(dataSource, Client, {
          shopId,
          address: { shopId, street: `street ${shopId}` },
          card: { shopId, digits: `digits ${shopId}` },
        }),
      ),
    )
    const found = await repository.find({ relations: { address: true, card: true }, order: { shopId: 'ASC' } })
    expect(found.map(({ address, card }) => [address.street, card?.digits])).toEqual(
      shopIds.map((shopId) => [`street ${shopId}`, `digits ${shopId}`]),
    )
    expect(saved.map(({ id }) => id).sort()).toEqual(found.map(({ id }) => id).sort())
    expect(saved.map(({ card }) => card?.id).sort()).toEqual(found.map(({ card }) => card?.id).sort())
  })

  it('inserts an object of a subclass behind the one-to-one that refers to it', async () => {
    const repository = dataSource.getRepository(Seal)
    for (const shopId of shopIds)
      await repository.save(
        created(dataSource, Seal, { shopId, text: `seal ${shopId}`, paper: created(dataSource, Contract, { shopId }) }),
      )
    const found = await repository.find({ relations: { paper: true }, order: { shopId: 'ASC' } })
    expect(found.map(({ text, paper }) => [text, paper instanceof Contract, paper?.shopId])).toEqual(
      shopIds.map((shopId) => [`seal ${shopId}`, true, shopId]),
    )
  })

  it('inserts a tree from its root, and says of a node before its parent what TypeORM says of it', async () => {
    const repository = dataSource.getRepository(Shelf)
    const nodes = (shopId: number) => ({
      root: created(dataSource, Shelf, { shopId, name: `root ${shopId}` }),
      leaf: created(dataSource, Shelf, { shopId, name: `leaf ${shopId}` }),
    })
    for (const shopId of shopIds) {
      const { root, leaf } = nodes(shopId)
      await repository.save(Object.assign(root, { children: [leaf] }))
    }
    const { root, leaf } = nodes(7)
    await expect(repository.save([Object.assign(leaf, { parent: root }), root])).rejects.toThrow(
      CannotAttachTreeChildrenEntityError,
    )
    const found = await repository.find({ relations: { parent: true }, order: { shopId: 'ASC', name: 'ASC' } })
    expect(found.map(({ name, parent }) => [name, parent?.name])).toEqual(
      shopIds.flatMap((shopId) => [
        [`leaf ${shopId}`, `root ${shopId}`],
        [`root ${shopId}`, undefined],
      ]),
    )
  })

  it('inserts chains of one entity, and children that refer to them', async () => {
    for (const shopId of shopIds) {
      const head = created(dataSource, Clerk, { shopId, name: 'head', head: { shopId, name: 'chief' } })
      const clerk = created(dataSource, Clerk, { shopId, name: 'clerk', tasks: [{ shopId, name: 'sweep' }] })
      await dataSource.getRepository(Clerk).save(Object.assign(clerk, { head }))
    }
    const found = await dataSource
      .getRepository(Clerk)
      .find({ relations: { head: { head: true }, tasks: true }, where: { name: 'clerk' }, order: { shopId: 'ASC' } })
    expect(found.map(({ head, tasks }) => [head?.name, head?.head?.name, tasks.map(({ name }) => name)])).toEqual(
      shopIds.map(() => ['head', 'chief', ['sweep']]),
    )
  })
})
