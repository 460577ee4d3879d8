import fc from 'fast-check'

/** A type, how random texts of it are made, and how it has to be ordered. */
export interface TypedValues {
  /** As `format_type(oid, -1)` has it. */
  readonly name: string
  readonly kind?: 'enum' | 'domain' | 'range' | 'composite' | 'multirange'
  /** Where the text is to be cast to another name: types that the test makes. */
  readonly values: fc.Arbitrary<string>
}

const digits = fc.constantFrom('0', '1', '9')
const run = (min: number, max: number) => fc.string({ unit: digits, minLength: min, maxLength: max })
const two = (from: number, to: number) => fc.integer({ min: from, max: to }).map((n) => String(n).padStart(2, '0'))

const integer = (bits: number) =>
  fc.oneof(
    fc.integer({ min: -3, max: 3 }).map(String),
    fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }).map(String),
    fc.constantFrom(String(-(2n ** BigInt(bits - 1))), String(2n ** BigInt(bits - 1) - 1n)),
  )
const unsigned = (bits: number) =>
  fc.oneof(fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n }), fc.bigInt({ min: 0n, max: 12n })).map(String)

const numeric = fc.oneof(
  fc.tuple(fc.constantFrom('', '-'), run(1, 30), run(0, 25)).map(([sign, whole, part]) => `${sign}${whole}.${part}0`),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '-0.0', '1', '1.0', '1e-30', '9007199254740993', '1e40'),
)
const float = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '-0', '0.1', '0.10000000000000002', '1e-300', '5e-324'),
)
const real = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '-0', '0.1', '0.10000001'),
)
const date = fc.oneof(
  fc.tuple(two(1, 9999), two(1, 12), two(1, 28)).map(([y, m, d]) => `${y.padStart(4, '0')}-${m}-${d}`),
  fc.constantFrom('infinity', '-infinity', '0044-03-15 BC', '5874897-12-31', '4713-01-01 BC'),
)
const clock = fc
  .tuple(two(0, 23), two(0, 59), two(58, 59), fc.constantFrom('', '.000001', '.123', '.123001', '.999999'))
  .map(([h, m, s, part]) => `${h}:${m}:${s}${part}`)
const time = fc.oneof(clock, fc.constantFrom('24:00:00', '00:00:00', '00:00:00.000001'))
const zone = fc.constantFrom('+00', '+01', '-01', '+05:30', '-12', '+14', '-15:59:59', '+15:59:59')
const near = fc.tuple(fc.constantFrom('2024-03-31', '1969-12-31', '1970-01-01', '0001-01-01 BC'), clock)
const timestamp = fc.oneof(
  near.map(([day, hour]) => (day.endsWith('BC') ? `0001-01-01 ${hour} BC` : `${day} ${hour}`)),
  fc.constantFrom(
    'infinity',
    '-infinity',
    '4714-11-24 00:00:00 BC',
    '294276-12-31 23:59:59.999999',
    '0044-03-15 01:00:00.5 BC',
  ),
)
const timestamptz = fc.oneof(
  fc
    .tuple(near, zone)
    .map(([[day, hour], at]) => (day.endsWith('BC') ? `0001-01-01 ${hour}${at} BC` : `${day} ${hour}${at}`)),
  fc.constantFrom('infinity', '-infinity'),
)
const timetz = fc.oneof(
  fc.tuple(time, zone).map(([at, of]) => `${at}${of}`),
  fc.constantFrom('12:00:00+00', '13:00:00+01', '11:00:00-01'),
)
const interval = fc.oneof(
  fc
    .tuple(
      fc.integer({ min: -30, max: 30 }),
      fc.integer({ min: -70, max: 70 }),
      fc.integer({ min: -2000, max: 2000 }),
      fc.constantFrom('', '.000001', '.5'),
    )
    .map(([months, days, hours, part]) => `${months} months ${days} days ${hours}:59:59${part}`),
  fc.constantFrom(
    '1 month',
    '30 days',
    '720:00:00',
    '1 year',
    '360 days',
    '365 days',
    '-1 month',
    '-30 days',
    '0',
    '178000000 years',
    '-178000000 years',
    'infinity',
    '-infinity',
    '29 days 24:00:00',
  ),
)
const letters = fc.constantFrom(
  'a',
  'A',
  'b',
  'B',
  'á',
  'à',
  'e',
  'é',
  'ö',
  'Ö',
  'z',
  'Z',
  'ß',
  ' ',
  '-',
  '_',
  '1',
  '2',
  '10',
  '9',
  '我',
  '安',
  '中',
  '😀',
  '\uffee',
  'e\u0301',
  'ch',
  'ø',
  'aa',
  'å',
)
export const words = fc.array(letters, { maxLength: 5 }).map((parts) => parts.join(''))
const quote = (text: string) => `"${text.replace(/["\\]/g, (found) => `\\${found}`)}"`
const arrayOf = (elements: fc.Arbitrary<string>) =>
  fc
    .array(fc.oneof({ weight: 5, arbitrary: elements.map(quote) }, { weight: 1, arbitrary: fc.constant('NULL') }), {
      maxLength: 4,
    })
    .map((all) => `{${all.join(',')}}`)
