import 'reflect-metadata'
import {
  Column,
  Entity,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  Tree,
  TreeChildren,
  TreeParent,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type DescribedPart,
  GlobalUnique,
  hash,
  ReferenceTable,
  Sharded,
  ShardedDataSource,
  ShardedId,
  ShardKey,
} from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@ReferenceTable()
class Currency {
  @PrimaryColumn('varchar', { length: 3 }) code!: string
}

@Entity()
class Label {
  @PrimaryColumn('int') id!: number
  @ManyToMany(() => Note) @JoinTable() notes!: Relation<Note>[]
}

@Entity()
@Tree('closure-table')
class Note {
  @PrimaryColumn('int') id!: number
  @TreeParent() parent!: Note | null
  @TreeChildren({ cascade: ['insert'] }) children!: Note[]
  @OneToMany(
    () => Owner,
    ({ note }) => note,
    { cascade: ['update'] },
  )
  owners!: Relation<Owner>[]
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Owner {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column('text') email!: string
  @ManyToOne(
    () => Note,
    ({ owners }) => owners,
    { cascade: ['insert'] },
  )
  note!: Relation<Note>
  @ManyToOne(() => Currency, { cascade: ['insert'], createForeignKeyConstraints: false }) currency!: Relation<Currency>
}

@Entity()
@Sharded({ colocatedWith: () => Owner })
class Pet {
  @ShardedId() @PrimaryColumn('bigint') id!: string
  @ShardKey() @Column('int') ownerId!: number
  @ManyToOne(() => Owner, { onDelete: 'CASCADE' }) owner!: Relation<Owner>
}

describe('the description of a data source', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  beforeAll(async () => {
    databases = await createDatabases(1)
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Pet, Owner, Note, Label, Currency],
      nodes: { a: { url: databases.nodes[0] ?? '' } },
    }).initialize()
  })
  afterAll(async () => {
    await dataSource?.destroy()
    await databases?.drop()
  })

  const partsOf = (name: string): readonly DescribedPart[] =>
    dataSource.describeSharding().entities.find(({ entity }) => entity === name)?.parts ?? []

  it('has the entities in the order of their names, and where each is', () => {
    const { entities } = dataSource.describeSharding()
    expect(entities.map(({ entity, kind, group, shardKey, rule }) => [entity, kind, group, shardKey, rule])).toEqual([
      ['Currency', 'reference', undefined, undefined, undefined],
      ['Label', 'home', undefined, undefined, undefined],
      ['Note', 'home', undefined, undefined, undefined],
      ['Owner', 'sharded', 'owner', ['id'], 'hash of 2 shards'],
      ['Pet', 'sharded', 'owner', ['ownerId'], 'hash of 2 shards'],
    ])
  })

  it('tells relations that are joined from those whose rows take a statement', () => {
    const relations = (name: string) =>
      partsOf(name).flatMap(({ kind, name, place, reads, conditions }) =>
        kind === 'relation' ? [[name, place, reads, conditions]] : [],
      )
    expect(relations('Owner')).toEqual([
      ['note', 'home', 'a statement', 'gather'],
      ['currency', 'reference', 'join', 'join'],
    ])
    expect(relations('Pet')).toEqual([['owner', 'local', 'join', 'join']])
    expect(relations('Label')).toEqual([['notes', 'home', 'join', 'join']])
    expect(relations('Note')).toEqual([
      ['parent', 'home', 'join', 'join'],
      ['children', 'home', 'join', 'join'],
      ['owners', 'across shards', 'a statement a node', 'gather'],
    ])
  })

  it('tells which cascades and lookups are written on other nodes', () => {
    const writes = (name: string) =>
      partsOf(name).flatMap(({ kind, name, place, writes: how }) => (how ? [[kind, name, place, how]] : []))
    expect(writes('Owner')).toEqual([
      ['lookup', 'email', 'across shards', 'two phases'],
      ['cascade', 'note', 'home', 'two phases'],
      ['cascade', 'currency', 'reference', 'every node, two phases'],
    ])
    expect(writes('Note')).toEqual([
      ['cascade', 'children', 'home', 'with the row'],
      ['cascade', 'owners', 'across shards', 'two phases'],
    ])
  })

  it('tells what the databases check', () => {
    const checked = (name: string) =>
      partsOf(name).flatMap(({ kind, name, place, checked: how }) => (how ? [[kind, name, place, how]] : []))
    expect(checked('Owner')).toEqual([
      ['primary key', 'id', 'local', 'everywhere'],
      ['lookup', 'email', 'across shards', 'everywhere'],
      ['foreign key', 'note.id', 'home', 'no'],
    ])
    expect(checked('Pet')).toEqual([
      ['primary key', 'id', 'local', 'everywhere'],
      ['foreign key', 'ownerId', 'local', 'everywhere'],
    ])
    expect(checked('Label')).toEqual([
      ['primary key', 'id', 'home', 'everywhere'],
      ['join table', 'label_notes_note', 'home', 'everywhere'],
    ])
    expect(partsOf('Note')[0]).toEqual({
      kind: 'tree',
      name: 'note_closure',
      to: 'Note',
      detail: 'closure-table',
      place: 'home',
    })
  })

  it('is frozen, and prints each part on a line', () => {
    const description = dataSource.describeSharding()
    const [first] = description.entities
    for (const value of [description, description.entities, first, first?.parts, first?.parts[0]])
      expect(Object.isFrozen(value)).toBe(true)
    const lines = String(description).trimEnd().split('\n')
    const parts = description.entities.reduce((sum, entity) => sum + entity.parts.length, 0)
    expect(lines).toHaveLength(1 + parts + 2 * description.entities.length)
    expect(lines).toContain('Pet (table pet): sharded by ownerId, hash of 2 shards, in group owner, layout schema')
  })
})
