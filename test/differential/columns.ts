import type { Data } from './data'
import { type EntityName, moods } from './entities'
import { idOwners, idWithOwner, numberIdAt, ownerOfId, uuidIdAt } from './sharded-ids'

export type Kind =
  | 'smallint'
  | 'int'
  | 'bigint'
  | 'numeric'
  | 'price'
  | 'double'
  | 'boolean'
  | 'uuid'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'enum'
  | 'text'
  | 'char'
  | 'tags'
  | 'json'
  | 'money'
  | 'interval'
  | 'time'
  | 'timetz'
  | 'integers'
  | 'numerics'
  | 'bytes'
  | 'inet'
  | 'range'
  | 'real'

export interface ColumnSpec {
  readonly path: string
  readonly kind: Kind
  readonly nullable: boolean
  /** Values of its own, where those of the kind will not do. */
  readonly values?: readonly Data[]
  readonly isPrimary?: boolean
  /** Of a primary key: any number of different values, beside those that conditions ask for. */
  readonly wide?: (n: number) => Data
  readonly isKey?: boolean
  readonly isHidden?: boolean
  /** No two rows have the same value, on whatever shards. */
  readonly isUnique?: boolean
  /** Conditions on it find the shard: they come up as often as those on the shard key. */
  readonly isLookedUp?: boolean
  /** Of a column that depends on the primary key: its value, by the primary key. */
  readonly ofId?: (id: string) => Data
}

const date = (v: string): Data => ({ $: 'date', v })
const number = (v: string): Data => ({ $: 'number', v })
const bytes = (v: string): Data => ({ $: 'bytes', v })
const sql = (v: string): Data => ({ $: 'sql', v })

export const uuidAt = (n: number): string =>
  `${((n * 0x1f35_7bd1) >>> 0).toString(16).padStart(8, '0')}-00${(n % 90) + 10}-4000-8000-${String(n).padStart(12, '0')}`

const texts = [
  '',
  ' ',
  'a',
  'A',
  'b',
  'B',
  'a ',
  'ab',
  'aB',
  'Ab',
  'é',
  'e\u0301',
  'É',
  'z',
  'Z',
  'ä',
  'ß',
  'ss',
  '10',
  '9',
  '2',
  '😀',
  '😀a',
  '\uffee',
  'ﬀ',
  'naïve',
  "o'clock",
  'back\\slash',
  '100%',
  'under_score',
  'tab\t',
  '中文',
  '"quoted"',
]

