import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  Index,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  TableInheritance,
  Tree,
  TreeChildren,
  TreeParent,
  Unique,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ErrorCode,
  hash,
  list,
  range,
  Sharded,
  ShardedDataSource,
  ShardedError,
  ShardedId,
  ShardKey,
} from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

const two = hash({ shards: 2 })

@Entity()
@Sharded(two)
class Root {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
class Plain {
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(two)
class Keyless {
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(two)
class JsonKey {
  @ShardKey()
  @Column('jsonb')
  data!: object

  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(range({ shards: { all: [null, null] } }))
class RangedUuid {
  @ShardKey()
  @PrimaryColumn('boolean')
  flag!: boolean
}

@Entity()
@Sharded(two, { group: 'root' })
class Rival {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded({ colocatedWith: () => Root })
class WrongType {
  @ShardKey()
  @PrimaryColumn('varchar')
  id!: string
}

@Entity()
@Sharded(two)
class Block {
  @ShardKey() @PrimaryColumn('int') town!: number
  @ShardKey() @PrimaryColumn('int') area!: number
}

@Entity()
@Sharded({ colocatedWith: () => Block })
class Flat {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') area!: number
  @ShardKey() @Column('int') town!: number
  @ManyToOne(() => Block)
  @JoinColumn([
    { name: 'town', referencedColumnName: 'town' },
    { name: 'area', referencedColumnName: 'area' },
  ])
  block!: Relation<Block>
}

@Entity()
@Sharded({ colocatedWith: () => Root })
class Orphan {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { nullable: true }) rootId!: number | null
  @ManyToOne(() => Root, { onDelete: 'SET NULL' })
  root!: Relation<Root> | null
}

@Entity()
@Sharded({ colocatedWith: () => Root })
class Adopted {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int', { default: 0 }) rootId!: number
  @ManyToOne(() => Root, { onUpdate: 'SET DEFAULT' as never })
  root!: Relation<Root>
}

@Entity()
@Sharded({ colocatedWith: () => Plain })
class Lost {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded({ colocatedWith: () => Egg })
class Hen {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded({ colocatedWith: () => Hen })
class Egg {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(two)
@Unique(['name'])
class UniqueName {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column()
  name!: string
}

@Entity()
@Sharded(two)
@Index(['name'], { unique: true })
class UniqueIndex {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column()
  name!: string
}

@Entity()
@Sharded(two, { perShardUnique: true })
@Unique(['name'])
class UniquePerShard {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column()
  name!: string
}

@Entity()
@Sharded(two)
class Serial {
  @PrimaryGeneratedColumn()
  id!: number

