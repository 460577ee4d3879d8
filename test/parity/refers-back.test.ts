import { inspect } from 'node:util'
import {
  Column,
  type DataSource,
  Entity,
  type EntityManager,
  EventSubscriber,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  type ObjectLiteral,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  VersionColumn,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

const cascade: ('insert' | 'update')[] = ['insert', 'update']

@Entity()
@Sharded(hash({ shards: 2 }))
class Grand {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'grand' }) name!: string
  @OneToMany(
    () => Parent,
    (parent) => parent.grand,
    { cascade },
  )
  parents!: Relation<Parent>[]
  @OneToMany(
    () => Child,
    (child) => child.grand,
    { cascade },
  )
  children!: Relation<Child>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Parent {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'parent' }) name!: string
  @VersionColumn() version!: number
  @ManyToOne(
    () => Grand,
    (grand) => grand.parents,
    { cascade },
  )
  grand!: Relation<Grand> | null
  @OneToMany(
    () => Child,
    (child) => child.parent,
    { cascade },
  )
  children!: Relation<Child>[]
  @OneToMany(
    () => Loose,
    (loose) => loose.parent,
  )
  loose!: Relation<Loose>[]
  @OneToMany(
    () => Made,
    (made) => made.parent,
    { cascade },
  )
  made!: Relation<Made>[]
  @OneToOne(
    () => Single,
    (only) => only.parent,
    { cascade },
  )
  only!: Relation<Single> | null
  @ManyToMany(
    () => Child,
    (child) => child.friends,
    { cascade, createForeignKeyConstraints: false },
  )
  @JoinTable()
  friends!: Relation<Child>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Child {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'child' }) name!: string
  @VersionColumn() version!: number
  @ManyToOne(
    () => Parent,
    (parent) => parent.children,
    { cascade, orphanedRowAction: 'nullify' },
  )
  parent!: Relation<Parent> | null
  @ManyToOne(
    () => Grand,
    (grand) => grand.children,
    { cascade },
  )
  grand!: Relation<Grand> | null
  @ManyToMany(
    () => Parent,
    (parent) => parent.friends,
    { createForeignKeyConstraints: false },
  )
  friends!: Relation<Parent>[]
}

/** In a list that does not cascade. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Loose {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'loose' }) name!: string
  @ManyToOne(
    () => Parent,
    (parent) => parent.loose,
    { cascade },
  )
  parent!: Relation<Parent> | null
}

/** Has its id from the database. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Made {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') place!: number
  @ManyToOne(
    () => Parent,
    (parent) => parent.made,
    { cascade, orphanedRowAction: 'delete' },
  )
  parent!: Relation<Parent> | null
}

@Entity()
@Sharded(hash({ shards: 2 }), { perShardUnique: true })
class Single {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'single' }) name!: string
  @OneToOne(
    () => Parent,
    (parent) => parent.only,
    { cascade },
  )
  @JoinColumn()
  parent!: Relation<Parent> | null
}

@Entity()
@ReferenceTable()
class Copied {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'copied' }) name!: string
  @OneToMany(
    () => Leaf,
    (leaf) => leaf.copied,
    { cascade },
  )
  leaves!: Relation<Leaf>[]
}

@Entity()
class Plain {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'plain' }) name!: string
  @OneToMany(
    () => Leaf,
    (leaf) => leaf.plain,
    { cascade },
  )
  leaves!: Relation<Leaf>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Leaf {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'leaf' }) name!: string
  @ManyToOne(
    () => Copied,
    (copied) => copied.leaves,
    { cascade },
  )
  copied!: Relation<Copied> | null
  @ManyToOne(
    () => Plain,
    (plain) => plain.leaves,
    { cascade },
  )
  plain!: Relation<Plain> | null
}

/** Refers to others of its kind, on any shard. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Member {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'member' }) name!: string
  @VersionColumn() version!: number
  @ManyToOne(
    () => Member,
    (member) => member.led,
    { cascade },
  )
  leader!: Relation<Member> | null
  @OneToMany(
    () => Member,
    (member) => member.leader,
    { cascade },
  )
  led!: Relation<Member>[]
}

/** Two that refer to each other. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Team {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'team' }) name!: string
  @VersionColumn() version!: number
  @ManyToOne(() => Player, { cascade }) captain!: Relation<Player> | null
  @ManyToOne(() => Ball, { cascade }) ball!: Relation<Ball> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Player {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'player' }) name!: string
  @VersionColumn() version!: number
  @ManyToOne(() => Team, { cascade }) team!: Relation<Team> | null
}

/** Has its id from the database, and refers to a team that may refer to it. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Ball {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') place!: number
  @VersionColumn() version!: number
  @ManyToOne(() => Team, { cascade }) team!: Relation<Team> | null
}

/** Its purse cannot be stored without it. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Bearer {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') place!: number
  @ManyToOne(() => Purse, { cascade }) purse!: Relation<Purse> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Purse {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Bearer, { cascade, nullable: false }) bearer!: Relation<Bearer>
}

const heard: string[] = []

@EventSubscriber()
class Listening {
  beforeInsert(event: Heard): void {
    this.note('before insert', event)
  }
  afterInsert(event: Heard): void {
    this.note('after insert', event)
  }
  beforeUpdate(event: Heard): void {
    this.note('before update', event)
  }
  afterUpdate(event: Heard): void {
    this.note('after update', event)
  }
  private note(kind: string, { metadata, entity }: Heard): void {
    heard.push(`${kind} ${metadata.name} ${entity?.['name']} ${typeof entity?.['id'] === 'number' ? entity['id'] : ''}`)
  }
}

interface Heard {
  readonly metadata: { readonly name: string }
  readonly entity?: ObjectLiteral | undefined
}

interface Tried {
  readonly manager: EntityManager
  /** Of a row that no other script touches: those up to 4 are stored, those above are new. */
  readonly id: (number: number) => number
}

