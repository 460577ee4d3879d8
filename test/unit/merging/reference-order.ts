import fc from 'fast-check'
import type { Row } from '../../../src/merging/row'
import type { SortKind, SortTerm } from '../../../src/merging/sort-term'

/** PostgreSQL's order written a second time, slowly and by other means (BigInt, Buffer), to compare the fast one with. */
type ReferenceComparator = (a: never, b: never) => number

const sign = (a: bigint | number, b: bigint | number): number => (a < b ? -1 : a > b ? 1 : 0)

const scaled = (text: string, scale: number): bigint => {
  const [integer = '0', fraction = ''] = text.split('.')
  return BigInt(integer + fraction.padEnd(scale, '0'))
}

export const referenceDecimals = (a: string, b: string): number => {
  const order = ['-Infinity', '', 'Infinity', 'NaN']
  const rank = (text: string): number => Math.max(order.indexOf(text), order.includes(text) ? 0 : 1)
  if (rank(a) !== 1 || rank(b) !== 1) return sign(rank(a), rank(b))
  const scale = Math.max(a.length, b.length)
  return sign(scaled(a, scale), scaled(b, scale))
}

const referenceFloats = (a: number, b: number): number => {
  const rank = (value: number): number => (Number.isNaN(value) ? 1 : 0)
  return rank(a) + rank(b) > 0 ? sign(rank(a), rank(b)) : sign(a, b)
}

export const referenceTexts = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** The alphabet of the `ranked` kind: an order that no comparison of texts gives; `e` and `é` are equal in it. */
export const ranks: ReadonlyMap<string, number> = new Map([
  ['zebra', 0],
  ['e', 1],
  ['é', 1],
  ['Apfel', 2],
  ['apfel', 3],
])

const reference: Readonly<Record<SortKind, ReferenceComparator>> = {
  integer: (a: number | string, b: number | string) => sign(BigInt(a), BigInt(b)),
  numeric: referenceDecimals,
  float: referenceFloats,
  boolean: (a: boolean, b: boolean) => sign(Number(a), Number(b)),
  bytes: (a: Buffer, b: Buffer) =>
    sign(BigInt(`0x01${a.toString('hex').padEnd(16, '0')}`), BigInt(`0x01${b.toString('hex').padEnd(16, '0')}`)) ||
    sign(a.length, b.length),
  codepoints: referenceTexts,
  instant: (a: Date | number, b: Date | number) => sign(Number(a), Number(b)),
  ranked: (a: string, b: string) => sign(ranks.get(a) ?? -1, ranks.get(b) ?? -1),
}

/** The reference order of rows: SortTerms read literally. */
export const referenceRows =
  (terms: readonly SortTerm[]) =>
  (a: Row, b: Row): number => {
    for (const { column, kind, descending, nullsFirst } of terms) {
      const x = a[column]
      const y = b[column]
      if (x === null && y === null) continue
      if (x === null) return nullsFirst ? -1 : 1
      if (y === null) return nullsFirst ? 1 : -1
      // as never: each kind's arbitrary makes values of the one form that its reference takes
      const order = reference[kind](x as never, y as never)
      if (order !== 0) return descending ? -order : order
    }
    return 0
  }

const digits = (min: number, max: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('0', '1', '5', '9'), minLength: min, maxLength: max })

/** Finite numeric text; few digits, so that equal values with other scales, and near misses, are common. */
export const finiteDecimal: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom('', '', '-'),
    fc.oneof(digits(1, 2), digits(1, 40)),
    fc.oneof(fc.constant(''), digits(1, 3), digits(1, 30)),
  )
  .map(([minus, integer, fraction]) => `${minus}${BigInt(integer)}${fraction === '' ? '' : `.${fraction}`}`)

export const decimal: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: finiteDecimal },
  { weight: 1, arbitrary: fc.constantFrom('NaN', 'Infinity', '-Infinity') },
)

/** Well-formed text around the borders where UTF-16 and UTF-8 disagree. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', 'b', '\u{D7FF}', '\u{E000}', '\u{FFFF}', '\u{10000}', '\u{10FFFF}', 'é'),
    maxLength: 4,
  }),
  fc.string({ unit: 'binary', maxLength: 4 }),
)

const values: Readonly<Record<SortKind, fc.Arbitrary<unknown>>> = {
  integer: fc.oneof(
    fc.integer({ min: -12, max: 12 }),
    fc.integer({ min: -12, max: 12 }).map(String),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  ),
  numeric: decimal,
  float: fc.oneof(
    fc.constantFrom(0, -0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    fc.double(),
  ),
  boolean: fc.boolean(),
  bytes: fc.array(fc.constantFrom(0, 1, 127, 128, 255), { maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  codepoints: text,
  instant: fc.oneof(
    fc.constantFrom(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
    fc.integer({ min: -3, max: 3 }).map((time) => new Date(time)),
    fc.date({ noInvalidDate: true }),
  ),
  ranked: fc.constantFrom(...ranks.keys()),
}

const kinds: readonly SortKind[] = [
  'integer',
  'numeric',
  'float',
  'boolean',
  'bytes',
  'codepoints',
  'instant',
  'ranked',
]

export const sortTerms: fc.Arbitrary<readonly SortTerm[]> = fc
  .array(fc.record({ kind: fc.constantFrom(...kinds), descending: fc.boolean(), nullsFirst: fc.boolean() }), {
    maxLength: 3,
  })
  .map((terms) => terms.map((term, index) => ({ ...term, column: `__k${index}` })))

/** Rows that carry the columns of the terms, a fifth of their values NULL. */
export const rowsFor = (terms: readonly SortTerm[], maxLength: number): fc.Arbitrary<Row[]> =>
  fc.array(
    fc.record(
      Object.fromEntries(terms.map(({ column, kind }) => [column, fc.option(values[kind], { nil: null, freq: 5 })])),
    ),
    { maxLength },
  )

/** The ranks that `compareRows` takes beside the terms. */
export const ranksFor = (terms: readonly SortTerm[]): (ReadonlyMap<string, number> | undefined)[] =>
  terms.map(({ kind }) => (kind === 'ranked' ? ranks : undefined))
