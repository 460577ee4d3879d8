import { Column, Entity, JoinColumn, ManyToOne, OneToMany, OneToOne, PrimaryColumn, type Relation } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Trunk {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) note!: string
  @OneToMany(
    () => Leaf,
    (leaf) => leaf.trunk,
    { cascade: true },
  )
  leaves!: Relation<Leaf>[]
  @OneToOne(
    () => Root,
    (root) => root.trunk,
    { cascade: true },
  )
  root!: Relation<Root> | null
}

/** Its shard key can be NULL in the table, as the join column of a relation can unless it says otherwise. */
@Entity()
@Sharded({ colocatedWith: () => Trunk })
class Leaf {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { nullable: true }) trunkId!: number | null
  @ManyToOne(
    () => Trunk,
    (trunk) => trunk.leaves,
    { createForeignKeyConstraints: false },
  )
  trunk!: Relation<Trunk> | null
  @Column('text', { default: '' }) note!: string
}

@Entity()
@Sharded({ colocatedWith: () => Trunk })
class Root {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { nullable: true }) trunkId!: number | null
  @OneToOne(
    () => Trunk,
    (trunk) => trunk.root,
  )
  @JoinColumn()
  trunk!: Relation<Trunk> | null
}

let databases: FreshDatabases
let dataSource: ShardedDataSource

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  dataSource = await new ShardedDataSource({
    type: 'postgres',
    entities: [Trunk, Leaf, Root],
    nodes: { a: { url: a }, b: { url: b } },
    synchronize: true,
  }).initialize()
})

afterAll(async () => {
  await dataSource.destroy()
  await databases.drop()
})

describe('a shard key that may be NULL in the table', () => {
  const trunks = () => dataSource.getRepository(Trunk)
  const leaves = () => dataSource.getRepository(Leaf)
  const missing = { code: 'KEY_MISSING' }
  const keys = async () => (await leaves().find({ order: { id: 'ASC' } })).map(({ id, trunkId }) => [id, trunkId])
  const whole = () =>
    trunks().findOneOrFail({
      where: { id: 1 },
      relations: { leaves: true, root: true },
      order: { leaves: { id: 'ASC' } },
    })

  beforeEach(async () => {
    // In this order: a foreign key leads from a root to its trunk.
    for (const entity of [Leaf, Root, Trunk]) await dataSource.getRepository(entity).deleteAll()
    await trunks().save({ id: 1, leaves: [{ id: 10 }, { id: 11 }], root: { id: 100 } })
  })

  it('is not emptied by a relation that is set to null', async () => {
    const leaf = await leaves().findOneByOrFail({ id: 10 })
    await expect(leaves().save(Object.assign(leaf, { trunk: null, note: 'x' }))).rejects.toMatchObject(missing)
    const object = { id: 10, trunkId: 1, trunk: null }
    await expect(leaves().save(object)).rejects.toMatchObject(missing)
    await expect(leaves().save(object, { listeners: false })).rejects.toMatchObject(missing)
    expect(await leaves().countBy({ trunkId: 1, note: '' })).toBe(2)
  })

  it('is not emptied where a row is taken off its relation', async () => {
    const trunk = await whole()
    trunk.leaves.pop()
    await expect(trunks().save(trunk)).rejects.toMatchObject(missing)
    await expect(trunks().save({ id: 1, leaves: [{ id: 11 }] })).rejects.toMatchObject(missing)
    await expect(trunks().save(Object.assign(await whole(), { root: null }))).rejects.toMatchObject(missing)
    expect(await keys()).toEqual([
      [10, 1],
      [11, 1],
    ])
    expect(await dataSource.getRepository(Root).countBy({ trunkId: 1 })).toBe(1)
  })

  it('leaves nothing behind in the transaction of a save that is refused', async () => {
    await dataSource.transaction(async (manager) => {
      await expect(manager.save(Trunk, { id: 1, note: 'new', leaves: [{ id: 11 }, { id: 12 }] })).rejects.toMatchObject(
        missing,
      )
      await manager.save(Trunk, { id: 2 })
    })
    expect(await keys()).toEqual([
      [10, 1],
      [11, 1],
    ])
    expect(await trunks().find({ order: { id: 'ASC' } })).toMatchObject([
      { id: 1, note: '' },
      { id: 2, note: '' },
    ])
  })

  it('is not set in place where a row has none', async () => {
    const { shard } = dataSource.locate(Leaf, 1)
    const other = [...Array(50).keys()].find((id) => id > 1 && dataSource.locate(Leaf, id).shard !== shard) ?? 0
    // As an earlier version, or somebody without this library, has left it.
    await dataSource.shard(shard).query(`UPDATE "${shard}"."leaf" SET "trunkId" = NULL WHERE id = 10`)
    const changed = { code: 'KEY_CHANGED' }
    await expect(
      leaves().save(Object.assign(await leaves().findOneByOrFail({ id: 10 }), { trunk: { id: other } })),
    ).rejects.toMatchObject(changed)
    await expect(
      leaves().save(Object.assign(await leaves().findOneByOrFail({ id: 10 }), { trunkId: other }), {
        listeners: false,
      }),
    ).rejects.toMatchObject(changed)
    await leaves().save(Object.assign(await leaves().findOneByOrFail({ id: 10 }), { trunk: { id: 1 } }))
    expect(await keys()).toEqual([
      [10, 1],
      [11, 1],
    ])
  })
})
