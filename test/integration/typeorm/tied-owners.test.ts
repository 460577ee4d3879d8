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
  VersionColumn,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Trunk {
  @ShardKey() @PrimaryColumn('int') id!: number
  @DeleteDateColumn() gone!: Date | null
  @OneToMany(
    () => Leaf,
    (leaf) => leaf.trunk,
  )
  leaves!: Relation<Leaf>[]
  @OneToMany(
    () => Twig,
    (twig) => twig.trunk,
    { cascade: true },
  )
  twigs!: Relation<Twig>[]
}

@Entity()
@Sharded({ colocatedWith: () => Trunk })
class Note {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') trunkId!: number
}

@Entity()
@Sharded({ colocatedWith: () => Trunk }, { onKeyChange: 'move' })
class Leaf {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') trunkId!: number
  @VersionColumn() version!: number
  @ManyToOne(
    () => Trunk,
    (trunk) => trunk.leaves,
    { orphanedRowAction: 'delete' },
  )
  trunk!: Relation<Trunk>
  @ManyToOne(() => Note)
  note!: Relation<Note> | null
}

@Entity()
@Sharded({ colocatedWith: () => Trunk }, { onKeyChange: 'move' })
class Twig {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') trunkId!: number
  @DeleteDateColumn() gone!: Date | null
  @ManyToOne(
    () => Trunk,
    (trunk) => trunk.twigs,
    { orphanedRowAction: 'delete' },
  )
  trunk!: Relation<Trunk>
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Shop {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') tenantId!: number
}

/** Refers to its shop by a column that no property shows. */
@Entity()
@Sharded({ colocatedWith: () => Shop }, { onKeyChange: 'move' })
class Thing {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') tenantId!: number
  @ManyToOne(() => Shop)
  @JoinColumn()
  shop!: Relation<Shop> | null
}

const entities = [Trunk, Note, Leaf, Twig, Shop, Thing]
const ids = [1, 2, 3, 4, 5, 6, 7, 8]

describe('a row of another shard that a save gives an owner', () => {
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
    for (const { manager } of [plain, ours]) {
      for (const entity of [Leaf, Twig, Note, Trunk, Thing, Shop]) await manager.getRepository(entity).deleteAll()
      await manager.insert(
        Trunk,
        ids.map((id) => ({ id })),
      )
      for (const entity of [Leaf, Twig])
        await manager.insert(
          entity,
          ids.map((id) => ({ id: 10 + id, trunkId: id })),
        )
      await manager.insert(
        Shop,
        ids.map((id) => ({ id, tenantId: id })),
      )
      await manager.insert(
        Thing,
        ids.map((id) => ({ id, tenantId: id, shop: { id } })),
      )
    }
  })

  /** Two trunks, and two shops, of different shards. */
  const [here, there] = [1, 3]
  it('lies on another shard', () => {
    for (const entity of [Trunk, Shop])
      expect(ours.locate(entity, here).shard).not.toBe(ours.locate(entity, there).shard)
  })

  const rows = ({ manager }: DataSource): Promise<readonly unknown[]> =>
    Promise.all([
      manager.find(Trunk, { order: { id: 'ASC' }, withDeleted: true, select: { id: true } }),
      manager.find(Leaf, { order: { id: 'ASC' } }),
      manager.find(Twig, { order: { id: 'ASC' } }),
      manager.find(Thing, { order: { id: 'ASC' }, relations: { shop: true } }),
    ])

  const both = async (work: (dataSource: DataSource) => Promise<unknown>): Promise<void> => {
    for (const dataSource of [plain, ours]) await work(dataSource)
    expect(await rows(ours)).toEqual(await rows(plain))
    expect((await ours.verifyPlacement()).filter(({ misplaced }) => misplaced > 0)).toEqual([])
  }

  const refused = async (work: (dataSource: DataSource) => Promise<unknown>, code: string): Promise<void> => {
    const before = await rows(ours)
    await work(plain)
    await expect(work(ours)).rejects.toMatchObject({ code })
    expect(await rows(ours)).toEqual(before)
  }

  it('is of a version more', () =>
    both(({ manager }) => manager.save(Trunk, { id: here, leaves: [{ id: 10 + there }, { id: 10 + here }] })))

  it('moves when its new owner has been inserted', () =>
    both(({ manager }) => manager.save(Trunk, { id: 9, leaves: [{ id: 10 + there }] })))

  it('moves where an owner is removed softly', () =>
    both(({ manager }) => manager.softRemove(Trunk, { id: here, leaves: [{ id: 10 + there }, { id: 10 + here }] })))

  it('moves where it was loaded, and its object keeps the key that it has', () =>
    both(async ({ manager }) => {
      const leaf = await manager.findOneByOrFail(Leaf, { id: 10 + there })
      const own = await manager.findBy(Leaf, { trunkId: here })
      await manager.save(Trunk, { id: here, leaves: [...own, leaf] })
      expect(leaf.trunkId).toBe(there)
    }))

