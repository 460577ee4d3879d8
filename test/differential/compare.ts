import type { Comparison } from './operation'
import type { Outcome } from './outcome'

/** Undefined where the outcomes agree, else what differs. */
export function difference(compare: Comparison, oracle: Outcome, sharded: Outcome): string | undefined {
  if (areViolations(oracle, sharded)) return undefined
  if (oracle.error || sharded.error) return unequal('error', oracle.error, sharded.error)
  if (compare === 'exact') return unequal('value', oracle.value, sharded.value)
  if (compare === 'one-of-many') return unequal('shape', shapeOf(oracle.value), shapeOf(sharded.value))
  const [rows, count] = rowsOf(oracle.value)
  const [otherRows, otherCount] = rowsOf(sharded.value)
  return unequal('count', count, otherCount) ?? differenceOfRows(compare, rows, otherRows)
}

/** Of several rows that violate several constraints, any may be the first to be found out. */
const areViolations = (oracle: Outcome, sharded: Outcome): boolean =>
  [oracle, sharded].every(({ error }) => error?.name === 'QueryFailedError' && error.code?.startsWith('23') === true)

function differenceOfRows(
  { sortedBy, isPaged }: Exclude<Comparison, string>,
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
  return typeof value === 'string' && /^-?\d+\.\d+$/.test(value) ? value.replace(/\.?0+$/, '') : value
}

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

function unequal(what: string, oracle: unknown, sharded: unknown): string | undefined {
  const path = firstDifference(oracle, sharded, '')
  if (path === undefined) return undefined
  return `${what}${path}\noracle:  ${cut(oracle)}\nsharded: ${cut(sharded)}`
}

const cut = (value: unknown): string => (JSON.stringify(value) ?? 'undefined').slice(0, 3000)

/** Sums of floats may end differently in their last digits. */
const isClose = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b))

function firstDifference(a: unknown, b: unknown, path: string): string | undefined {
  if (a === b) return undefined
  if (path === '' && typeof a === 'number' && typeof b === 'number')
    return isClose(a, b) ? undefined : `${path}: ${a} ≠ ${b}`
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object')
    return `${path}: ${cut(a)} ≠ ${cut(b)}`
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length)
    return `${path}: ${a.length} ≠ ${b.length} elements`
  for (const name of names) {
    const found = firstDifference(
      (a as Record<string, unknown>)[name],
      (b as Record<string, unknown>)[name],
      `${path}.${name}`,
    )
    if (found !== undefined) return found
  }
  return undefined
}
