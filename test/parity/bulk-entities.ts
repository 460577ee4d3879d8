import {
  ChildEntity,
  Column,
  type ColumnOptions,
  CreateDateColumn,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  TableInheritance,
  UpdateDateColumn,
  VersionColumn,
} from 'typeorm'
import { hash, Sharded, ShardKey } from '../../src/index'

export const moods = ['zeta', 'alpha', 'Mid', 'beta 2'] as const

const cents = {
  to: (value: unknown) => (typeof value === 'number' ? (value / 100).toFixed(2) : value),
  from: (value: string | null) => (value === null ? null : Math.round(Number(value) * 100)),
}

class Spot {
  @Column('int', { nullable: true }) x!: number | null
  @Column('text', { nullable: true }) label!: string | null
}

class Address {
  @Column('text', { nullable: true }) city!: string | null
  @Column(() => Spot) spot!: Spot
}

/** A column of every kind that TypeORM stores in PostgreSQL without an extension. */
@Entity()
@Sharded(hash({ shards: 3 }), { group: 'wide' })
export class Wide {
  @ShardKey() @PrimaryColumn('bigint') id!: string
  @Column({ length: 12 }) name!: string
  @Column('smallint', { nullable: true }) small!: number | null
  @Column('int', { default: 7 }) count!: number
  @Column('numeric', { nullable: true }) exact!: string | null
  @Column('numeric', { precision: 12, scale: 2, nullable: true, transformer: cents }) price!: number | null
  @Column('double precision', { nullable: true }) ratio!: number | null
  @Column('real', { nullable: true }) weight!: number | null
  @Column('money', { nullable: true }) cost!: string | null
  @Column({ nullable: true, type: Boolean }) flag!: boolean | null
  @Column('uuid', { nullable: true }) token!: string | null
  @Column('date', { nullable: true }) born!: string | null
  @Column('time', { nullable: true }) clock!: string | null
  @Column('timetz', { nullable: true }) zoned!: string | null
  @Column('timestamp', { nullable: true, precision: 3 }) local!: Date | null
  @Column('timestamptz', { nullable: true }) instant!: Date | null
  @Column('interval', { nullable: true }) span!: unknown
  @Column('enum', { enum: moods, nullable: true }) mood!: (typeof moods)[number] | null
  @Column('enum', { enum: moods, array: true, nullable: true }) moods!: (typeof moods)[number][] | null
  @Column('simple-enum', { enum: ['on', 'off'], default: 'off' }) power!: string
  @Column('char', { length: 4, nullable: true }) fixed!: string | null
  @Column('text', { array: true, nullable: true }) tags!: string[] | null
  @Column('int', { array: true, nullable: true }) marks!: (number | null)[] | number[][] | null
  @Column('timestamptz', { array: true, nullable: true }) visits!: Date[] | null
  @Column('jsonb', { nullable: true }) extra!: unknown
  @Column('json', { nullable: true }) notes!: unknown
  @Column('simple-array', { nullable: true }) words!: string[] | null
  @Column('simple-json', { nullable: true }) bag!: unknown
  @Column('bytea', { nullable: true }) blob!: Buffer | null
  @Column('inet', { nullable: true }) host!: string | null
  @Column({ type: 'int4range', nullable: true }) extent!: string | null
  @Column('point', { nullable: true }) at!: { x: number; y: number } | string | null
  @Column({ type: 'bit', length: 3, nullable: true } as ColumnOptions) bits!: string | null
  @Column({ type: 'xml', nullable: true }) markup!: string | null
  @Column({ type: 'int', nullable: true, asExpression: 'count * 2', generatedType: 'STORED' }) twice!: number | null
  @Column('text', { nullable: true, select: false }) secret?: string | null
  @Column({ type: 'text', nullable: true, insert: false }) later!: string | null
  @Column(() => Address) address!: Address
  @VersionColumn() version!: number
  @CreateDateColumn() createdAt!: Date
  @UpdateDateColumn() updatedAt!: Date
  @DeleteDateColumn() deletedAt!: Date | null
}

/** Its primary key is generated and decides the shard. */
@Entity()
@Sharded(hash({ shards: 3 }), { group: 'seed' })
export class Seed {
  @ShardKey() @PrimaryGeneratedColumn('uuid') id!: string
  @Column('int') n!: number
}

