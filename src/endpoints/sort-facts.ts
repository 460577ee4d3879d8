import type { QueryResult } from 'pg'
import { type CollationFacts, collationKey, defaultCollation, type NodeSortFacts } from '../query/node-sort-facts'

/** Collations of a node that are looked at, at most; those that are named come first. */
const maxCollations = 5_000

/** Sends one statement to the node. */
type Ask = (text: string, values?: readonly unknown[]) => Promise<QueryResult>

interface CollationRow {
  readonly key: string
  readonly provider: string
  readonly locale: string | null
  readonly rules: string | null
  readonly deterministic: boolean
  readonly recorded: string | null
  readonly actual: string | null
}

/**
 * Asks a node how its values sort: the collation of the database, those of the given names, and all that users made.
 *
 * @param names SQL names; one that the node does not have is left out of the answer
 */
export async function loadSortFacts(node: string, ask: Ask, names: readonly string[]): Promise<NodeSortFacts> {
  const { rows } = await ask(settingsQuery)
  const { encoding, form, number }: { encoding: string; form: string; number: string } = rows[0]
  const own = await ask(databaseQuery(Number(number)))
  const named = await ask(namedQuery, [names.map(bareName)])
  const collations = new Map<string, CollationFacts>()
  const [rowsNamed, rowsOwn]: readonly CollationRow[][] = [named.rows, own.rows]
  for (const row of rowsNamed ?? []) collations.set(collationKey(row.key), factsOf(row))
  for (const row of rowsOwn ?? []) collations.set(defaultCollation, factsOf(row))
  return Object.freeze({ node, encoding, textForm: form, collations })
}

/** The last part of a name, as the catalog has it. */
const bareName = (name: string): string =>
  /"((?:[^"]|"")*)"$/.exec(collationKey(name))?.[1]?.replace(/""/g, '"') ?? name

const providers: Readonly<Record<string, CollationFacts['provider']>> = { i: 'icu', b: 'builtin', c: 'libc' }

function factsOf({ provider, locale, rules, deterministic, recorded, actual }: CollationRow): CollationFacts {
  return Object.freeze({
    provider: providers[provider] ?? 'libc',
    locale: locale ?? '',
    rules: rules ?? '',
    deterministic,
    recordedVersion: recorded ?? undefined,
    actualVersion: actual ?? undefined,
  })
}

const settingsQuery = `SELECT pg_encoding_to_char(encoding) AS encoding, current_setting('server_version_num') AS number,
  concat('DateStyle ', current_setting('DateStyle'), ', IntervalStyle ', current_setting('IntervalStyle'),
    ', extra_float_digits ', current_setting('extra_float_digits')) AS form
  FROM pg_database WHERE datname = current_database()`

/** The catalogs' columns have changed from version to version: as JSON, one that is not there is NULL. */
function databaseQuery(versionNumber: number): string {
  const actual =
    versionNumber >= 150_000
      ? 'pg_database_collation_actual_version(d.oid)'
      : '(SELECT max(pg_collation_actual_version(c.oid)) FROM pg_collation c WHERE collcollate = datcollate)'
  return `SELECT coalesce(j->>'datlocprovider', 'c') AS provider, ${localeOf('dat', 'datcollate')} AS locale,
    coalesce(j->>'daticurules', '') AS rules, true AS deterministic, j->>'datcollversion' AS recorded,
    ${actual} AS actual FROM pg_database d, to_jsonb(d) j WHERE datname = current_database()`
}

/** ICU and the built-in provider have one locale, libc one for each purpose, of which `collate` sorts. */
const localeOf = (prefix: 'dat' | 'coll', libc: string): string =>
  `CASE WHEN j->>'${prefix}locprovider' IN ('i', 'b') OR j->>'${prefix}provider' IN ('i', 'b')
    THEN coalesce(j->>'${prefix}locale', j->>'${prefix}iculocale', ${libc}) ELSE ${libc} END`

/** Names that the search path finds are given without their schema, and with it besides. */
const namedQuery = `WITH found AS (
    SELECT c.oid, to_jsonb(c) j, n.nspname, c.collname, c.collprovider, c.collcollate, c.oid >= 16384 AS made
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
    WHERE (c.collname = ANY($1) OR c.oid >= 16384) AND c.collprovider <> 'd'
      AND c.collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
    ORDER BY c.collname = ANY($1) DESC LIMIT ${maxCollations}),
  named AS (
    SELECT oid, j, collprovider, collcollate, concat(quote_ident(nspname), '.', quote_ident(collname)) AS key FROM found
    UNION ALL SELECT oid, j, collprovider, collcollate, quote_ident(collname) FROM found WHERE pg_collation_is_visible(oid))
  SELECT key, collprovider AS provider, ${localeOf('coll', 'collcollate')} AS locale, coalesce(j->>'collicurules', '') AS rules,
    coalesce((j->>'collisdeterministic')::boolean, true) AS deterministic, j->>'collversion' AS recorded,
    pg_collation_actual_version(oid) AS actual FROM named`
