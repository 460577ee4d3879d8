import type { Row } from '../merging/row'
import type { ValueType } from '../query/sort-form'
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

/** Asks for the types of the columns of tables ($1: `schema.table` each), as `typesOf` reads them, beside `table` and `column`. */
export const columnTypesText = `SELECT concat(n.nspname, '.', r.relname) AS table, a.attname AS column, format_type(t.oid, -1) AS name,
  CASE WHEN e.typtype = 'e' THEN 'e' ELSE t.typtype END AS kind, format_type(b.oid, -1) AS base, b.typtype AS base_kind,
  CASE WHEN c.collname = 'default' THEN '"default"' ELSE quote_ident(s.nspname) || '.' || quote_ident(c.collname) END AS collation
  FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid JOIN pg_namespace n ON n.oid = r.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
  LEFT JOIN pg_collation c ON c.oid = a.attcollation LEFT JOIN pg_namespace s ON s.oid = c.collnamespace
  WHERE concat(n.nspname, '.', r.relname) = ANY($1::text[]) AND a.attnum > 0 AND NOT a.attisdropped`

/** What `pg_type.typtype` says. */
const kinds: Readonly<Record<string, ValueType['kind']>> = {
  e: 'enum',
  d: 'domain',
  r: 'range',
  c: 'composite',
  m: 'multirange',
}
const kindOf = (typtype: unknown): ValueType['kind'] => kinds[String(typtype)] ?? 'base'

/** Reads the answer to `describeQuery`, or to `columnTypesText`. */
export function typesOf(rows: readonly Row[]): readonly ValueType[] {
  return rows.map((row) => {
    const collation = row['collation'] === null ? undefined : String(row['collation'])
    const base: ValueType | undefined =
      row['base'] === null ? undefined : { name: String(row['base']), kind: kindOf(row['base_kind']), collation }
    return Object.freeze({
      // A literal that nothing gave a type.
      name: row['name'] === 'unknown' ? 'text' : String(row['name']),
      kind: kindOf(row['kind']),
      collation,
      ...(base && { base }),
    })
  })
}
