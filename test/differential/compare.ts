import type { Comparison, Operation, RawComparison } from './operation'
import type { Outcome } from './outcome'

/** Undefined where the outcomes of an operation agree, else what differs. */
export function differenceOf(operation: Operation, oracle: Outcome, sharded: Outcome): string | undefined {
  if (operation.do !== 'transaction') return difference(comparisonOf(operation), oracle, sharded)
  const ended = difference('exact', { ...oracle, value: 'ended' }, { ...sharded, value: 'ended' })
  const count = unequal('parts', oracle.parts?.length, sharded.parts?.length)
  if (ended !== undefined || count !== undefined) return ended ?? count
  for (const [index, part] of operation.operations.entries()) {
    const [one, other] = [oracle.parts?.[index], sharded.parts?.[index]]
    const found = one && other && differenceOf(part, one, other)
    if (found !== undefined) return `part ${index} ${found}`
  }
  return undefined
}

const comparisonOf = (operation: Operation): Comparison => ('compare' in operation ? operation.compare : 'exact')

/** Undefined where the outcomes agree, else what differs. */
export function difference(compare: Comparison, oracle: Outcome, sharded: Outcome): string | undefined {
  if (areViolations(oracle, sharded) || areTooLate(oracle, sharded)) return undefined
  if (oracle.error || sharded.error) return unequal('error', oracle.error, sharded.error)
  if (compare === 'exact') return unequal('value', oracle.value, sharded.value)
  if (compare === 'one-of-many') return unequal('shape', shapeOf(oracle.value), shapeOf(sharded.value))
  if ('rows' in compare)
    return unequal('raw', prepared(compare, oracle.value), prepared(compare, sharded.value), new Set(compare.close))
  const [rows, count] = rowsOf(oracle.value)
  const [otherRows, otherCount] = rowsOf(sharded.value)
  return unequal('count', count, otherCount) ?? differenceOfRows(compare, rows, otherRows)
}

/**
 * Of several rows that violate several constraints, any may be the first to be found out. Or, where a value is unique, any
 * that cannot be computed, or that comes twice in an upsert.
 */
function areViolations(oracle: Outcome, sharded: Outcome): boolean {
  const codes = [oracle, sharded].map(({ error }) => (error?.name === 'QueryFailedError' ? (error.code ?? '') : ''))
  return codes.every((code) => code.startsWith('23') || (/^2[12]/.test(code) && codes.includes('23505')))
}

/** A SET TRANSACTION may be too late in two ways, of which either may be told: after a query, and after a savepoint. */
const areTooLate = (...outcomes: readonly Outcome[]): boolean =>
  outcomes.every(({ error }) => error?.code === '25001' && error.message.startsWith('SET TRANSACTION'))

function differenceOfRows(
  { sortedBy, isPaged }: Exclude<Comparison, string | RawComparison>,
  oracle: readonly unknown[],
  sharded: readonly unknown[],
): string | undefined {
  const keyed = (rows: readonly unknown[]) =>
    rows.map((row) => JSON.stringify(sortedBy.map((path) => sortValue(valueAt(row, path)))))
  const keys = keyed(oracle)
  const lengths = unequal('number of rows', oracle.length, sharded.length) ?? unequal('sort keys', keys, keyed(sharded))
  if (lengths !== undefined) return lengths
  // A page may cut through rows of one sort key: any of them will do there.
  const isCut = (index: number) => isPaged && (keys[index] === keys[0] || keys[index] === keys.at(-1))
  const inner = (rows: readonly unknown[]) =>
    rows
      .filter((_, index) => !isCut(index))
      .map((row) => JSON.stringify(row))
      .sort()
  return unequal('rows of one sort key', inner(oracle), inner(sharded))
}

/** What sorts alike may look different: 1.1 and 1.10, 0 and -0. */
function sortValue(value: unknown): unknown {
  if (value === '«-0»') return 0
  if (Array.isArray(value)) return value.map(sortValue)
  if (value !== null && typeof value === 'object') {
    if ('«PostgresInterval»' in value) return { seconds: secondsOf(value['«PostgresInterval»'] as DatePart) }
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, sortValue(inner)]))
  }
  return typeof value === 'string' && /^-?\d+\.\d+$/.test(value) ? value.replace(/\.?0+$/, '') : value
}

type DatePart = Readonly<Record<string, number | undefined>>

