import {
  Column,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  Unique,
  UpdateDateColumn,
  VersionColumn,
  VirtualColumn,
} from 'typeorm'
import { GlobalUnique, hash, LookupIndex, Sharded, ShardedId, ShardKey } from '../../src'

/** Declared in an order that is not that of the alphabet. */
export const moods = ['zeta', 'alpha', 'Mid', 'beta 2'] as const

/** Cents here, a numeric with two places there. */
const cents = {
  to: (value: unknown) => (typeof value === 'number' ? (value / 100).toFixed(2) : value),
  from: (value: string | null) => (value === null ? null : Math.round(Number(value) * 100)),
}

/** What is null there is none here, and the other way round. */
const nullish = {
  to: (value: unknown) => (value === 'nil' ? null : value),
  from: (value: string | null) => (value === null ? 'nil' : value === 'z' ? null : value),
}

export class Point {
  @Column('int', { nullable: true }) x!: number | null
  @Column('text', { nullable: true }) label!: string | null
}

export class Address {
  @Column('text', { nullable: true }) city!: string | null
  @Column('smallint', { nullable: true }) floor!: number | null
  @Column(() => Point) point!: Point
}

/** Columns that hurt: types whose JavaScript value is not their whole value, or whose order is not JavaScript's. */
export abstract class Hurtful {
  @Column('int') count!: number
  @Column('text') name!: string
  @Column('smallint', { nullable: true }) small!: number | null
  @Column('bigint', { nullable: true }) big!: string | null
  @Column('numeric', { nullable: true }) exact!: string | null
  @Column('numeric', { precision: 12, scale: 2, nullable: true, transformer: cents }) price!: number | null
  @Column('double precision', { nullable: true }) ratio!: number | null
  @Column('boolean', { nullable: true }) flag!: boolean | null
  @Column('uuid', { nullable: true }) token!: string | null
  @Column('date', { nullable: true }) born!: string | null
  @Column('timestamp', { nullable: true }) local!: Date | null
  @Column('timestamptz', { nullable: true }) instant!: Date | null
  @Column('enum', { enum: moods, nullable: true }) mood!: (typeof moods)[number] | null
  @Column('text', { nullable: true }) word!: string | null
  @Column({ type: 'text', collation: 'en-x-icu', nullable: true }) phrase!: string | null
  @Column('char', { length: 4, nullable: true }) fixed!: string | null
  @Column('text', { array: true, nullable: true }) tags!: string[] | null
  @Column('jsonb', { nullable: true }) extra!: object | null
  @Column('text', { nullable: true, select: false }) secret!: string | null
  @Column(() => Address) address!: Address
  @VersionColumn() version!: number
  @CreateDateColumn({ type: 'timestamptz' }) createdAt!: Date
  @UpdateDateColumn({ type: 'timestamptz' }) updatedAt!: Date
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null
  @Column({ type: 'timestamptz', default: () => `now() - interval '1 hour'` }) noted!: Date
}

/** The primary key is the shard key. */
@Entity()
@Sharded(hash({ shards: 1 }))
export class Account extends Hurtful {
  @ShardKey() @PrimaryColumn('bigint') id!: string
  @OneToMany(
    () => Entry,
    (entry) => entry.account,
    { cascade: true },
  )
  entries!: Entry[]
}

/** A child whose shard key is its join column. */
@Entity()
@Sharded({ colocatedWith: () => Account })
export class Entry {
  @PrimaryColumn('bigint') id!: string
  @ShardKey() @Column('bigint') accountId!: string
  @Column('int') count!: number
  @Column('text', { nullable: true }) word!: string | null
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(
    () => Account,
    (account) => account.entries,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'accountId' })
  account!: Account
}

/** The primary key does not hold the shard key. */
@Entity()
@Sharded(hash({ shards: 1 }))
@Unique(['id', 'owner'])
export class Parcel extends Hurtful {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('bigint') owner!: string
  @OneToMany(
    () => Item,
    (item) => item.parcel,
    { cascade: true },
  )
  items!: Item[]
}

