import type { ColumnRef, RangeVar, SelectStmt } from '@pgsql/types'
import { unsupported } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { ValueType } from '../query/sort-form'
import { selectNode } from '../sql/nodes'
import { isRangeVar, someNode, type TreeObject } from '../sql/tree'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import { typesOfTable } from './bind-shard-names'
import { type HeldTable, tableChecks } from './schema-check'
import type { Template } from './statement-template'

/** Rows that stand in a statement as a CTE: they were read elsewhere and come back as one array of texts a column. */
export interface ShippedRows {
  readonly cte: string
  readonly columns: readonly ShippedColumn[]
  /** The number of the parameter of the first column's array, in the numbering of the statement's source. */
  readonly firstParameter: number
}

/** A column of shipped rows. */
export interface ShippedColumn {
  readonly name: string
  readonly type: ValueType
  /** The column of a sharded table that it was; the type of an enum is each shard's own, and found by it. */
  readonly base?: { readonly group: string; readonly table: string; readonly column: string } | undefined
}

/**
 * Puts shipped rows before a statement: `WITH "__m0__"(…) AS (SELECT u.v0::integer … FROM unnest($2::text[], …) AS u(v0, …)) …`.
 *
 * @param tables of which it names all columns, to be checked
 */
export function withShippedRows(
  template: Template,
  shipped: readonly ShippedRows[],
  tables: readonly HeldTable[] = [],
): Template {
  if (shipped.length === 0 && tables.length === 0) return template
  const parameters = [...template.parameters]
  const ctes = shipped.map(({ cte, columns, firstParameter }) => {
    const arrays = columns.map((_, index) => {
      parameters.push(firstParameter + index)
      return `$${parameters.length}::text[]`
    })
    return `"${cte}"(${namesOf(columns)}) AS (${rowsOfArrays(columns, arrays)})`
  })
  const all = [...tableChecks(tables), ...ctes]
  const [opening = ''] = /^WITH (?:RECURSIVE )?/.exec(template.text) ?? []
  const rest = template.text.slice(opening.length)
  const text = opening === '' ? `WITH ${all.join(', ')} ${rest}` : `${opening}${all.join(', ')}, ${rest}`
  return Object.freeze({ text, parameters: Object.freeze(parameters) })
}

const namesOf = (columns: readonly ShippedColumn[]): string => columns.map(({ name }) => quoted(name)).join(', ')

/** The rows that arrays of texts hold, one array a column, by the columns' types. */
function rowsOfArrays(columns: readonly ShippedColumn[], arrays: readonly string[]): string {
  const values = columns.map((column, index) => typed(`u.v${index}`, column))
  return `SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS u(${columns.map((_, index) => `v${index}`).join(', ')})`
}

/** Shipped rows as a temporary table, of which a server knows how many there are and finds some by an index. */
export interface TemporaryTable {
  readonly create: string
  /** Takes an array of texts for each of its `width` columns. */
  readonly fill: string
  readonly width: number
  /** Once it is filled. */
  readonly settle: readonly string[]
}

/**
 * The statements of a temporary table, which is gone with its transaction.
 *
 * @param indexed columns by which its rows are looked for
 */