/** Of each kind, four rows a script. */
const perScript = 4
const stored: readonly (new () => ObjectLiteral)[] = [
  Grand,
  Parent,
  Child,
  Loose,
  Single,
  Copied,
  Plain,
  Leaf,
  Member,
  Team,
  Player,
]

const scripts: Readonly<Record<string, (tried: Tried) => Promise<unknown>>> = {
  'a new child is in the list of its new parent': ({ manager, id }) => {
    const child: ObjectLiteral = { id: id(5), name: 'c', parent: { id: id(5), name: 'p' } }
    child['parent'].children = [child]
    return manager.save(Child, child)
  },
  'a new child is in the list of its stored parent, beside others': ({ manager, id }) => {
    const child: ObjectLiteral = { id: id(5), name: 'c', parent: { id: id(1), name: 'p' } }
    child['parent'].children = [{ id: id(1), name: 'kept' }, { id: id(2), name: 'taken' }, child, { id: id(6) }]
    return manager.save(Child, child)
  },
  'a child alone is left in the list of its parent': ({ manager, id }) => {
    const child: ObjectLiteral = { id: id(5), name: 'c', parent: { id: id(1) } }
    child['parent'].children = [child]
    return manager.save(Child, child)
  },
  'a stored child is in the list of another parent': ({ manager, id }) => {
    const child: ObjectLiteral = { id: id(1), name: 'c', parent: { id: id(2), name: 'p' } }
    child['parent'].children = [child]
    return manager.save(Child, child)
  },
  'what a find gives of a child, its parent and that one’s list': async ({ manager, id }) => {
    const child = await manager.findOneOrFail(Child, {
      where: { id: id(1) },
      relations: { parent: { children: true } },
    })
    child.name = 'changed'
    if (child.parent) child.parent.name = 'changed too'
    return manager.save(child)
  },
  'a child of a list that has none, and refers to its parent': async ({ manager, id }) => {
    const parent = await manager.findOneOrFail(Parent, { where: { id: id(1) }, relations: { children: true } })
    const child = manager.create(Child, { id: id(5), parent })
    parent.children.push(child)
    child.parent = parent
    return manager.save(child)
  },
  'two children of one parent': ({ manager, id }) => {
    const parent: ObjectLiteral = { id: id(5), name: 'p' }
    const children = [id(5), id(6), id(7)].map((one) => ({ id: one, parent }))
    parent['children'] = children
    return manager.save(Child, children.slice(0, 2))
  },
  'a list that does not cascade': ({ manager, id }) => {
    const loose: ObjectLiteral = { id: id(5), name: 'l', parent: { id: id(5), name: 'p' } }
    loose['parent'].loose = [loose]
    return manager.save(Loose, loose)
  },
  'a list that does not cascade, of a stored parent, with others': ({ manager, id }) => {
    const loose: ObjectLiteral = { id: id(5), name: 'l', parent: { id: id(1), name: 'p' } }
    loose['parent'].loose = [loose, { id: id(2) }]
    return manager.save(Loose, loose)
  },
  'a child whose id the database makes': ({ manager, id }) => {
    const made: ObjectLiteral = { place: id(5), parent: { id: id(5), name: 'p' } }
    made['parent'].made = [made]
    return manager.save(Made, made)
  },
  'the only child': ({ manager, id }) => {
    const only: ObjectLiteral = { id: id(5), name: 'o', parent: { id: id(5), name: 'p' } }
    only['parent'].only = only
    return manager.save(Single, only)
  },
  'the stored only child': async ({ manager, id }) => {
    const only = await manager.findOneOrFail(Single, { where: { id: id(1) }, relations: { parent: true } })
    if (only.parent) Object.assign(only.parent, { only, name: 'changed' })
    return manager.save(Object.assign(only, { name: 'changed' }))
  },
  'a list of many to many': ({ manager, id }) => {
    const child: ObjectLiteral = { id: id(5), name: 'c', parent: { id: id(5), name: 'p' } }
    child['parent'].friends = [child, { id: id(6), name: 'f' }]
    return manager.save(Child, child)
  },
  'a list of the parent of the parent': ({ manager, id }) => {
    const child: ObjectLiteral = { id: id(5), name: 'c', parent: { id: id(5), grand: { id: id(5) } } }
    const { parent } = child
    child['grand'] = parent.grand
    Object.assign(parent.grand, { parents: [parent], children: [child] })
    parent.children = [child]
    return manager.save(Child, child)
  },
  'a list of the parent of the parent, and the child refers to it by its list alone': ({ manager, id }) => {
    const child: ObjectLiteral = { id: id(5), name: 'c', parent: { id: id(5), grand: { id: id(5) } } }
    const { parent } = child
    Object.assign(parent.grand, { parents: [parent], children: [child] })
    return manager.save(Child, child)
  },
  'a reference table that lists it': ({ manager, id }) => {
    const leaf: ObjectLiteral = { id: id(5), name: 'l', copied: { id: id(5), name: 'c' } }
    leaf['copied'].leaves = [leaf]
    return manager.save(Leaf, leaf)
  },
  'an unsharded table that lists it': ({ manager, id }) => {
    const leaf: ObjectLiteral = { id: id(5), name: 'l', plain: { id: id(5), name: 'p' } }
    leaf['plain'].leaves = [leaf]
    return manager.save(Leaf, leaf)
  },
  'a stored row of an unsharded table that lists it': ({ manager, id }) => {
    const leaf: ObjectLiteral = { id: id(5), name: 'l', plain: { id: id(1), name: 'p' } }
    leaf['plain'].leaves = [leaf, { id: id(2), name: 'taken' }]
    return manager.save(Leaf, leaf)
  },
  'a stored row of a reference table that lists it': ({ manager, id }) => {
    const leaf: ObjectLiteral = { id: id(5), name: 'l', copied: { id: id(1), name: 'p' } }
    leaf['copied'].leaves = [leaf, { id: id(2), name: 'taken' }]
    return manager.save(Leaf, leaf)
  },
  'a member that leads itself by another': ({ manager, id }) => {
    const member: ObjectLiteral = { id: id(5), leader: { id: id(6) } }
    member['leader'].leader = member
    return manager.save(Member, member)
  },
  'a member in the list of its leader': ({ manager, id }) => {
    const member: ObjectLiteral = { id: id(5), leader: { id: id(6) } }
    member['leader'].led = [member, { id: id(7), led: [{ id: id(8) }] }]
    return manager.save(Member, member)
  },
  'a new player is the captain of a stored team': ({ manager, id }) => {
    const player: ObjectLiteral = { id: id(5), name: 'p', team: { id: id(1), name: 't' } }
    player['team'].captain = player
    return manager.save(Player, player)
  },
  'a stored player is the captain of a new team': ({ manager, id }) => {
    const player: ObjectLiteral = { id: id(1), name: 'p', team: { id: id(5), name: 't' } }
    player['team'].captain = player
    return manager.save(Player, player)
  },
  'a stored player is the captain of a stored team': ({ manager, id }) => {
    const player: ObjectLiteral = { id: id(1), name: 'p', team: { id: id(1), name: 't' } }
    player['team'].captain = player
    return manager.save(Player, player)
  },
  'a new ball, whose id the database makes, is that of a stored team': ({ manager, id }) => {
    const ball: ObjectLiteral = { place: id(5), team: { id: id(1), name: 't' } }
    ball['team'].ball = ball
    return manager.save(Ball, ball)
  },
}