/** As PostgreSQL compares intervals: a month has 30 days, a day 24 hours. */
function secondsOf({ years = 0, months = 0, days = 0, ...time }: DatePart): number {
  const { hours = 0, minutes = 0, seconds = 0, milliseconds = 0 } = time
  const whole = ((years * 12 + months) * 30 + days) * 86_400 + hours * 3600 + minutes * 60 + seconds
  return Math.round(whole * 1e6 + milliseconds * 1000)
}

/** Raw rows in a form in which what SQL leaves open is alike. */
function prepared({ rows, close, loose }: RawComparison, value: unknown): unknown {
  const same = loosened(value, new Set(loose))
  if (rows === 'ordered') return same
  const without = new Set(close)
  const keyOf = (row: unknown) =>
    JSON.stringify(row, (name, inner) => (without.has(name) && typeof inner === 'number' ? undefined : inner))
  const sorted = (list: readonly unknown[]) =>
    list
      .map((row) => [keyOf(row), JSON.stringify(row), row] as const)
      .sort(([a, c], [b, d]) => compareTexts(a, b) || compareTexts(c, d))
      .map(([, , row]) => row)
  const deep = (one: unknown): unknown => {
    if (Array.isArray(one)) return sorted(one.map(deep))
    if (one === null || typeof one !== 'object') return one
    return Object.fromEntries(
      Object.entries(one).map(([name, inner]) => [
        name,
        setLike.has(name) || name.startsWith('«') ? deep(inner) : inner,
      ]),
    )
  }
  return deep(same)
}

function loosened(value: unknown, loose: ReadonlySet<string>): unknown {
  if (loose.size === 0 || value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((one) => loosened(one, loose))
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, loose.has(name) ? sortValue(inner) : loosened(inner, loose)]),
  )
}

const setLike = new Set(['raw', 'generatedMaps', 'identifiers', 'entities'])

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The rows of `find`, or the rows and the count of `findAndCount`. */
function rowsOf(value: unknown): readonly [rows: readonly unknown[], count: unknown] {
  if (!Array.isArray(value)) return [[value], undefined]
  const [first, second] = value
  return value.length === 2 && Array.isArray(first) && typeof second === 'number' ? [first, second] : [value, undefined]
}

function valueAt(row: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => {
    if (value === null || typeof value !== 'object') return undefined
    const [inner] = Object.values(value)
    return inner === null || typeof inner !== 'object' ? undefined : (inner as Record<string, unknown>)[name]
  }, row)
}

function shapeOf(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  const [[name = '', inner] = []] = Object.entries(value)
  return { [name]: inner !== null && typeof inner === 'object' ? Object.keys(inner) : inner }
}

function unequal(
  what: string,
  oracle: unknown,
  sharded: unknown,
  close: ReadonlySet<string> = new Set(['']),
): string | undefined {
  const path = firstDifference(oracle, sharded, { path: '', name: '', close })
  if (path === undefined) return undefined
  return `${what}${path}\noracle:  ${cut(oracle)}\nsharded: ${cut(sharded)}`
}

const cut = (value: unknown): string => (JSON.stringify(value) ?? 'undefined').slice(0, 3000)

/**
 * Sums of floats may end differently in their last digits. What should be 0 may be left with a rest, which is as small
 * beside the values that were added, all of which are 0.1 or more, or too small to matter.
 */
const isClose = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b), 0.1)

interface Place {
  readonly path: string
  /** Of the property; that of the list for its elements. */
  readonly name: string
  /** Properties of which numbers need only be close; the empty name is the whole. */
  readonly close: ReadonlySet<string>
}

function firstDifference(a: unknown, b: unknown, place: Place): string | undefined {
  const { path, close } = place
  if (a === b) return undefined
  if (close.has(place.name) && typeof a === 'number' && typeof b === 'number')
    return isClose(a, b) ? undefined : `${path}: ${a} ≠ ${b}`
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object')
    return `${path}: ${cut(a)} ≠ ${cut(b)}`
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  const areLists = Array.isArray(a) && Array.isArray(b)
  if (areLists && a.length !== b.length) return `${path}: ${a.length} ≠ ${b.length} elements`
  for (const name of names) {
    const found = firstDifference((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name], {
      path: `${path}.${name}`,
      name: areLists ? place.name || '[]' : name,
      close,
    })
    if (found !== undefined) return found
  }
  return undefined
}