const bits = fc.string({ unit: fc.constantFrom('0', '1'), minLength: 0, maxLength: 18 })
const octet = fc.integer({ min: 0, max: 255 })
const v4 = fc.tuple(fc.constantFrom(10, 192), fc.constantFrom(0, 1, 255), octet, octet).map((parts) => parts.join('.'))
const v6 = fc
  .array(
    fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16)),
    { minLength: 8, maxLength: 8 },
  )
  .map((parts) => parts.join(':'))
const inet = fc.oneof(
  fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([address, length]) => `${address}/${length}`),
  fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([address, length]) => `${address}/${length}`),
  fc.constantFrom('10.0.0.0/8', '10.0.0.0/16', '10.0.0.0/32', '10.0.0.1/8', '10.1.0.0/16', '::/0', '::1', '0.0.0.0/0'),
)
const hex = (bytes: number) =>
  fc.array(
    octet.map((n) => n.toString(16).padStart(2, '0')),
    { minLength: bytes, maxLength: bytes },
  )
const json: fc.Arbitrary<string> = fc.oneof(
  fc.jsonValue({ maxDepth: 2, stringUnit: 'grapheme-ascii' }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    'null',
    '1',
    '1.0',
    '1e2',
    '"a"',
    '"B"',
    '[]',
    '{}',
    '[[]]',
    '{"a":1,"b":2}',
    '{"aa":1}',
    'true',
    'false',
  ),
)
const range = (bound: fc.Arbitrary<string>, order: (a: string, b: string) => number) =>
  fc.oneof(
    fc
      .tuple(
        fc.constantFrom('[', '('),
        fc.constantFrom(']', ')'),
        fc.uniqueArray(bound, { minLength: 2, maxLength: 2 }),
        fc.constantFrom('both', 'lower', 'upper', 'none'),
      )
      .map(([open, close, pair, has]) => {
        const [low, high] = [...pair].sort(order)
        return `${open}${has === 'both' || has === 'lower' ? low : ''},${has === 'both' || has === 'upper' ? high : ''}${close}`
      }),
    fc.constant('empty'),
  )
const small = fc.integer({ min: -20, max: 20 }).map(String)
const byNumber = (a: string, b: string) => Number(a) - Number(b)
const day = fc.tuple(two(1, 12), two(1, 28)).map(([m, d]) => `2024-${m}-${d}`)
const byText = (a: string, b: string) => (a < b ? -1 : 1)