export function temporaryTable({ cte, columns }: ShippedRows, indexed: ReadonlySet<string>): TemporaryTable {
  const none = columns.map(() => 'NULL::text[]')
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`)
  return Object.freeze({
    create: `CREATE TEMPORARY TABLE "${cte}"(${namesOf(columns)}) ON COMMIT DROP AS ${rowsOfArrays(columns, none)} WITH NO DATA`,
    fill: `INSERT INTO "${cte}" ${rowsOfArrays(columns, arrays)}`,
    width: columns.length,
    settle: [...[...indexed].map((name) => `CREATE INDEX ON "${cte}"(${quoted(name)})`), `ANALYZE "${cte}"`],
  })
}

/** True for `character(n)`, and what is made of it. */
export const isBlankPadded = (type: ValueType | undefined): boolean =>
  type?.name === 'bpchar' || type?.base?.name === 'bpchar'

/** SQL that gives a value as a text from which its type reads it back: a cast of `character` would lose its blanks. */
export const shippedText = (expression: string, type: ValueType | undefined): string =>
  isBlankPadded(type) ? `bpcharout(${expression})::text` : `${expression}::text`

/** @throws ShardedError STATEMENT_UNSUPPORTED for rows such as `(a, b)`: PostgreSQL reads none back whose type has no name */
export function refuseNameless({ name }: ValueType): void {
  if (name !== 'record' && name !== 'record[]') return
  throw unsupported('A row without a type, as (a, b) is, cannot be sent to the node that finishes the statement.', {
    type: name,
  })
}

/** A text as a value of its type, under its collation. */
function typed(value: string, { type: { name, kind, collation }, base }: ShippedColumn): string {
  if (kind === 'enum' && base) {
    const row = `NULL::${typesOfTable(base.group, base.table)}`
    return `(jsonb_populate_record(${row}, jsonb_build_object(${literal(base.column)}, ${value}))).${quoted(base.column)}`
  }
  const cast = name === 'text' || name === 'unknown' ? value : `${value}::${name}`
  return collation === undefined || collation === '"default"' ? cast : `${cast} COLLATE ${collation}`
}

/** What a query gave. */
export interface Answer {
  readonly rows: readonly Row[]
  /** Of a query whose values were asked for as texts `c0 …`: the names and types that its columns have. */
  readonly columns: readonly ShippedColumn[]
}

/** Notes rows as a CTE of arrays. @returns its name @throws ShardedError STATEMENT_UNSUPPORTED */
export function shipAnswer(shipped: ShippedRows[], values: unknown[], { rows, columns }: Answer): string {
  const cte = noteShipped(shipped, columns, values.length + 1)
  for (const index of columns.keys()) values.push(rows.map((row) => row[`c${index}`]))
  return cte
}

/**
 * Notes columns of rows as a CTE of arrays, which are the parameters from a number on.
 *
 * @returns its name
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function noteShipped(shipped: ShippedRows[], columns: readonly ShippedColumn[], firstParameter: number): string {
  const cte = `__m${shipped.length}__`
  if (columns.length === 0)
    throw unsupported('Rows of a subquery without columns cannot be sent to shards: give it one.')
  for (const { name, type, base } of columns) {
    refuseNameless(type)
    // PostgreSQL has one enum, the shards have one each.
    if ((type.kind !== 'enum' || base) && type.kind !== 'composite') continue
    throw unsupported(
      `The column ${name} of a subquery has a type that each shard defines for itself: cast it to text in the subquery.`,
      { column: name, type: type.name },
    )
  }
  shipped.push({ cte, columns, firstParameter })
  return cte
}

export const tableNamed = (relname: string): RangeVar => ({ relname, inh: true, relpersistence: 'p' })

/** All rows of a CTE. */
export const shippedSelect = (cte: string): SelectStmt =>
  selectNode({
    targetList: [{ ResTarget: { val: { ColumnRef: { fields: [{ A_Star: {} }] } } } }],
    fromClause: [{ RangeVar: tableNamed(cte) }],
  })

/** True for the name of a CTE of shipped rows. */
export const isShippedName = (name: string): boolean => /^__m\d+__$/.test(name)

/**
 * True for a subquery that reads nothing but rows which were shipped to where it runs, and names no column of a query around
 * it: it says the same of every row, and of none.
 */
export function isConstantLink({ SubLink: link }: TreeObject): boolean {
  if (!link) return false
  return !someNode([link.testexpr, link.subselect], (part) => {
    if (isRangeVar(part)) return part.schemaname !== undefined || !isShippedName(part.relname ?? '')
    return part.ColumnRef !== undefined && !isBareStar(part.ColumnRef)
  })
}

function isBareStar({ fields = [] }: ColumnRef): boolean {
  const [field] = fields
  return fields.length === 1 && field !== undefined && 'A_Star' in field
}