async function seed({ manager }: DataSource): Promise<void> {
  const ids = Object.keys(scripts).flatMap((_, script) =>
    Array.from({ length: perScript }, (__, row) => idOf(script, row + 1)),
  )
  const rowOf = (kind: unknown, id: number): ObjectLiteral => {
    if (kind === Leaf) return { id, copied: { id }, plain: { id } }
    if (kind === Parent) return { id, grand: { id } }
    return [Child, Loose, Single].some((one) => one === kind) ? { id, parent: { id } } : { id }
  }
  for (const kind of stored)
    await manager.insert<ObjectLiteral>(
      kind,
      ids.map((id) => rowOf(kind, id)),
    )
}

const idOf = (script: number, number: number): number => script * 10 + number

const tables = [
  'grand',
  'parent',
  'child',
  'loose',
  'made',
  'single',
  'copied',
  'plain',
  'leaf',
  'member',
  'team',
  'player',
  'ball',
  'parent_friends_child',
]

const withoutUuids = (text: string): string => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'uuid')

const contentsOf = async (dataSource: DataSource): Promise<readonly string[]> => {
  const found: string[] = []
  for (const table of tables) {
    const all: readonly object[] = await dataSource.query(`SELECT * FROM ${table}`)
    found.push(...all.map((row) => withoutUuids(`${table} ${JSON.stringify(row)}`)))
  }
  return found.toSorted()
}

