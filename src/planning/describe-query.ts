import type { ValueType } from '../query/sort-form'
import { typeKind } from '../query/type-kind'
import type { Template } from './statement-template'

/**
 * A statement that asks for the types and collations of a query's columns, without reading a row: the query gives none,
 * and an outer join to nothing keeps one row of typed NULLs.
 */
export function describeQuery({ text, parameters }: Template, columns: number): Template {
  const names = Array.from({ length: columns }, (_, index) => `c${index}`)
  const rows = names.map((name, index) => `(${index}, pg_typeof(q.${name})::oid, ${collationOf(`q.${name}`)})`)
  return Object.freeze({
    text:
      `SELECT v.i, format_type(t.oid, -1) AS name, coalesce(e.typtype, t.typtype) AS kind, v.c AS collation, ` +
      `format_type(b.oid, -1) AS base, b.typtype AS base_kind FROM (SELECT 1) AS one ` +
      `LEFT JOIN (SELECT * FROM (${text}) AS z LIMIT 0) AS q(${names.join(', ')}) ON true ` +
      `CROSS JOIN LATERAL (VALUES ${rows.join(', ')}) AS v(i, t, c) JOIN pg_catalog.pg_type t ON t.oid = v.t ` +
      `LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' ` +
      `LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd' ORDER BY v.i`,
    parameters,
  })
}

/** The collation that an expression sorts by; types without one have none to ask for. */
const collationOf = (expression: string): string =>
  `CASE WHEN (SELECT typcollation FROM pg_catalog.pg_type WHERE oid = pg_typeof(${expression})) <> 0 THEN pg_collation_for(${expression}) END`

/** Reads the answer to `describeQuery`. */
export function typesOf(rows: readonly Readonly<Record<string, unknown>>[]): readonly ValueType[] {
  return rows.map((row) => {
    const collation = row['collation'] === null ? undefined : String(row['collation'])
    const base: ValueType | undefined =
      row['base'] === null ? undefined : { name: String(row['base']), kind: typeKind(row['base_kind']), collation }
    return Object.freeze({
      // A literal that nothing gave a type.
      name: row['name'] === 'unknown' ? 'text' : String(row['name']),
      kind: typeKind(row['kind']),
      collation,
      ...(base && { base }),
    })
  })
}
