import type { ClientBase } from 'pg'

export interface ScriptColumn {
  readonly name: string
  /** The type's name without its modifiers, and of an array that of its elements. */
  readonly type: string
  readonly isArray: boolean
  /** The labels of an enum. */
  readonly labels: readonly string[] | null
  readonly modifiers: string | null
  readonly isNullable: boolean
  readonly byDefault: string | null
  readonly isIdentity: boolean
  readonly isGenerated: boolean
  /** Where it is not that of the database. */
  readonly collation: string | null
}

export interface ScriptUnique {
  readonly name: string
  readonly columns: readonly string[]
}

/** A table that a script has made, as the catalog of the plain database describes it. */
export interface ScriptTable {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** `r`: a table, `p`: a partitioned table, `v`: a view, … */
  readonly kind: string
  readonly isPartition: boolean
  readonly isVisible: boolean
  readonly columns: readonly ScriptColumn[]
  readonly primaryKey: readonly string[] | null
  readonly uniques: readonly ScriptUnique[] | null
  readonly checks: readonly string[] | null
}

const keysOf = (kind: string): string =>
  `(SELECT json_agg(json_build_object('name', (SELECT x.relname FROM pg_class x WHERE x.oid = i.indexrelid), 'columns', (SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.place <= i.indnkeyatts)))
    FROM pg_index i WHERE i.indrelid = c.oid AND ${kind} AND i.indpred IS NULL AND i.indexprs IS NULL)`

const question = `
  SELECT c.oid::text, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relispartition AS "isPartition",
    pg_table_is_visible(c.oid) AS "isVisible",
    (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(e.oid, NULL), 'isArray', t.typelem <> 0 AND t.typlen = -1 AND t.typcategory = 'A',
       'labels', CASE WHEN e.typtype = 'e' THEN (SELECT json_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = e.oid) END,
       'modifiers', substring(format_type(a.atttypid, a.atttypmod) FROM '\\((.*)\\)'), 'isNullable', NOT a.attnotnull,
       'byDefault', pg_get_expr(d.adbin, d.adrelid), 'isIdentity', a.attidentity <> '', 'isGenerated', a.attgenerated <> '',
       'collation', (SELECT collname FROM pg_collation WHERE pg_collation.oid = a.attcollation AND collname <> 'default')) ORDER BY a.attnum)
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
       JOIN pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
       LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    ${keysOf('i.indisprimary')}->0->'columns' AS "primaryKey", ${keysOf('i.indisunique AND NOT i.indisprimary')} AS uniques,
    (SELECT json_agg(pg_get_expr(k.conbin, k.conrelid)) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c') AS checks
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
  ORDER BY c.oid`

/** All tables and views of the database, those of its own catalog excepted. */
export async function scriptTables(client: ClientBase): Promise<readonly ScriptTable[]> {
  const { rows } = await client.query<ScriptTable>(question)
  return rows.map((row) => ({ ...row, columns: row.columns ?? [] }))
}

/** Whether a column's values come from a sequence, so that two databases need not give the same. */
export const isNumbered = ({ byDefault, isIdentity }: ScriptColumn): boolean =>
  isIdentity || /\bnextval\(/.test(byDefault ?? '')

/** Whether two databases need not give the same default: it is numbered, drawn, or the time. */
export const isByChance = (column: ScriptColumn): boolean =>
  isNumbered(column) ||
  /\b(?:now|random|clock_timestamp|statement_timestamp|timeofday|gen_random_uuid|uuidv[47])\(|\bCURRENT_(?:TIME|DATE)/i.test(
    column.byDefault ?? '',
  )