  @ShardKey()
  @Column('int')
  place!: number
}

@Entity()
@Sharded(two)
class Pointing {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @ManyToOne(() => Plain, { onDelete: 'SET NULL' })
  plain!: Relation<Plain>
}

@Entity()
@Sharded(two)
class Linking {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @ManyToMany(() => Root)
  @JoinTable()
  roots!: Relation<Root>[]
}

@Entity({ schema: 'own' })
@Sharded(two)
class OwnSchema {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(two, { group: 'g'.repeat(62) })
class LongName {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
@Sharded(range({ shards: { a: [0, 5], b: [5, null] } }))
class TwoColumns {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @PrimaryColumn('int')
  other!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
class PgStat {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded(hash({ shards: 2 }), { group: 'app_pg_stat' })
class PgBouncer {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded({ colocatedWith: () => Root })
class Referring {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @ManyToOne(() => Root, { onUpdate: 'CASCADE' }) root!: Relation<Root> | null
}

@Entity()
@Sharded({ colocatedWith: () => Root })
class JoinedByKey {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @ManyToOne(() => Root, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'k' })
  root!: Relation<Root>
}

@Entity()
@Sharded(two)
class LeftOut {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column({ type: 'int', insert: false, default: 3 }) k!: number
}

@Entity()
@Sharded(two)
class Computed {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column({ type: 'int', generatedType: 'STORED', asExpression: 'id % 7' }) k!: number
}

@Entity()
@Sharded(two)
class Versioned {
  @PrimaryColumn('int') id!: number
  @ShardKey() @VersionColumn() k!: number
}

@Entity()
@Sharded(two)
class Touched {
  @PrimaryColumn('int') id!: number
  @ShardKey() @UpdateDateColumn() k!: Date
}

@Entity()
@Sharded(two)
class Buried {
  @PrimaryColumn('int') id!: number
  @ShardKey() @DeleteDateColumn() k!: Date | null
}

@Entity()
@Sharded(two)
@TableInheritance({ column: 'k' })
class Kind {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') k!: string
}

@ChildEntity()
class OneKind extends Kind {}

@Entity()
@Sharded(two)
@Tree('materialized-path')
class Branch {
  @PrimaryColumn('int') id!: number
  @ShardKey() mpath!: string
  @TreeParent() parent!: Branch | null
  @TreeChildren() children!: Branch[]
}

@Entity()
@Sharded(two)
class IdLeftOut {
  @ShardKey() @PrimaryColumn('int') k!: number
  @ShardedId() @PrimaryColumn('bigint', { insert: false }) id!: string
}
@Entity('root')
@Sharded(list({ shards: { low: [1], high: [2] } }))
class Namesake {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity('namesake')
@Sharded(list({ shards: { low: [1], high: [2] } }), { group: 'namesake' })
class Renamed {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity('unchecked')
@Sharded({ colocatedWith: () => Root })
class OtherKey {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity('unchecked')
@Sharded({ colocatedWith: () => Root })
class SameKey {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
}

@Entity('unchecked')
@Sharded({ colocatedWith: () => Root })
class SameKeyToo {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
}

@Entity()
@Sharded(two, { group: 'named' })
class Named {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
}

@Entity()
@Sharded({ colocatedWith: () => Named })
@ShardKey({ from: 'nobody' })
class FromNobody {
  @PrimaryColumn('int') id!: number
  @ManyToOne(() => Named) named!: Named
}

@Entity()
@Sharded({ colocatedWith: () => Named })
@ShardKey({ from: 'named' })
class FromTwo {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') key!: number
  @ManyToOne(() => Named) named!: Named
}

@Entity()
@Sharded({ colocatedWith: () => Named })
@ShardKey({ from: 'named' })
class FromLoose {
  @PrimaryColumn('int') id!: number
  @ManyToOne(() => Named, { createForeignKeyConstraints: false }) named!: Named
}

@Entity()
@Sharded({ colocatedWith: () => Named })
class FromTaken {
  @PrimaryColumn('int') id!: number
  @Column('int') k!: number
  @ShardKey({ from: 'named' }) @ManyToOne(() => Named) named!: Named
}

@Entity()
@Sharded(two)
@ShardKey({ from: 'self' })
class FromSelf {
  @PrimaryColumn('int') id!: number
  @ManyToOne(() => FromSelf) self!: Relation<FromSelf>
}

const layouts = ['schema', 'table'] as const
type Layout = (typeof layouts)[number]

type Case = readonly [ErrorCode, string, readonly (new () => object)[], readonly string[]]

const cases: readonly Case[] = [
  ['ENTITY_WITHOUT_SHARD_KEY', 'without a mark', [Keyless], ['Keyless']],
  ['KEY_TYPE_UNSUPPORTED', 'with a key of json', [JsonKey], ['JsonKey.data', 'jsonb']],
  ['KEY_COLUMN_INVALID', 'with a key that INSERT leaves out', [LeftOut], ['LeftOut.k', 'insert: false']],
  ['KEY_COLUMN_INVALID', 'with a computed key', [Computed], ['Computed.k', 'computes']],
  ['KEY_COLUMN_INVALID', 'by its version', [Versioned], ['Versioned.k', 'each update']],
  ['KEY_COLUMN_INVALID', 'by the date of its last update', [Touched], ['Touched.k', 'each update']],
  ['KEY_COLUMN_INVALID', 'by the date of its deletion', [Buried], ['Buried.k', 'softDelete']],
  ['KEY_COLUMN_INVALID', 'by its discriminator', [Kind, OneKind], ['Kind.k', 'discriminator']],
  ['KEY_COLUMN_INVALID', 'by its path in a tree', [Branch], ['Branch.mpath', 'tree']],
  ['ID_COLUMN_INVALID', 'with an id that INSERT leaves out', [IdLeftOut], ['IdLeftOut.id', 'insert: false']],
  ['KEY_TYPE_UNSUPPORTED', 'with a range of booleans', [RangedUuid], ['range']],
  ['GROUP_CONFLICT', 'of a group that another has', [Root, Rival], ['Root', 'Rival', 'root']],
  ['COLOCATION_INVALID', 'colocated by another type', [Root, WrongType], ['WrongType', 'Root', 'integer', 'text']],
  ['COLOCATION_INVALID', 'colocated with an unsharded one', [Plain, Lost], ['Lost']],
  ['COLOCATION_INVALID', 'colocated in a circle', [Hen, Egg], ['circle']],
  [
    'COLOCATION_INVALID',
    'joined by its key in another order',
    [Block, Flat],
    ['Flat.block', 'area, town', 'town, area'],
  ],
  [
    'KEY_COLUMN_INVALID',
    'whose key the database sets to NULL',
    [Root, Orphan],
    ['Orphan.rootId', 'ON DELETE SET NULL'],
  ],
  ['KEY_COLUMN_INVALID', 'whose key has its default', [Root, Adopted], ['Adopted.rootId', 'ON UPDATE SET DEFAULT']],
  ['KEY_COLUMN_INVALID', 'with a key from no relation', [Named, FromNobody], ['FromNobody', '"nobody"', 'no such']],
  ['KEY_COLUMN_INVALID', 'with a key of its own beside one', [Named, FromTwo], ['FromTwo', '"named"', 'another']],
  ['KEY_COLUMN_INVALID', 'with a key from no foreign key', [Named, FromLoose], ['FromLoose', '"named"', 'foreign key']],
  ['KEY_COLUMN_INVALID', 'with a key that has no name', [Named, FromTaken], ['FromTaken', 'column k already']],
  ['KEY_COLUMN_INVALID', 'with a key from itself', [FromSelf], ['FromSelf', '"self"', 'back']],
  ['UNIQUE_WITHOUT_SHARD_KEY', 'unique without the key', [UniqueName], ['UniqueName', 'name', 'id']],
  ['UNIQUE_WITHOUT_SHARD_KEY', 'with a unique index without the key', [UniqueIndex], ['UniqueIndex', 'name']],
  ['SEQUENCE_ON_SHARDED_ENTITY', 'numbered by a sequence', [Serial], ['Serial.id', 'increment']],
  [
    'RELATION_ACTION_UNSUPPORTED',
    'with an action of a foreign key to an unsharded one',
    [Plain, Pointing],
    ['Pointing.plain', 'ON DELETE SET NULL', 'Plain'],
  ],
  [
    'RELATION_ACTION_UNSUPPORTED',
    'with an action of a foreign key to a row of another key',
    [Root, Referring],
    ['Referring.root', 'ON UPDATE CASCADE', 'Root'],
  ],
  [
    'RELATION_ACTION_UNSUPPORTED',
    'many to many with another group',
    [Root, Linking],
    ['Linking.roots', 'ON DELETE CASCADE', 'Root'],
  ],
  ['NAME_INVALID', 'in a schema of its own', [OwnSchema], ['OwnSchema', 'own']],
  ['NAME_INVALID', 'with too long a name', [LongName], ['63']],
  ['NAME_INVALID', 'whose schemas PostgreSQL would refuse', [PgStat], ['pg_stat_00', 'app_pg_stat', 'option group']],
  [
    'NAME_INVALID',
    'with the table of another group',
    [Root, Namesake],
    ['"root"', 'Namesake', '"namesake"', '@Entity'],
  ],
  [
    'COLOCATION_INVALID',
    'with a table that has another key',
    [Root, SameKey, OtherKey],
    ['"unchecked"', '(k)', '(id)'],
  ],
  ['FUNCTION_INVALID', 'with more key columns than its function takes', [TwoColumns], ['TwoColumns', 'range']],
]

describe('an entity', () => {
  let databases: FreshDatabases
  beforeAll(async () => {
    databases = await createDatabases(1)
  })
  afterAll(() => databases.drop())

  const open = (entities: readonly (new () => object)[], layout: Layout = 'schema') =>
    new ShardedDataSource({
      type: 'postgres',
      layout,
      entities: [...entities],
      nodes: { a: { url: databases.nodes[0] ?? '' } },
    })

  it.each(cases)('is refused with %s: %s', async (code, _, entities, names) => {
    for (const layout of entities.includes(Namesake) ? layouts : layouts.slice(0, 1)) {
      const dataSource = open(entities, layout)
      const error: unknown = await dataSource.initialize().catch((thrown: unknown) => thrown)
      if (!(error instanceof ShardedError)) throw error
      expect(error.code).toBe(code)
      for (const name of [...names, error.fix, `[${code}]`]) expect(error.message).toContain(name)
      expect(dataSource.isInitialized).toBe(false)
    }
  })

  it.each(layouts)('of another group has a table name of its own, in the layout %s', async (layout) => {
    const dataSource = await open([Root, Renamed], layout).initialize()
    await dataSource.synchronize()
    await dataSource.getRepository(Root).insert([{ id: 1 }, { id: 2 }, { id: 3 }])
    await dataSource.getRepository(Renamed).insert([{ id: 1 }, { id: 2 }])
    for (const [entity, count] of [
      [Root, 3],
      [Renamed, 2],
    ] as const) {
      expect(await dataSource.getRepository(entity).count()).toBe(count)
      expect(await dataSource.getRepository(entity).createQueryBuilder().getCount()).toBe(count)
    }
    await dataSource.dropDatabase()
    await dataSource.destroy()
  })

  it('may share a table with one of its group that has the same key', async () => {
    const dataSource = await open([Root, SameKey, SameKeyToo]).initialize()
    await dataSource.synchronize()
    await dataSource.getRepository(SameKey).insert({ id: 1, k: 2 })
    expect(await dataSource.getRepository(SameKeyToo).find()).toEqual([{ id: 1, k: 2 }])
    await dataSource.dropDatabase()
    await dataSource.destroy()
  })

  it('may leave out the foreign key where the shard key is joined', async () => {
    const dataSource = await open([Root, JoinedByKey]).initialize()
    await dataSource.synchronize()
    await dataSource.getRepository(Root).insert([{ id: 1 }, { id: 2 }])
    await dataSource.getRepository(JoinedByKey).insert([
      { id: 1, k: 1 },
      { id: 2, k: 2 },
      { id: 3, k: 3 },
    ])
    const found = await dataSource.getRepository(JoinedByKey).find({ relations: { root: true }, order: { id: 'ASC' } })
    expect(found.map(({ root }) => root?.id)).toEqual([1, 2, undefined])
    await dataSource.dropDatabase()
    await dataSource.destroy()
  })

  it('whose name gives a reserved schema works in a group of another name', async () => {
    const dataSource = await open([PgBouncer]).initialize()
    await dataSource.synchronize()
    const repository = dataSource.getRepository(PgBouncer)
    await repository.insert({ id: 1 })
    await expect(repository.findBy({ id: 1 })).resolves.toHaveLength(1)
    await dataSource.destroy()
  })

  it('may be unique inside each shard where that is meant', async () => {
    const dataSource = await open([UniquePerShard]).initialize()
    await dataSource.synchronize()
    const repository = dataSource.getRepository(UniquePerShard)
    await repository.save({ id: 1, name: 'x' })
    await expect(repository.save({ id: 1, name: 'x' })).resolves.toBeDefined()
    await dataSource.destroy()
  })

  it.each([
    () => hash({ shards: 0 }),
    () => hash({ shards: 1.5 }),
    () => list({ shards: {} }),
    () => list({ shards: { a: ['x'], b: ['x'] } }).bind(['text']),
    () => range({ shards: { a: [5, 1] } }).bind(['integer']),
    () => range({ shards: { a: [0, 5], b: [4, 9] } }).bind(['integer']),
  ])('has a function that makes sense: %s', (make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'FUNCTION_INVALID' }))
  })
})
