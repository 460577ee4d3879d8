import {
  Column,
  type DataSource,
  Entity,
  type EntityManager,
  In,
  ManyToOne,
  type ObjectLiteral,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

const cascade: ('insert' | 'update')[] = ['insert', 'update']

@Entity()
@Sharded(hash({ shards: 2 }))
class Land {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'land' }) name!: string
}

@Entity()
@ReferenceTable()
class Flag {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'flag' }) name!: string
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Parent {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'parent' }) name!: string
  @ManyToOne(() => Land, { cascade }) land!: Relation<Land> | null
  @ManyToOne(() => Flag, { cascade }) flag!: Relation<Flag> | null
  @OneToMany(
    () => Child,
    (child) => child.parent,
    { cascade },
  )
  children!: Relation<Child>[]
  @OneToMany(
    () => Copied,
    (child) => child.parent,
    { cascade },
  )
  copied!: Relation<Copied>[]
  @OneToMany(
    () => Plain,
    (child) => child.parent,
    { cascade },
  )
  plain!: Relation<Plain>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Child {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'child' }) name!: string
  @ManyToOne(
    () => Parent,
    (parent) => parent.children,
    { cascade },
  )
  parent!: Relation<Parent> | null
  @ManyToOne(() => Land, { cascade }) land!: Relation<Land> | null
  @ManyToOne(() => Flag, { cascade }) flag!: Relation<Flag> | null
}

@Entity()
@ReferenceTable()
class Copied {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'child' }) name!: string
  @ManyToOne(
    () => Parent,
    (parent) => parent.copied,
    { cascade },
  )
  parent!: Relation<Parent> | null
  @ManyToOne(() => Land, { cascade }) land!: Relation<Land> | null
  @ManyToOne(() => Flag, { cascade }) flag!: Relation<Flag> | null
}

@Entity()
class Plain {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'child' }) name!: string
  @ManyToOne(
    () => Parent,
    (parent) => parent.plain,
    { cascade },
  )
  parent!: Relation<Parent> | null
  @ManyToOne(() => Land, { cascade }) land!: Relation<Land> | null
  @ManyToOne(() => Flag, { cascade }) flag!: Relation<Flag> | null
}

const kinds = { children: Child, copied: Copied, plain: Plain } as const
type Kind = keyof typeof kinds
const rows = Array.from({ length: 90 }, (_, index) => index + 1)

async function seed({ manager }: DataSource): Promise<void> {
  for (const target of [Land, Flag])
    await manager.insert(
      target,
      rows.map((id) => ({ id })),
    )
  const ties = (id: number) => ({ id, land: { id }, flag: { id } })
  await manager.insert(Parent, rows.map(ties))
  for (const target of Object.values(kinds))
    await manager.insert(
      target,
      rows.map((id) => ({ ...ties(id), parent: { id } })),
    )
}

interface Tried {
  readonly manager: EntityManager
  readonly list: Kind
  /** Of a row that no other script touches; those above 90 are new. */
  readonly id: (number: number) => number
}

const loaded = async ({ manager, list, id }: Tried, numbers: readonly number[]): Promise<Parent[]> =>
  manager.find(Parent, {
    where: { id: In(numbers.map(id)) },
    relations: { [list]: { parent: true } },
    order: { id: 'ASC' },
  })