/** Values as they are written in conditions and rows. */
export const valuesOf: Readonly<Record<Kind, readonly Data[]>> = {
  smallint: [-32768, 32767, 0, 1, 2, 3, -1],
  int: [0, 1, 2, 3, 4, 5, 6, 7, 8, -1, 2147483647, -2147483648],
  bigint: [
    '0',
    '1',
    '-1',
    '2',
    '9007199254740993',
    '9007199254740992',
    '-9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
  ],
  numeric: [
    '0',
    '1',
    '1.0',
    '1.10',
    '1.1',
    '-0.001',
    '123456789012345678901234567890.123456789',
    'NaN',
    '0.1',
    '0.2',
    '1e-20',
    '-7',
    'Infinity',
    '-Infinity',
  ],
  price: [0, 1, 150, -99, 123456789, 10],
  double: [number('NaN'), number('Infinity'), number('-Infinity'), '-0', 0, 0.5, 0.1, 0.2, -1.25, 1e-300, 123456.789],
  boolean: [true, false],
  uuid: Array.from({ length: 12 }, (_, index) => uuidAt(index + 500)),
  date: ['2024-01-01', '2024-02-29', '1969-12-31', '1900-01-01', '2024-01-02', '2023-12-31'],
  timestamp: [
    date('2024-01-01T00:00:00.000Z'),
    date('2024-01-01T00:00:00.123Z'),
    date('1969-12-31T23:59:59.999Z'),
    '2024-03-31 02:30:00',
  ],
  timestamptz: [
    date('2024-01-01T00:00:00.000Z'),
    date('2024-01-01T00:00:00.123Z'),
    date('1969-12-31T23:59:59.999Z'),
    date('2024-10-27T01:30:00.000Z'),
  ],
  enum: moods,
  text: texts,
  char: ['a', 'ab', 'ab  ', 'abcd', '', 'é'],
  tags: [[], ['a'], ['a', 'b'], ['b', 'a'], ['B'], ['a,b', '"q"'], ['', 'é']],
  json: [{}, { a: 1 }, { a: 2, b: [1] }, { a: 1, b: null }, { b: 'x' }],
  money: ['0', '1.50', '-1.50', '12345678.90', '-90071992547409.93', '90071992547409.92', '90071992547409.93', '0.01'],
  interval: ['1 day', '24:00:00', '-1 day', '1 mon', '30 days', '1 year 2 mons 3 days 04:05:06.000007', '00:00:00'],
  time: ['00:00:00', '23:59:59.999999', '12:00:00.000001', '12:00:00', '24:00:00'],
  timetz: ['12:00:00+02', '10:00:00+00', '11:00:00+00', '23:59:59.999999-12', '12:00:00.000001+02', '00:00:00+14'],
  integers: [[], [1], [1, 2], [2, 1], [1, null], [-1], [10], [2147483647]],
  numerics: [[], ['1.0'], ['1'], ['NaN'], ['1', '2.50'], ['0.1'], ['-Infinity']],
  bytes: ['', '00', '0001', 'ff', '7f', '6162', 'c3a9', '80'].map(bytes),
  inet: ['10.0.0.1', '10.0.0.0/8', '10.0.0.1/32', '9.255.255.255', '::1', '::ffff:10.0.0.1', '192.168.0.0/16'],
  range: ['empty', '[1,5)', '[1,5]', '(,3)', '[3,)', '(,)', '[-2147483648,0)'],
  real: [number('NaN'), number('Infinity'), '-0', 0, 0.5, -1.25, 1e-30, 0.1],
}

/** Values that only rows have, and only where the statement takes SQL: to the microsecond. */
export const writtenOnly: Partial<Readonly<Record<Kind, readonly Data[]>>> = {
  timestamp: [
    sql("TIMESTAMP '2024-01-01 00:00:00.123001'"),
    sql("TIMESTAMP '2024-01-01 00:00:00.123999'"),
    sql("TIMESTAMP '0044-03-15 12:00:00.000001 BC'"),
  ],
  timestamptz: [
    sql("TIMESTAMPTZ '2024-01-01 00:00:00.123001Z'"),
    sql("TIMESTAMPTZ '2024-01-01 00:00:00.1239Z'"),
    sql("TIMESTAMPTZ '2024-01-01 00:00:00.000001Z'"),
  ],
}

const column = (path: string, kind: Kind, more: Partial<ColumnSpec> = {}): ColumnSpec => ({
  path,
  kind,
  nullable: true,
  ...more,
})

const hurtful: readonly ColumnSpec[] = [
  column('count', 'int', { nullable: false }),
  column('name', 'text', { nullable: false }),
  column('small', 'smallint'),
  column('big', 'bigint'),
  column('exact', 'numeric'),
  column('price', 'price'),
  column('ratio', 'double'),
  column('flag', 'boolean'),
  column('token', 'uuid'),
  column('born', 'date'),
  column('local', 'timestamp'),
  column('instant', 'timestamptz'),
  column('mood', 'enum'),
  column('word', 'text'),
  column('phrase', 'text'),
  column('fixed', 'char'),
  column('tags', 'tags'),
  column('extra', 'json'),
  column('secret', 'text', { isHidden: true }),
  column('address.city', 'text'),
  column('address.floor', 'smallint'),
  column('address.point.x', 'int'),
  column('address.point.label', 'text'),
]

