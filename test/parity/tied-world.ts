import {
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  EventSubscriber,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  type ObjectLiteral,
  OneToMany,
  OneToOne,
  PrimaryColumn,
  type Relation,
  type RelationOptions,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src/index'

export interface TiedOptions {
  readonly cascade: boolean
  readonly orphanedRowAction: RelationOptions['orphanedRowAction']
  /** Of the relations that are joined by the shard key: the others must have foreign keys. */
  readonly createForeignKeyConstraints: boolean
}

export const ids = [1, 2, 3, 4, 5, 6]
export const tenantOf = (id: number): number => ((id - 1) % 4) + 1

/** Owners, and what hangs on them: by the shard key alone, by more than it, and by a column beside it. */
export function tiedWorld({ cascade, orphanedRowAction, createForeignKeyConstraints }: TiedOptions) {
  const owned: RelationOptions = {
    nullable: true,
    createForeignKeyConstraints,
    ...(orphanedRowAction && { orphanedRowAction }),
  }
  const moving = { onKeyChange: 'move' } as const
  const byShop = [
    { name: 'tenantId', referencedColumnName: 'tenantId' },
    { name: 'shopId', referencedColumnName: 'id' },
  ]

  @Entity()
  @Sharded(hash({ shards: 4 }))
  class Trunk {
    @ShardKey() @PrimaryColumn('int') id!: number
    @Column('text', { default: 'd' }) name!: string
    @DeleteDateColumn() gone!: Date | null
    @OneToMany(
      () => Leaf,
      (leaf) => leaf.trunk,
      { cascade },
    )
    leaves!: Relation<Leaf>[]
    @OneToMany(
      () => Fixed,
      (fixed) => fixed.trunk,
      { cascade },
    )
    fixed!: Relation<Fixed>[]
    @OneToOne(
      () => Root,
      (root) => root.trunk,
      { cascade },
    )
    root!: Relation<Root> | null
    @OneToMany(
      () => Unwritten,
      (one) => one.trunk,
      { persistence: false },
    )
    unwritten!: Relation<Unwritten>[]
  }

  @Entity()
  @Sharded({ colocatedWith: () => Trunk }, moving)
  class Leaf {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') trunkId!: number
    @VersionColumn() version!: number
    @UpdateDateColumn() updatedAt!: Date
    @DeleteDateColumn() gone!: Date | null
    @ManyToOne(
      () => Trunk,
      (trunk) => trunk.leaves,
      { ...owned, nullable: false },
    )
    trunk!: Relation<Trunk>
  }

  @Entity()
  @Sharded({ colocatedWith: () => Trunk })
  class Fixed {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') trunkId!: number
    @ManyToOne(
      () => Trunk,
      (trunk) => trunk.fixed,
      { createForeignKeyConstraints, orphanedRowAction: 'disable' },
    )
    trunk!: Relation<Trunk>
  }

  @Entity()
  @Sharded({ colocatedWith: () => Trunk }, moving)
  class Root {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') trunkId!: number
    @OneToOne(
      () => Trunk,
      (trunk) => trunk.root,
      { ...owned, nullable: false },
    )
    @JoinColumn()
    trunk!: Relation<Trunk>
  }

  @Entity()
  @Sharded({ colocatedWith: () => Trunk }, moving)
  class Unwritten {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') trunkId!: number
    @ManyToOne(
      () => Trunk,
      (trunk) => trunk.unwritten,
      { createForeignKeyConstraints },
    )
    trunk!: Relation<Trunk>
  }

  @Entity()
  @Sharded(hash({ shards: 4 }))
  class Shop {
    @ShardKey() @PrimaryColumn('int') tenantId!: number
    @PrimaryColumn('int') id!: number
    @Column('text', { default: 'd' }) name!: string
    @OneToMany(
      () => Thing,
      (thing) => thing.shop,
      { cascade },
    )
    things!: Relation<Thing>[]
    @OneToMany(
      () => Part,
      (part) => part.shop,
    )
    parts!: Relation<Part>[]
  }

  @Entity()
  @Sharded({ colocatedWith: () => Shop }, moving)
  class Thing {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') tenantId!: number
    @Column('int', { nullable: true }) shopId!: number | null
    @VersionColumn() version!: number
    @DeleteDateColumn() gone!: Date | null
    @ManyToOne(
      () => Shop,
      (shop) => shop.things,
      owned,
    )
    @JoinColumn(byShop)
    shop!: Relation<Shop> | null
  }

  /** Has the shard key in its primary key. */
  @Entity()
  @Sharded({ colocatedWith: () => Shop })
  class Part {
    @ShardKey() @PrimaryColumn('int') tenantId!: number
    @PrimaryColumn('int') id!: number
    @Column('int', { nullable: true }) shopId!: number | null
    @ManyToOne(
      () => Shop,
      (shop) => shop.parts,
      { createForeignKeyConstraints, orphanedRowAction: 'disable' },
    )
    @JoinColumn(byShop)
    shop!: Relation<Shop> | null
  }

  @Entity()
  @Sharded(hash({ shards: 4 }), moving)
  class Stall {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') tenantId!: number
    @OneToMany(
      () => Good,
      (good) => good.stall,
    )
    goods!: Relation<Good>[]
    @ManyToMany(
      () => Label,
      (label) => label.stalls,
    )
    @JoinTable()
    labels!: Relation<Label>[]
  }

  /** Refers to its stall by a column beside the shard key. */
  @Entity()
  @Sharded({ colocatedWith: () => Stall }, moving)
  class Good {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') tenantId!: number
    @ManyToOne(
      () => Stall,
      (stall) => stall.goods,
      { nullable: true },
    )
    stall!: Relation<Stall> | null
  }

  @Entity()
  @Sharded({ colocatedWith: () => Stall })
  class Label {
    @PrimaryColumn('int') id!: number
    @ShardKey() @Column('int') tenantId!: number
    @ManyToMany(
      () => Stall,
      (stall) => stall.labels,
    )
    stalls!: Relation<Stall>[]
  }

  return { Trunk, Leaf, Fixed, Root, Unwritten, Shop, Thing, Part, Stall, Good, Label }
}

export type TiedWorld = ReturnType<typeof tiedWorld>

/** What subscribers heard, of both data sources in turn. */
export const heard: string[] = []

export const texts = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (part === undefined ? 'undefined' : part)).replace(
    /"20\d\d-[^"]+Z"/g,
    '"now"',
  )

