/** A table as the catalog names it. */
export interface TableName {
  readonly schema: string
  readonly name: string
}

/** The output of a query that tells which tables have a rule: of UPDATE, which is of type 2, INSERT, of type 3, or DELETE, of type 4. */
export const ruledTables = `(SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname)), '[]')::text
  FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE r.ev_type IN ('2', '3', '4') AND n.nspname NOT IN ('pg_catalog', 'information_schema')) AS ruled`

/** Reads that output of a row. */
export const ruledTablesOf = ({ ruled }: { readonly [output: string]: unknown }): readonly TableName[] =>
  JSON.parse(String(ruled))