const keys = (from: number, count: number, make: (n: number) => Data): readonly Data[] =>
  Array.from({ length: count }, (_, index) => make(from + index))

/** Few enough that rows often have the same. */
const emails: readonly Data[] = [
  ...keys(1, 36, (n) => `e${n}@x`),
  '',
  ' ',
  'É',
  'é',
  "o'clock",
  '"quoted"',
  'back\\slash',
  '{a,b}',
]
const cities: readonly Data[] = ['Ulm', 'ulm', 'Rome', 'Köln', '', 'a,b', 'New York', '中文']

const lookedUp: readonly ColumnSpec[] = [
  column('count', 'int', { nullable: false }),
  column('name', 'text', { nullable: false }),
  column('word', 'text'),
  column('email', 'text', { values: emails, isUnique: true, isLookedUp: true }),
  column('city', 'text', { values: cities, isLookedUp: true }),
]

const exotic: readonly ColumnSpec[] = [
  column('count', 'int', { nullable: false }),
  column('name', 'text', { nullable: false }),
  column('bytewise', 'text'),
  column('unicode', 'text'),
  column('swedish', 'text'),
  column('cost', 'money'),
  column('span', 'interval'),
  column('clock', 'time'),
  column('zoned', 'timetz'),
  column('marks', 'integers'),
  column('shares', 'numerics'),
  column('notes', 'json'),
  column('blob', 'bytes'),
  column('host', 'inet'),
  column('extent', 'range'),
  column('weight', 'real'),
  column('mood', 'enum'),
]

const bigKeys: readonly Data[] = [
  ...keys(1, 34, String),
  '-5',
  '-9007199254740993',
  '9007199254740993',
  '9007199254740992',
  '9223372036854775807',
  '-9223372036854775808',
]
export const dayKeys: readonly Data[] = ['01', '03', '04', '06', '07', '09', '10', '12'].flatMap((month) =>
  ['01', '15', '28'].map((day) => `2024-${month}-${day}`),
)
export const timeKeys: readonly Data[] = [
  '01-01T00:00:00.000',
  '01-31T23:59:59.999',
  '02-01T00:00:00.000',
  '03-31T23:59:59.999',
  '04-01T00:00:00.000',
  '05-15T12:30:00.500',
  '06-30T23:59:59.999',
  '07-01T00:00:00.000',
  '08-08T08:08:08.080',
  '09-30T23:59:59.999',
  '10-01T00:00:00.000',
  '12-31T23:59:59.999',
].map((text) => date(`2024-${text}Z`))
const owners = keys(1, 12, String)

const primary = { nullable: false, isPrimary: true } as const
const key = { nullable: false, isKey: true } as const

export interface EntitySpec {
  readonly name: EntityName
  readonly columns: readonly ColumnSpec[]
  /** Relation to many, and the entity behind it. */
  readonly children?: {
    readonly property: string
    readonly entity: EntityName
    readonly foreignKey: string
    readonly copies: Readonly<Record<string, string>>
  }
  readonly parent?: { readonly property: string; readonly entity: EntityName }
  readonly hasDeleteDate: boolean
  /** Columns that depend on the primary key, so that one primary key never stands on two shards by accident. */
  readonly bound: readonly string[]
  /** Where a shard key's slot is in the primary key: the primary key with that of another. */
  readonly idFor?: (id: string, owner: string) => Data
}

const pool = keys(1, 40, (n) => n)
/** Given, and stored: 1.005 is stored as 1.01, which others are given as. */
const amounts: readonly Data[] = [
  '1.005',
  '1.01',
  1.005,
  '2.675',
  '2.68',
  '-0.004',
  '0',
  '7.5',
  '7.495',
  '99.999',
  '100',
]
const codes: readonly Data[] = ['abc  ', 'abc', 'ab ', 'ab', 'é中😀 ', 'é中😀', 'x', '']
const specimens = [...keys(1, 30, (n) => n), -7, 2147483647, -2147483648]