@EventSubscriber()
export class Listening {
  beforeInsert(event: EventParts): void {
    this.note('bi', event)
  }
  afterInsert(event: EventParts): void {
    this.note('ai', event)
  }
  beforeUpdate(event: EventParts): void {
    this.note('bu', event)
  }
  afterUpdate(event: EventParts): void {
    this.note('au', event)
  }
  beforeRemove(event: EventParts): void {
    this.note('br', event)
  }
  afterRemove(event: EventParts): void {
    this.note('ar', event)
  }
  beforeSoftRemove(event: EventParts): void {
    this.note('bs', event)
  }
  afterSoftRemove(event: EventParts): void {
    this.note('as', event)
  }

  private note(kind: string, event: EventParts): void {
    const { metadata, entity, databaseEntity, entityId, updatedColumns = [], updatedRelations = [] } = event
    const changed = [...updatedColumns, ...updatedRelations].map(({ propertyPath }) => propertyPath)
    // TypeORM loads relations for all objects of an entity that one of them has; over shards, for those of one shard.
    const own = Object.entries(databaseEntity ?? {}).filter(([name]) => !entity || name in entity)
    const before = databaseEntity && Object.fromEntries(own)
    heard.push(`${kind} ${metadata.name} ${texts({ entity, before, entityId })} ${changed.join()}`)
  }
}

interface EventParts {
  readonly metadata: { readonly name: string }
  readonly entity?: ObjectLiteral
  readonly databaseEntity?: ObjectLiteral
  readonly entityId?: unknown
  readonly updatedColumns?: readonly { readonly propertyPath: string }[]
  readonly updatedRelations?: readonly { readonly propertyPath: string }[]
}

export type Kind = keyof TiedWorld

/** The kinds of one colocation group, owners last: a case is about one of them. */
export const families: readonly (readonly Kind[])[] = [
  ['Unwritten', 'Root', 'Fixed', 'Leaf', 'Trunk'],
  ['Part', 'Thing', 'Shop'],
  ['Good', 'Label', 'Stall'],
]

const rowsOf = (kind: Kind): readonly ObjectLiteral[] => {
  const keyed = ids.map((id) => ({ id, tenantId: tenantOf(id) }))
  switch (kind) {
    case 'Trunk':
      return ids.map((id) => ({ id }))
    case 'Root':
      return ids.slice(0, 3).map((id) => ({ id: 10 + id, trunkId: id }))
    case 'Leaf':
    case 'Fixed':
    case 'Unwritten':
      return ids.map((id) => ({ id: 10 + id, trunkId: id }))
    case 'Shop':
    case 'Stall':
    case 'Label':
      return keyed
    case 'Thing':
    case 'Part':
      return keyed.map((row) => ({ ...row, id: 10 + row.id, shopId: row.id < 5 ? row.id : null }))
    case 'Good':
      return keyed.map((row) => ({ ...row, id: 10 + row.id, stall: row.id < 5 ? { id: row.id } : null }))
  }
}

/** The rows that each case starts with. */
export async function fill({ manager }: DataSource, world: TiedWorld, family: readonly Kind[]): Promise<void> {
  if (family.includes('Stall')) await manager.query('DELETE FROM "stall_labels_label"')
  for (const kind of family) await manager.getRepository<ObjectLiteral>(world[kind]).deleteAll()
  for (const kind of [...family].reverse()) await manager.insert<ObjectLiteral>(world[kind], [...rowsOf(kind)])
}

/** Every stored row, by its entity. */
export async function stored(
  { manager }: DataSource,
  world: TiedWorld,
  family: readonly Kind[],
): Promise<Readonly<Record<string, readonly string[]>>> {
  const found: Record<string, readonly string[]> = {}
  for (const kind of family) {
    const relations = kind === 'Good' ? { stall: true } : kind === 'Stall' ? { labels: true } : undefined
    const rows = await manager.find<ObjectLiteral>(world[kind], { withDeleted: true, ...(relations && { relations }) })
    found[kind] = rows.map(texts).sort()
  }
  return found
}
