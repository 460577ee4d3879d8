/** A column of a table as the catalog of one shard has it. */
export interface TableColumn {
  readonly name: string
  /** In SQL, without its modifiers: `bpchar`, `"user_07"."mood"[]`. */
  readonly type: string
  readonly isGenerated: boolean
}

/** A foreign key of some table to this one, as the catalog has it. */
export interface IncomingKey {
  readonly constraint: string
  /** In SQL. */
  readonly table: string
  readonly isSelf: boolean
  readonly columns: readonly string[]
  readonly referenced: readonly string[]
}

/** The columns of a table ($1: its name in SQL), in order, and how its session writes values as texts. */
export const columnsText = `SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, -1) AS type,
  a.attgenerated <> '' AS "isGenerated",
  pg_catalog.concat_ws(' ', current_setting('DateStyle'), current_setting('IntervalStyle'),
    current_setting('lc_monetary'), current_setting('extra_float_digits')) AS style
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`

/** The foreign keys to a table ($1: its name in SQL). */
export const incomingKeysText = `SELECT c.conname AS "constraint", c.conrelid::pg_catalog.regclass::text AS "table",
  c.conrelid = c.confrelid AS "isSelf",
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (num, n)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.n) AS columns,
  ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k (num, n)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.n) AS referenced
FROM pg_catalog.pg_constraint c
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confrelid = pg_catalog.to_regclass($1)
ORDER BY c.conname`