  it('leaves objects as they were', async () => {
    const leaf = { id: 10 + here }
    await ours.manager.save(Trunk, { id: here, leaves: [leaf] })
    expect(leaf).toEqual({ id: 10 + here })
  })

  it('is refused where its old owner is saved without it: one database deletes it. Apart, it moves', async () => {
    const old = { id: there, leaves: [] }
    const next = { id: here, leaves: [{ id: 10 + here }, { id: 10 + there }] }
    await refused(({ manager }) => manager.save(Trunk, [next, old]), 'KEY_CONFLICT')
    await ours.manager.save(Trunk, next)
    await ours.manager.save(Trunk, old)
    expect(await ours.manager.countBy(Leaf, { trunkId: here })).toBe(2)
  })

  it('is refused likewise with a cascade', () =>
    refused(async ({ manager }) => {
      const trunks = await manager.find(Trunk, {
        where: [{ id: here }, { id: there }],
        relations: { twigs: true },
        order: { id: 'ASC' },
      })
      const [next, old] = trunks
      const twig = old?.twigs.pop()
      if (!next || !twig) throw new RangeError('no trunks')
      twig.trunkId = here
      next.twigs.push(twig)
      await manager.save(trunks)
    }, 'KEY_CONFLICT'))

  it('is refused where it is given two owners. Apart, the last has it', async () => {
    const trunks = [here, 2].map((id) => ({ id, leaves: [{ id: 10 + id }, { id: 10 + there }] }))
    await refused(({ manager }) => manager.save(Trunk, trunks), 'KEY_CONFLICT')
    for (const trunk of trunks) await ours.manager.save(Trunk, trunk)
    expect(await ours.manager.findOneByOrFail(Leaf, { id: 10 + there })).toMatchObject({ trunkId: 2 })
  })

  it('is refused with a cascade where its owner is new. Apart, it moves', async () => {
    const save = async ({ manager }: DataSource, first?: object) => {
      const twig = await manager.findOneByOrFail(Twig, { id: 10 + there })
      twig.trunkId = 9
      if (first) await manager.save(Trunk, first)
      await manager.save(Trunk, { id: 9, twigs: [twig] })
    }
    await refused((dataSource) => save(dataSource), 'KEY_CONFLICT')
    await save(ours, { id: 9 })
    expect(await rows(ours)).toEqual(await rows(plain))
  })

  it('ends at the owner where its object has another key', () =>
    both(async ({ manager }) => {
      const leaf = await manager.findOneByOrFail(Leaf, { id: 12 })
      leaf.trunk = manager.create(Trunk, { id: here })
      leaf.trunkId = there
      await manager.save(leaf)
      expect(leaf.trunkId).toBe(here)
    }))

  it('may not be referred to by its primary key, also in a transaction', async () => {
    const thing = { id: here, tenantId: here, shop: { id: there } }
    await refused(({ manager }) => manager.save(Thing, { ...thing, id: 99 }), 'KEY_CONFLICT')
    await refused((dataSource) => dataSource.transaction((manager) => manager.save(Thing, thing)), 'KEY_CONFLICT')
    for (const { manager } of [plain, ours])
      await expect(manager.save(Thing, { ...thing, shop: { id: 99 } })).rejects.toMatchObject({ code: '23503' })
  })

  it('may not leave what it refers to. It moves where the reference is taken off', async () => {
    const move = async ({ manager }: DataSource, shop?: null) => {
      const thing = await manager.findOneByOrFail(Thing, { id: there })
      thing.tenantId = here
      if (shop === null) thing.shop = shop
      await manager.save(thing)
    }
    await refused((dataSource) => move(dataSource), 'KEY_CONFLICT')
    await both((dataSource) => move(dataSource, null))
  })

  it('is not tied away from what else it refers to. It moves where that reference is taken off', async () => {
    for (const { manager } of [plain, ours]) {
      await manager.insert(Note, { id: 1, trunkId: there })
      await manager.update(Leaf, { id: 10 + there }, { note: { id: 1 } })
    }
    const trunk = { id: here, leaves: [{ id: 10 + here }, { id: 10 + there }] }
    await refused(({ manager }) => manager.save(Trunk, trunk), 'KEY_CONFLICT')
    await ours.manager.update(Leaf, { id: 10 + there }, { note: null })
    await ours.manager.save(Trunk, trunk)
    expect(await ours.manager.countBy(Leaf, { trunkId: here })).toBe(2)
  })

  it('is refused where a cascade removes it softly by another key: one database finds it', () =>
    refused(async ({ manager }) => {
      const twig = await manager.findOneByOrFail(Twig, { id: 10 + there })
      twig.trunkId = here
      await manager.softRemove(manager.create(Trunk, { id: here, twigs: [twig] }))
    }, 'DUPLICATE_PRIMARY_KEY'))

  it('moves with what it refers to in its new place', () =>
    both(async ({ manager }) => {
      const thing = await manager.findOneByOrFail(Thing, { id: there })
      thing.tenantId = here
      thing.shop = await manager.findOneByOrFail(Shop, { id: here })
      await manager.save(thing)
    }))
})