describe('an object that a save refers to, and that refers back', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({
      entities: [...stored, Made, Ball, Bearer, Purse],
      groups: [
        'grand',
        'parent',
        'child',
        'loose',
        'made',
        'single',
        'leaf',
        'member',
        'team',
        'player',
        'ball',
        'bearer',
        'purse',
      ],
      subscribers: [Listening],
      seed,
    })
  })
  afterAll(() => targets?.close())

  it.each(Object.entries(scripts).map(([name, script], place) => [name, script, place] as const))(
    '%s',
    async (_, script, place) => {
      const run = async (dataSource: DataSource) => {
        heard.length = 0
        const given = await script({ manager: dataSource.manager, id: (number) => idOf(place, number) })
        const events = heard.toSorted()
        return {
          given: withoutUuids(inspect(given, { depth: 9, sorted: true })),
          events,
          contents: await contentsOf(dataSource),
        }
      }
      const expected = await run(targets.plain)
      for (const { dataSource } of targets.sharded) expect(await run(dataSource)).toEqual(expected)
    },
  )

  it('is refused where its row can only be stored after the other, and the reverse', async () => {
    const bearer: ObjectLiteral = { place: 1, purse: { id: 1 } }
    bearer['purse'].bearer = bearer
    for (const { dataSource } of targets.sharded) {
      await expect(dataSource.manager.save(Bearer, bearer)).rejects.toMatchObject({ code: 'CROSS_SHARD_RELATION' })
      expect([await dataSource.manager.count(Bearer), await dataSource.manager.count(Purse)]).toEqual([0, 0])
    }
    expect(bearer).toEqual({ place: 1, purse: { id: 1, bearer } })
  })
})