/** Its primary key is generated beside the shard key, which is the column of a relation. */
@Entity()
@Sharded({ colocatedWith: () => Wide })
export class Leaf {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('bigint') wideId!: string
  @Column('int') n!: number
  @ManyToOne(() => Wide)
  @JoinColumn({ name: 'wideId' })
  wide!: Relation<Wide>
}

@Entity()
@Sharded(hash({ shards: 3 }), { group: 'shape' })
@TableInheritance({ column: { type: 'enum', enum: ['Shape', 'Circle', 'Square'], name: 'kind' } })
export class Shape {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column() colour!: string
  @ManyToMany(() => Stamp, { cascade: true })
  @JoinTable({ name: 'shape_stamp' })
  stamps!: Relation<Stamp>[]
}

@ChildEntity()
export class Circle extends Shape {
  @Column('int') radius!: number
}

@ChildEntity()
export class Square extends Shape {
  @Column('int', { default: 1 }) side!: number
}

@Entity()
@Sharded({ colocatedWith: () => Shape })
export class Stamp {
  @ShardKey() @PrimaryColumn('int') shapeId!: number
  @PrimaryColumn('int') n!: number
}

export const bulk = {
  entities: [Wide, Seed, Leaf, Shape, Circle, Square, Stamp],
  groups: ['wide', 'seed', 'shape'],
  onDelete: 'application',
} as const

const pick = <T>(values: readonly T[], n: number): T => values[n % values.length] as T

/** A row of hurtful values; which, depends on its number. Every column that may be set is. */
export const wideOf = (n: number): Partial<Wide> => ({
  id: pick([String(n), `0${n}`, `${n}`], n),
  name: pick(["o'clock", 'back\\slash', '{a,"b"}', 'NULL', '', '中文😀', 'tab\there\n'], n),
  small: pick([-32768, 0, null, 32767], n),
  count: n,
  exact: pick(['123456789012345678901234567890.123456789', 'NaN', null, '1.10', '-Infinity'], n),
  price: pick([1234, -99, null, 0], n),
  ratio: pick([0.1, Number.NaN, Number.POSITIVE_INFINITY, -0, 1e-300, null], n),
  weight: pick([0.5, null, 1e-30], n),
  cost: pick(['1.50', '-0.01', null], n),
  flag: pick([true, false, null], n),
  token: pick(['ABCDEF00-0010-4000-8000-000000000001', null], n),
  born: pick(['2024-02-29', '0044-03-15', null, '1900-01-01'], n),
  clock: pick(['23:59:59.999999', '00:00', null], n),
  zoned: pick(['12:00:00+02', null], n),
  local: pick([new Date('1969-12-31T23:59:59.999Z'), null, new Date('2024-03-31T01:30:00.123Z')], n),
  instant: pick([new Date('2024-01-01T00:00:00.123Z'), null, new Date('0001-01-01T00:00:00Z')], n),
  span: pick(['1 day', '1 year 2 mons 3 days 04:05:06.000007', null], n),
  mood: pick([...moods, null], n),
  moods: pick([[], ['zeta', 'beta 2'], null], n),
  power: pick(['on', 'off'], n),
  fixed: pick(['a', 'ab  ', '', null, 'abcd'], n),
  tags: pick([[], ['a,b', '"q"', 'NULL', ''], null, ['{x}', '\\']], n),
  marks: pick<Wide['marks']>(
    [
      [1, null, -1],
      [],
      null,
      [
        [1, 2],
        [3, 4],
      ],
    ],
    n,
  ),
  visits: pick([[new Date('2024-01-01T00:00:00.123Z')], null], n),
  extra: pick<unknown>([{ a: 1, b: [null, 'x"y'] }, [1, '2'], 'text', 7, null, {}], n),
  notes: pick<unknown>([{ b: 1, a: 2 }, [], null], n),
  words: pick([['a', 'b'], [], null, ['é']], n),
  bag: pick<unknown>([{ k: 'v' }, [1], null], n),
  blob: pick([Buffer.from([0, 1, 255]), Buffer.alloc(0), null], n),
  host: pick(['10.0.0.0/8', '::1', null], n),
  extent: pick(['[1,5)', 'empty', null], n),
  at: pick<Wide['at']>([{ x: 1.5, y: -2 }, null, '(3,4)'], n),
  bits: pick(['101', null], n),
  markup: pick(['<a b="c">d</a>', null], n),
  secret: pick(['s', null], n),
  address: { city: pick(['x', null], n), spot: { x: n, label: pick([null, 'l'], n) } },
})

export const rowsOf = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index + 1))