/** A child whose shard key is a column beside its join column. */
@Entity()
@Sharded({ colocatedWith: () => Parcel })
export class Item {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('bigint') owner!: string
  @Column('int') count!: number
  @Column('text', { nullable: true, transformer: nullish }) word!: string | null
  @Column('uuid', { nullable: true }) parcelId!: string | null
  @ManyToOne(
    () => Parcel,
    (parcel) => parcel.items,
    { onDelete: 'CASCADE', nullable: true },
  )
  @JoinColumn({ name: 'parcelId' })
  parcel!: Parcel | null
}

@Entity()
@Sharded(hash({ shards: 1 }))
export class Reading extends Hurtful {
  @ShardKey() @PrimaryColumn('int') tenant!: number
  @ShardKey() @PrimaryColumn('date') day!: string
  @PrimaryColumn('smallint') n!: number
}

/** Its rows move where a write changes their shard key. */
@Entity()
@Sharded(hash({ shards: 1 }), { onKeyChange: 'move' })
@Unique(['id', 'at'])
export class Happening extends Hurtful {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('timestamptz') at!: Date
}

@Entity()
@Sharded(hash({ shards: 1 }))
export class Diary extends Hurtful {
  @ShardKey() @PrimaryColumn('date') day!: string
}

@Entity()
@Sharded(hash({ shards: 1 }))
export class Label extends Hurtful {
  @ShardKey() @PrimaryColumn('text') code!: string
}

@Entity()
@Sharded(hash({ shards: 1 }))
export class Ticket extends Hurtful {
  @ShardKey() @PrimaryColumn('uuid') id!: string
}

export class Place {
  @Column('int', { nullable: true }) row!: number | null
  @Column({ type: 'text', collation: 'C', nullable: true }) shelf!: string | null
}

/** Types whose order is the database's own, and text in several collations. */
@Entity()
@Sharded(hash({ shards: 1 }))
export class Specimen {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') count!: number
  @Column('text') name!: string
  @Column({ type: 'text', collation: 'C', nullable: true }) bytewise!: string | null
  @Column({ type: 'varchar', length: 40, collation: 'und-x-icu', nullable: true }) unicode!: string | null
  @Column({ type: 'text', collation: 'sv-x-icu', nullable: true }) swedish!: string | null
  @Column('money', { nullable: true }) cost!: string | null
  @Column('interval', { nullable: true }) span!: unknown
  @Column('time', { nullable: true }) clock!: string | null
  @Column('time with time zone', { nullable: true }) zoned!: string | null
  @Column('int', { array: true, nullable: true }) marks!: number[] | null
  @Column('numeric', { array: true, nullable: true }) shares!: number[] | null
  @Column('jsonb', { nullable: true }) notes!: unknown
  @Column('bytea', { nullable: true }) blob!: Buffer | null
  @Column('inet', { nullable: true }) host!: string | null
  @Column('int4range', { nullable: true }) extent!: string | null
  @Column('real', { nullable: true }) weight!: number | null
  @Column('enum', { enum: moods, nullable: true }) mood!: (typeof moods)[number] | null
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null
  @OneToMany(
    () => Finding,
    (finding) => finding.specimen,
    { cascade: true },
  )
  findings!: Finding[]
}

/** A child that loads its parent eagerly, and has an embedded object and soft deletes. */
@Entity()
@Sharded({ colocatedWith: () => Specimen })
export class Finding {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') specimenId!: number
  @Column('int') count!: number
  @Column('text', { nullable: true }) word!: string | null
  @Column(() => Place) place!: Place
  @DeleteDateColumn() deletedAt!: Date | null
  @ManyToOne(
    () => Specimen,
    (specimen) => specimen.findings,
    { onDelete: 'CASCADE', eager: true },
  )
  @JoinColumn({ name: 'specimenId' })
  specimen!: Specimen
}

/**
 * A few columns, of which one is unique over all shards (one database has a unique constraint, which `world.ts` makes) and
 * another finds rows by its values.
 */