/** Types that have no collation, or whose collation does not matter. */
export const typedValues: readonly TypedValues[] = [
  { name: 'smallint', values: integer(16) },
  { name: 'integer', values: integer(32) },
  { name: 'bigint', values: integer(64) },
  { name: 'oid', values: unsigned(32) },
  { name: 'xid8', values: unsigned(64) },
  { name: 'numeric', values: numeric },
  {
    name: 'money',
    values: fc
      .tuple(fc.constantFrom('', '-'), run(1, 12), two(0, 99))
      .map(([sign, whole, cents]) => `${sign}${whole}.${cents}`),
  },
  { name: 'real', values: real },
  { name: 'double precision', values: float },
  { name: 'boolean', values: fc.constantFrom('true', 'false') },
  { name: 'uuid', values: fc.uuid() },
  {
    name: 'bytea',
    values: fc.array(octet, { maxLength: 4 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  },
  { name: '"bit"', values: bits },
  { name: 'bit varying', values: bits },
  { name: 'macaddr', values: hex(6).map((parts) => parts.join(':')) },
  { name: 'macaddr8', values: hex(8).map((parts) => parts.join(':')) },
  { name: 'inet', values: inet },
  {
    name: 'cidr',
    values: fc.oneof(
      v4,
      v6,
      fc.constantFrom('10.0.0.0/8', '10.0.0.0/16', '10.1.0.0/16', '0.0.0.0/0', '::/0', 'fe80::/10'),
    ),
  },
  {
    name: '"char"',
    values: fc.oneof(
      fc.constantFrom('a', 'Z', '~', '', '\\200', '\\377', '1'),
      fc.integer({ min: 128, max: 255 }).map((n) => `\\${n.toString(8)}`),
    ),
  },
  {
    name: 'pg_lsn',
    values: fc.tuple(unsigned(32), unsigned(32)).map(([a, b]) => `${Number(a).toString(16)}/${Number(b).toString(16)}`),
  },
  { name: 'regclass', values: fc.constantFrom('pg_class', 'pg_type', 'pg_proc', 'pg_attribute', 'pg_index') },
  { name: 'tid', values: fc.tuple(unsigned(32), unsigned(16)).map(([block, at]) => `(${block},${at})`) },
  { name: 'date', values: date },
  { name: 'timestamp without time zone', values: timestamp },
  { name: 'timestamp with time zone', values: timestamptz },
  { name: 'time without time zone', values: time },
  { name: 'time with time zone', values: timetz },
  { name: 'interval', values: interval },
  { name: 'jsonb', values: json },
  {
    name: 'tsvector',
    values: fc
      .array(fc.constantFrom("'a':1", "'b':2A", "'bb'", "'c':1,2,3", "'é'"), { maxLength: 4 })
      .map((all) => all.join(' ')),
  },
  { name: 'tsquery', values: fc.constantFrom("'a'", "'a' & 'b'", "'a' | !'b'", "'a' <-> 'b'", "'ab':*", '') },
  { name: 'integer[]', values: arrayOf(small) },
  { name: 'bigint[]', values: arrayOf(integer(64)) },
  { name: 'numeric[]', values: arrayOf(numeric) },
  { name: 'double precision[]', values: arrayOf(float) },
  { name: 'boolean[]', values: arrayOf(fc.constantFrom('t', 'f')) },
  { name: 'uuid[]', values: arrayOf(fc.uuid()) },
  { name: 'timestamp with time zone[]', values: arrayOf(timestamptz) },
  { name: 'interval[]', values: arrayOf(interval) },
  { name: 'money[]', values: arrayOf(run(1, 6)) },
  { name: 'jsonb[]', values: arrayOf(json) },
  { name: 'bit[]', values: arrayOf(bits) },
  { name: 'int4range', kind: 'range', values: range(small, byNumber) },
  { name: 'int8range', kind: 'range', values: range(small, byNumber) },
  {
    name: 'numrange',
    kind: 'range',
    values: range(
      small.map((n) => `${n}.5`),
      byNumber,
    ),
  },
  { name: 'daterange', kind: 'range', values: range(day, byText) },
  { name: 'tsrange', kind: 'range', values: range(day, byText) },
  { name: 'tstzrange', kind: 'range', values: range(day, byText) },
  {
    name: 'int4multirange',
    kind: 'multirange',
    values: fc
      .array(range(small, byNumber), { maxLength: 3 })
      .map((all) => `{${all.filter((one) => one !== 'empty').join(',')}}`),
  },
  {
    name: 'tstzmultirange',
    kind: 'multirange',
    values: fc
      .array(range(day, byText), { maxLength: 2 })
      .map((all) => `{${all.filter((one) => one !== 'empty').join(',')}}`),
  },
  { name: 'mood', kind: 'enum', values: fc.constantFrom('zeta', 'alpha', 'Mid', 'beta 2') },
  { name: 'mood[]', kind: 'enum', values: arrayOf(fc.constantFrom('zeta', 'alpha', 'Mid', 'beta 2')) },
  { name: 'positive', kind: 'domain', values: unsigned(40) },
  { name: 'pair', kind: 'composite', values: fc.tuple(small, words).map(([n, word]) => `(${n},${quote(word)})`) },
]

/** Types whose values sort by a collation. */
export const collatedTypes = ['text', 'character varying', 'bpchar', 'citext', 'text[]', 'label'] as const

/** Texts of a collated type. */
export const collatedValues = (name: (typeof collatedTypes)[number]): fc.Arbitrary<string> =>
  name === 'text[]' ? arrayOf(words) : words
