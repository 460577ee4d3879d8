import { ShardedError } from '../errors/sharded-error'
import type { ValueType } from '../query/sort-form'

/** A table of which a statement was made with all its columns. */
export interface HeldTable {
  /** As it is written in SQL. */
  readonly name: string
  readonly width: number
}

/** Types of no table's column, which have no arrays. */
const pseudoTypes: ReadonlySet<string> = new Set(['void', 'record', 'record[]', 'cstring', 'anyarray', 'internal'])

/** What a statement was made of. */
interface Known {
  readonly expressions: readonly (readonly [sql: string, type: ValueType | undefined])[]
  readonly tables: readonly HeldTable[]
}

/**
 * An output of a statement, with what the statement was made of beside it: the types of expressions, and how many columns tables
 * have. PostgreSQL checks it when it parses the statement, with the tables locked, and then drops it: it costs nothing a row, and
 * changes no plan, as a WHERE would (the arms of a UNION ALL with one are no longer one). A table that was altered since is an error,
 * and never a value that an older type has cut.
 */
export function checked(output: string, type: 'text' | 'integer', { expressions, tables }: Known): string {
  const checks = [
    ...expressions.flatMap(([sql, type]) => (type ? typeCheck(sql, type) : [])),
    ...tables.map((table) => `EXISTS (${rowsOfWidth(table)})`),
  ]
  return checks.length === 0 ? output : `CASE WHEN true THEN ${output} ELSE (${checks.join(' OR ')})::${type} END`
}

/** The check of tables for a statement that has no such place: queries of a WITH that nothing names are parsed only. */
export const tableChecks = (tables: readonly HeldTable[]): readonly string[] =>
  tables.map((table, index) => `"__held${index}__" AS (${rowsOfWidth(table)})`)

/** True for the error of a check. @param text of the statement as it was given: a set operation of its own may fail alike */
export function isFailedCheck(error: unknown, text: string): boolean {
  if (!(error instanceof Error)) return false
  if ('routine' in error && error.routine === 'transformSetOperationTree') return !setOperation.test(text)
  return /\bpg_catalog\.(?:array_ne|enum_first|array_ndims|anytextcat)\(/.test(error.message)
}

const setOperation = /\b(?:union|intersect|except)\b/i

/** Both sides of a UNION have equally many columns. */
const rowsOfWidth = ({ name, width }: HeldTable): string =>
  `SELECT * FROM ${name} UNION ALL SELECT ${Array.from({ length: width }, () => 'NULL').join(', ')}`

/**
 * The functions take no other type: of two arrays, both have to be of one. An array of arrays has the type of its elements, so
 * that another function tells a value from an array of such values.
 */
function typeCheck(sql: string, { name, kind, base }: ValueType): readonly string[] {
  // The name of a type that each shard has for itself says nothing of other shards.
  if (kind === 'enum') return name.endsWith('[]') ? [] : [`pg_catalog.enum_first(${sql}) IS NULL`]
  if (kind === 'composite' || pseudoTypes.has(name)) return []
  const isOne = `pg_catalog.array_ne(ARRAY[${sql}], NULL::${name === 'unknown' ? 'text' : name}[])`
  if (vectors.has(name)) return [isOne]
  const isArray = (base ?? { name }).name.endsWith('[]')
  return [isOne, `${isArray ? `pg_catalog.array_ndims(${sql})` : `pg_catalog.anytextcat(${sql}, NULL)`} IS NULL`]
}

/** Arrays without the name of one. */
const vectors: ReadonlySet<string> = new Set(['int2vector', 'oidvector'])

/** The error of a statement whose tables were altered since it was planned, or differ from shard to shard. */
export const planStale = (text: string, cause: unknown): ShardedError =>
  new ShardedError(
    'PLAN_STALE',
    `The tables of a statement are no longer what it was planned for, or not the same on all shards: ${String(cause)}.`,
    { details: { statement: text.slice(0, 500) }, cause },
  )