export abstract class LookedUp {
  @Column('int') count!: number
  @Column('text') name!: string
  @Column('text', { nullable: true, transformer: nullish }) word!: string | null
  @GlobalUnique() @Column('text', { nullable: true }) email!: string | null
  @LookupIndex() @Column('text', { nullable: true }) city!: string | null
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null
}

/** Looked-up rows that move. */
@Entity()
@Sharded(hash({ shards: 1 }), { onKeyChange: 'move' })
@Unique(['id', 'day'])
export class Member extends LookedUp {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('date') day!: string
}

/** Looked-up rows of a shard key of two columns. */
@Entity()
@Sharded(hash({ shards: 1 }))
export class Shift extends LookedUp {
  @ShardKey() @PrimaryColumn('int') tenant!: number
  @ShardKey() @PrimaryColumn('date') day!: string
  @PrimaryColumn('smallint') n!: number
}

/** Ids that lead to the shard of another column. */
@Entity()
@Sharded(hash({ shards: 1 }))
@Unique(['id', 'owner'])
export class Bill extends LookedUp {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('bigint') owner!: string
  @OneToMany(
    () => Line,
    (line) => line.bill,
    { cascade: true },
  )
  lines!: Line[]
}

/** A child with an id of its own, that refers to an id. */
@Entity()
@Sharded({ colocatedWith: () => Bill })
export class Line {
  @PrimaryColumn('uuid') @ShardedId('uuid') id!: string
  @ShardKey() @Column('bigint') owner!: string
  @Column('int') count!: number
  @Column('text', { nullable: true }) word!: string | null
  @Column('bigint', { nullable: true }) billId!: string | null
  @ManyToOne(
    () => Bill,
    (bill) => bill.lines,
    { onDelete: 'CASCADE', nullable: true },
  )
  @JoinColumn({ name: 'billId' })
  bill!: Bill | null
}

/** Whose key PostgreSQL stores otherwise than it is given: rounded, and without blanks that do not fit. */
@Entity()
@Sharded(hash({ shards: 1 }))
@Unique(['id', 'amount', 'code'])
export class Quote {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column({ type: 'numeric', precision: 10, scale: 2 }) amount!: string | number
  @ShardKey() @Column({ type: 'varchar', length: 3 }) code!: string
  @Column('int') count!: number
  @Column('text') name!: string
  @Column('text', { nullable: true }) word!: string | null
}

/** Its computed column counts its children, which lie on its shard. */
@Entity()
@Sharded(hash({ shards: 1 }))
export class Crate {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') count!: number
  @Column('text') name!: string
  @Column('text', { nullable: true }) word!: string | null
  @VirtualColumn({ query: (alias) => `SELECT count(*)::int FROM "tin" WHERE "tin"."crateId" = ${alias}."id"` })
  held!: number
  @OneToMany(
    () => Tin,
    (tin) => tin.crate,
    { cascade: true },
  )
  tins!: Tin[]
}

/** Its computed columns read rows of all shards, and the unsharded table. */
@Entity()
@Sharded({ colocatedWith: () => Crate })
export class Tin {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') crateId!: number
  @Column('int') count!: number
  @Column('text', { nullable: true }) word!: string | null
  @VirtualColumn({ query: () => 'SELECT count(*)::int FROM "crate"' }) crates!: number
  @VirtualColumn({
    query: (alias) => `SELECT max("setting"."name") FROM "setting" WHERE "setting"."count" = ${alias}."count"`,
  })
  said!: string | null
  @ManyToOne(
    () => Crate,
    (crate) => crate.tins,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'crateId' })
  crate!: Crate
}

/** Unsharded. */
@Entity()
export class Setting {
  @PrimaryColumn('int') id!: number
  @Column('int') count!: number
  @Column('text') name!: string
  @Column('text', { nullable: true }) word!: string | null
}

export const entities = {
  Account,
  Entry,
  Parcel,
  Item,
  Reading,
  Happening,
  Diary,
  Label,
  Ticket,
  Specimen,
  Finding,
  Member,
  Shift,
  Bill,
  Line,
  Quote,
  Crate,
  Tin,
  Setting,
} as const

export type EntityName = keyof typeof entities
