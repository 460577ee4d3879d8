/** A table as the catalog names it. */
export interface TableName {
  readonly schema: string
  readonly name: string
  /** False where it is told of only since the role does not read all of it. */
  readonly hasRules?: boolean
}

/**
 * The output of a query that tells which tables have a rule: of UPDATE, which is of type 2, INSERT, of type 3, or DELETE, of type 4; and
 * which of them the role may write without reading all of it.
 */
export const ruledTables = `(SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'hasRules', r.is)), '[]')::text
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, LATERAL (SELECT c.relhasrules AND EXISTS (
    SELECT 1 FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type IN ('2', '3', '4')) AS is) r
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND (r.is OR (c.relkind IN ('r', 'p') AND (c.relrowsecurity OR NOT has_table_privilege(c.oid, 'SELECT'))))) AS ruled`

/** Reads that output of a row. */
export const ruledTablesOf = ({ ruled }: { readonly [output: string]: unknown }): readonly TableName[] =>
  JSON.parse(String(ruled))