/** What an object of a list says of its owner, and what of the owner it says. */
const scripts: Readonly<Record<string, (tried: Tried) => Promise<unknown>>> = {
  'a new one refers to another owner': ({ manager, list, id }) =>
    manager.save(Parent, { id: id(91), [list]: [{ id: id(91), parent: { id: id(1) } }] }),
  'a new one refers to none': ({ manager, list, id }) =>
    manager.save(Parent, { id: id(92), [list]: [{ id: id(92), parent: null }] }),
  'a stored one still refers to its owner': async ({ manager, list, id }) => {
    const child: ObjectLiteral = await manager.findOneOrFail<ObjectLiteral>(kinds[list], {
      where: { id: id(2) },
      relations: { parent: true },
    })
    await manager.save(Parent, { id: id(3), [list]: [{ id: id(3) }, child] })
  },
  'a stored one refers to a third owner': ({ manager, list, id }) =>
    manager.save(Parent, { id: id(4), [list]: [{ id: id(4) }, { id: id(5), parent: { id: id(6) } }] }),
  'a stored one refers to none': ({ manager, list, id }) =>
    manager.save(Parent, { id: id(7), [list]: [{ id: id(7) }, { id: id(8), parent: null }] }),
  'one that was in the list refers to another': ({ manager, list, id }) =>
    manager.save(Parent, { id: id(9), [list]: [{ id: id(9), parent: { id: id(10) } }] }),
  'the owner is changed, and not its copy': async (tried) => {
    for (const parent of await loaded(tried, [11])) await tried.manager.save(Object.assign(parent, { name: 'new' }))
  },
  'its copy is changed, and not the owner': async (tried) => {
    const [parent] = await loaded(tried, [12])
    const children: ObjectLiteral[] = parent?.[tried.list] ?? []
    for (const child of children) child['parent'].name = 'copy'
    await tried.manager.save(parent)
  },
  'a new owner has a copy': ({ manager, list, id }) =>
    manager.save(Parent, { id: id(93), name: 'new', [list]: [{ id: id(93), parent: { id: id(93) } }] }),
  'a new owner is copied by create': async ({ manager, list, id }) => {
    const parent = manager.create(Parent, { id: id(94), name: 'made' })
    const child: ObjectLiteral = Object.assign(new kinds[list](), {
      id: id(94),
      parent: manager.create(Parent, parent),
    })
    await manager.save(Object.assign(parent, { [list]: [child] }))
  },
  'the owner itself': async (tried) => {
    const [parent] = await loaded(tried, [13])
    const children: ObjectLiteral[] = parent?.[tried.list] ?? []
    for (const child of children) Object.assign(child, { parent, name: 'both' })
    await tried.manager.save(Object.assign(parent ?? {}, { name: 'both' }))
  },
  'both refer to one row, which the owner changes': async ({ manager, list, id }) => {
    const parent = await manager.findOneOrFail(Parent, {
      where: { id: id(16) },
      relations: { land: true, flag: true, [list]: { land: true, flag: true } },
    })
    Object.assign(parent.land ?? {}, { name: 'changed' })
    Object.assign(parent.flag ?? {}, { name: 'changed' })
    await manager.save(parent)
  },
  'both refer to one row, which the child changes': async ({ manager, list, id }) => {
    const parent = await manager.findOneOrFail(Parent, {
      where: { id: id(17) },
      relations: { land: true, flag: true, [list]: { land: true, flag: true } },
    })
    const [child] = parent[list]
    for (const one of [child?.land, child?.flag]) Object.assign(one ?? {}, { name: 'not stored' })
    await manager.save(parent)
    return child?.land?.name
  },
  'several owners': async (tried) => {
    const parents = await loaded(tried, [14, 15])
    await tried.manager.save(parents.map((parent) => Object.assign(parent, { name: 'several' })))
  },
}

const contentsOf = async (dataSource: DataSource): Promise<readonly string[]> => {
  const found: string[] = []
  for (const table of ['parent', 'child', 'copied', 'plain', 'land', 'flag']) {
    const all: readonly object[] = await dataSource.query(`SELECT * FROM ${table}`)
    found.push(...all.map((row) => `${table} ${JSON.stringify(row)}`))
  }
  return found.toSorted()
}

describe('lists of rows elsewhere, and what their objects say of the owner', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      entities: [Parent, Child, Copied, Plain, Land, Flag],
      groups: ['parent', 'child', 'land'],
      seed,
    })
  })
  afterAll(() => targets?.close())

  const cases = (['children', 'copied', 'plain'] as const).flatMap((list, place) =>
    Object.entries(scripts).map(([name, script]) => [list, name, script, place * 25] as const),
  )
  it.each(cases)('%s: %s', async (list, _, script, first) => {
    const id = (number: number) => (number > 90 ? 1_000 : 0) + first + number
    await script({ manager: targets.plain.manager, list, id })
    const contents = await contentsOf(targets.plain)
    for (const { dataSource } of targets.sharded) {
      await script({ manager: dataSource.manager, list, id })
      expect(await contentsOf(dataSource)).toEqual(contents)
    }
  })
})
