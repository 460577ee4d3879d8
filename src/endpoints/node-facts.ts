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

/** What a node says of itself. */
export interface NodeFacts {
  readonly version: string
  readonly database: string
  readonly searchSchema: string
  /** How many transactions may be prepared; 0: none. */
  readonly maxPreparedTransactions: number
  /** The tables that have a rule of UPDATE or DELETE (CREATE RULE). */
  readonly ruledTables: readonly TableName[]
}

export const factsQuery = `SELECT current_setting('server_version') AS version, current_database() AS database, current_schema() AS schema, current_setting('max_prepared_transactions') AS prepared, ${ruledTables}`

export const factsOf = (row: Readonly<Record<string, string>>): NodeFacts =>
  Object.freeze({
    version: /\d+(?:\.\d+)*/.exec(row['version'] ?? '')?.[0] ?? '0',
    database: row['database'] ?? '',
    searchSchema: row['schema'] ?? 'public',
    maxPreparedTransactions: Number(row['prepared'] ?? 0),
    ruledTables: Object.freeze(ruledTablesOf(row)),
  })

/** What stands in the place of facts before a node was asked for them: to read one is a mistake of ours. */
export const notAsked = <Facts extends object>(node: string): Facts =>
  // Nothing can be read of it.
  new Proxy({} as Facts, {
    get: () => {
      throw new Error(`Node ${node} was not asked for its facts yet.`)
    },
  })
