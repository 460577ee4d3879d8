import {
  Column,
  DataSource,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Trunk {
  @ShardKey() @PrimaryColumn('int') id!: number
  @OneToMany(
    () => Leaf,
    (leaf) => leaf.trunk,
  )
  leaves!: Relation<Leaf>[]
  @OneToMany(
    () => Fixed,
    (fixed) => fixed.trunk,
  )
  fixed!: Relation<Fixed>[]
  @OneToOne(
    () => Root,
    (root) => root.trunk,
  )
  root!: Relation<Root> | null
}

/** Moves with its trunk. */
@Entity()
@Sharded({ colocatedWith: () => Trunk }, { onKeyChange: 'move' })
class Leaf {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') trunkId!: number
  @ManyToOne(
    () => Trunk,
    (trunk) => trunk.leaves,
    { orphanedRowAction: 'disable' },
  )
  trunk!: Relation<Trunk>
  @Column('text', { default: '' }) note!: string
}

/** Stays where it is. */
@Entity()
@Sharded({ colocatedWith: () => Trunk })
class Fixed {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') trunkId!: number
  @ManyToOne(
    () => Trunk,
    (trunk) => trunk.fixed,
    { orphanedRowAction: 'disable' },
  )
  trunk!: Relation<Trunk>
}

@Entity()
@Sharded({ colocatedWith: () => Trunk }, { onKeyChange: 'move' })
class Root {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') trunkId!: number
  @OneToOne(
    () => Trunk,
    (trunk) => trunk.root,
    { orphanedRowAction: 'disable' },
  )
  @JoinColumn()
  trunk!: Relation<Trunk>
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Shop {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') tenantId!: number
  @OneToMany(
    () => Thing,
    (thing) => thing.shop,
  )
  things!: Relation<Thing>[]
}

/** Has its shard key beside the column that refers to its shop. */
@Entity()
@Sharded({ colocatedWith: () => Shop })
class Thing {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') tenantId!: number
  @ManyToOne(
    () => Shop,
    (shop) => shop.things,
    { orphanedRowAction: 'disable' },
  )
  shop!: Relation<Shop> | null
}

const entities = [Trunk, Leaf, Fixed, Root, Shop, Thing]
const ids = [1, 2, 3, 4, 5, 6, 7, 8]

describe('an object that is tied to another one by its primary key alone, without a cascade', () => {
  let databases: FreshDatabases
  let ours: ShardedDataSource
  let plain: DataSource
  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    ours = await new ShardedDataSource({ type: 'postgres', entities, nodes, synchronize: true }).initialize()
    plain = await new DataSource({ type: 'postgres', entities, url: databases.oracle, synchronize: true }).initialize()
  })
  afterAll(async () => {
    await ours.destroy()
    await plain.destroy()
    await databases.drop()
  })
  beforeEach(async () => {
    for (const dataSource of [plain, ours]) {
      for (const entity of [Leaf, Fixed, Root, Trunk]) await dataSource.getRepository(entity).deleteAll()
      await dataSource.manager.save(ids.map((id) => dataSource.manager.create(Trunk, { id })))
      for (const entity of [Leaf, Fixed, Root])
        await dataSource.manager.insert(
          entity,
          ids.map((id) => ({ id: 10 + id, trunkId: id })),
        )
    }
  })

  const rows = async (dataSource: DataSource): Promise<readonly unknown[]> =>
    Promise.all([Leaf, Fixed, Root].map((entity) => dataSource.manager.find(entity, { order: { id: 'ASC' } })))

  const both = async (work: (dataSource: DataSource) => Promise<unknown>): Promise<void> => {
    for (const dataSource of [plain, ours]) await work(dataSource)
    expect(await rows(ours)).toEqual(await rows(plain))
    expect(await ours.verifyPlacement()).toMatchObject(entities.map(() => ({ misplaced: 0 })))
  }

  it('moves to the other one where its entity allows that', async () => {
    const trunk = { id: 1, leaves: [{ id: 12 }, { id: 13 }, { id: 14 }], root: { id: 15 } }
    await both(async (dataSource) => {
      await dataSource.manager.delete(Root, { id: 11 })
      await dataSource.manager.save(Trunk, dataSource.manager.create(Trunk, trunk))
    })
    expect(await ours.manager.countBy(Leaf, { trunkId: 1 })).toBe(4)
  })

  it('moves from a loaded one to another', async () => {
    await both(async (dataSource) => {
      const trunk = await dataSource.manager.findOneOrFail(Trunk, { where: { id: 1 }, relations: { leaves: true } })
      trunk.leaves.push(...[12, 13, 14, 15, 16].map((id) => dataSource.manager.create(Leaf, { id })))
      await dataSource.manager.save(trunk)
    })
  })

  it('moves where it was loaded and given the key', async () => {
    await both(async (dataSource) => {
      const leaves = await dataSource.manager.find(Leaf)
      for (const leaf of leaves) leaf.trunkId = 1
      await dataSource.manager.save(Trunk, { id: 1, leaves })
    })
  })

  it('moves in a transaction, and is back where that rolls back', async () => {
    const link = (dataSource: DataSource) =>
      dataSource.transaction(async (manager) => {
        await manager.save(Trunk, { id: 1, leaves: [{ id: 12 }, { id: 13 }] })
        throw new RangeError('back')
      })
    await both((dataSource) => expect(link(dataSource)).rejects.toThrow('back'))
    await both((dataSource) =>
      dataSource.transaction((manager) => manager.save(Trunk, { id: 1, leaves: [{ id: 12 }, { id: 13 }] })),
    )
  })

  it('is refused where its entity does not, and what is saved beside it is not saved', async () => {
    const before = await rows(ours)
    const tied = { id: 1, fixed: ids.map((id) => ({ id: 10 + id })), leaves: [{ id: 12 }] }
    await expect(ours.manager.save(Trunk, tied)).rejects.toMatchObject({
      code: 'KEY_CHANGED',
      details: { entity: 'Fixed', relation: 'fixed', now: ['1'] },
    })
    expect(await rows(ours)).toEqual(before)
  })

  it('stays as it is where there is no such row, or it is there already', async () => {
    await both((dataSource) => dataSource.manager.save(Trunk, { id: 1, leaves: [{ id: 11 }, { id: 99 }] }))
  })

  it('is refused where the columns that refer are not the key, and leave the row on another shard', async () => {
    const { manager } = ours
    await manager.save(Shop, { id: 1, tenantId: 1 })
    await manager.insert(
      Thing,
      ids.map((id) => ({ id, tenantId: id })),
    )
    const { shard } = ours.locate(Shop, 1)
    const other = ids.find((id) => ours.locate(Shop, id).shard !== shard)
    await expect(manager.save(Shop, { id: 1, tenantId: 1, things: [{ id: other ?? 0 }] })).rejects.toMatchObject({
      code: 'KEY_CONFLICT',
      details: { entity: 'Thing', relation: 'things', keys: [['1'], [String(other)]] },
    })
    await manager.save(Shop, { id: 1, tenantId: 1, things: [{ id: 1 }] })
    expect(await manager.find(Thing, { where: { shop: { id: 1 } } })).toMatchObject([{ id: 1, tenantId: 1 }])
  })
})