export const specs: Readonly<Record<EntityName, EntitySpec>> = {
  Account: {
    name: 'Account',
    columns: [column('id', 'bigint', { ...primary, ...key, values: bigKeys, wide: String }), ...hurtful],
    children: { property: 'entries', entity: 'Entry', foreignKey: 'accountId', copies: { accountId: 'id' } },
    hasDeleteDate: true,
    bound: [],
  },
  Entry: {
    name: 'Entry',
    columns: [
      column('id', 'bigint', { ...primary, values: keys(1, 60, String), wide: String }),
      column('accountId', 'bigint', { ...key, values: bigKeys }),
      column('count', 'int', { nullable: false }),
      column('word', 'text'),
    ],
    parent: { property: 'account', entity: 'Account' },
    hasDeleteDate: true,
    bound: ['accountId'],
  },
  Parcel: {
    name: 'Parcel',
    columns: [
      column('id', 'uuid', { ...primary, values: keys(1, 40, uuidAt), wide: uuidAt }),
      column('owner', 'bigint', { ...key, values: owners }),
      ...hurtful,
    ],
    children: { property: 'items', entity: 'Item', foreignKey: 'parcelId', copies: { owner: 'owner' } },
    hasDeleteDate: true,
    bound: ['owner'],
  },
  Item: {
    name: 'Item',
    columns: [
      column('id', 'int', { ...primary, values: keys(1, 60, (n) => n), wide: (n) => n }),
      column('owner', 'bigint', { ...key, values: owners }),
      column('count', 'int', { nullable: false }),
      column('word', 'text'),
      column('parcelId', 'uuid', { values: keys(1, 40, uuidAt) }),
    ],
    parent: { property: 'parcel', entity: 'Parcel' },
    hasDeleteDate: false,
    bound: ['owner', 'parcelId'],
  },
  Reading: {
    name: 'Reading',
    columns: [
      column('tenant', 'int', { ...primary, ...key, values: keys(1, 4, (n) => n), wide: (n) => n }),
      column('day', 'date', { ...primary, ...key, values: dayKeys }),
      column('n', 'smallint', { ...primary, values: [1, 2, 3] }),
      ...hurtful,
    ],
    hasDeleteDate: true,
    bound: [],
  },
  Happening: {
    name: 'Happening',
    columns: [
      column('id', 'int', { ...primary, values: pool, wide: (n) => n }),
      column('at', 'timestamptz', { ...key, values: timeKeys }),
      ...hurtful,
    ],
    hasDeleteDate: true,
    bound: ['at'],
  },
  Diary: {
    name: 'Diary',
    columns: [column('day', 'date', { ...primary, ...key, values: dayKeys }), ...hurtful],
    hasDeleteDate: true,
    bound: [],
  },
  Label: {
    name: 'Label',
    columns: [column('code', 'text', { ...primary, ...key, values: texts, wide: (n) => `w${n}` }), ...hurtful],
    hasDeleteDate: true,
    bound: [],
  },
  Ticket: {
    name: 'Ticket',
    columns: [column('id', 'uuid', { ...primary, ...key, values: keys(1, 30, uuidAt), wide: uuidAt }), ...hurtful],
    hasDeleteDate: true,
    bound: [],
  },
  Specimen: {
    name: 'Specimen',
    columns: [column('id', 'int', { ...primary, ...key, values: specimens, wide: (n) => n }), ...exotic],
    children: {
      property: 'findings',
      entity: 'Finding',
      foreignKey: 'specimenId',
      copies: { specimenId: 'id' },
    },
    hasDeleteDate: true,
    bound: [],
  },
  Finding: {
    name: 'Finding',
    columns: [
      column('id', 'int', { ...primary, values: keys(1, 60, (n) => n), wide: (n) => n }),
      column('specimenId', 'int', { ...key, values: specimens }),
      column('count', 'int', { nullable: false }),
      column('word', 'text'),
      column('place.row', 'int'),
      column('place.shelf', 'text'),
    ],
    parent: { property: 'specimen', entity: 'Specimen' },
    hasDeleteDate: true,
    bound: ['specimenId'],
  },
  Member: {
    name: 'Member',
    columns: [
      column('id', 'int', { ...primary, values: pool, wide: (n) => n }),
      column('day', 'date', { ...key, values: dayKeys }),
      ...lookedUp,
    ],
    hasDeleteDate: true,
    bound: ['day'],
  },
  Shift: {
    name: 'Shift',
    columns: [
      column('tenant', 'int', { ...primary, ...key, values: keys(1, 4, (n) => n), wide: (n) => n }),
      column('day', 'date', { ...primary, ...key, values: dayKeys }),
      column('n', 'smallint', { ...primary, values: [1, 2, 3] }),
      ...lookedUp,
    ],
    hasDeleteDate: true,
    bound: [],
  },
  Bill: {
    name: 'Bill',
    columns: [
      column('id', 'bigint', { ...primary, values: keys(1, 40, numberIdAt), wide: numberIdAt }),
      column('owner', 'bigint', { ...key, values: idOwners, ofId: ownerOfId }),
      ...lookedUp,
    ],
    children: { property: 'lines', entity: 'Line', foreignKey: 'billId', copies: { owner: 'owner' } },
    hasDeleteDate: true,
    bound: ['owner'],
    idFor: idWithOwner,
  },
  Line: {
    name: 'Line',
    columns: [
      column('id', 'uuid', { ...primary, values: keys(1, 60, uuidIdAt), wide: uuidIdAt }),
      column('owner', 'bigint', { ...key, values: idOwners, ofId: ownerOfId }),
      column('count', 'int', { nullable: false }),
      column('word', 'text'),
      column('billId', 'bigint', { values: keys(1, 40, numberIdAt) }),
    ],
    parent: { property: 'bill', entity: 'Bill' },
    hasDeleteDate: false,
    bound: ['owner', 'billId'],
    idFor: idWithOwner,
  },
  Quote: {
    name: 'Quote',
    columns: [
      column('id', 'int', { ...primary, values: pool, wide: (n) => n }),
      column('amount', 'numeric', { ...key, values: amounts }),
      column('code', 'text', { ...key, values: codes }),
      column('count', 'int', { nullable: false }),
      column('name', 'text', { nullable: false }),
      column('word', 'text'),
    ],
    hasDeleteDate: false,
    bound: ['amount', 'code'],
  },
  Crate: {
    name: 'Crate',
    columns: [
      column('id', 'int', { ...primary, ...key, values: keys(1, 30, (n) => n), wide: (n) => n }),
      column('count', 'int', { nullable: false }),
      column('name', 'text', { nullable: false }),
      column('word', 'text'),
    ],
    children: { property: 'tins', entity: 'Tin', foreignKey: 'crateId', copies: { crateId: 'id' } },
    hasDeleteDate: false,
    bound: [],
  },
  Tin: {
    name: 'Tin',
    columns: [
      column('id', 'int', { ...primary, values: keys(1, 60, (n) => n), wide: (n) => n }),
      column('crateId', 'int', { ...key, values: keys(1, 30, (n) => n) }),
      column('count', 'int', { nullable: false }),
      column('word', 'text'),
    ],
    parent: { property: 'crate', entity: 'Crate' },
    hasDeleteDate: false,
    bound: ['crateId'],
  },
  Setting: {
    name: 'Setting',
    columns: [
      column('id', 'int', { ...primary, values: pool, wide: (n) => n }),
      column('count', 'int', { nullable: false }),
      column('name', 'text', { nullable: false }),
      column('word', 'text'),
    ],
    hasDeleteDate: false,
    bound: [],
  },
}

export const primaryOf = (spec: EntitySpec): readonly ColumnSpec[] => spec.columns.filter((one) => one.isPrimary)

export const keysOf = (spec: EntitySpec): readonly ColumnSpec[] => spec.columns.filter((one) => one.isKey)
