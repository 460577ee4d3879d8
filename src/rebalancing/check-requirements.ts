import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { MoveHost, MoveNode } from './move-host'
import {
  type MissingRequirement,
  missingRequirements,
  type OutsideObject,
  type SourceReport,
  type TargetReport,
} from './move-requirements'
import { type PlannedMove, publisherReport, subscriberReport, userOf, wayBackReport } from './replication-reports'
import { placeOf, type ShardMove } from './shard-move'

/** Looks whether both servers can do a move. @throws ShardedError SHARD_MOVE_REFUSED with all that is missing */
export async function checkRequirements(host: MoveHost, move: PlannedMove & Pick<ShardMove, 'memory'>): Promise<void> {
  const [sourceNode, targetNode] = [host.node(move.from), host.node(move.to)]
  const url = host.replicationUrl(move.from)
  const source = await sourceReport(sourceNode, move, url)
  const target = await targetReport(targetNode, move, { source, url })
  const missing = missingRequirements(source, target, await wayBackReport(host, move))
  if (missing.length > 0) throw refused(move, missing)
}

function refused(move: PlannedMove, missing: readonly MissingRequirement[]): ShardedError {
  const text = missing.map(({ node, what, fix }) => `Node ${node}: ${what} (${fix}).`)
  return new ShardedError('SHARD_MOVE_REFUSED', `Shard ${move.shard} cannot move. ${text.join(' ')}`, {
    details: { shard: move.shard, missing },
  })
}

/** The relations of the shard; `$1` is its schema, `$2` its tables or NULL. */
const own = `own AS (
  SELECT c.*, format('%I.%I', n.nspname, c.relname) AS path FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND ($2::text[] IS NULL OR c.relname = ANY ($2)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), tables AS (SELECT * FROM own WHERE relkind IN ('r', 'p')), members AS (
  SELECT oid FROM tables UNION SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND $2::text[] IS NULL
)`

/** In an order that does not change from one look to the next. */
const list = (query: string): string =>
  `to_json(ARRAY(SELECT one FROM (${query}) AS found(one) ORDER BY one::text COLLATE "C"))::text`

/** What is alike where rows sort, compare and are written alike. */
const localeSql = `(SELECT concat_ws(' ', pg_encoding_to_char(encoding), datlocprovider, datcollate, datctype, to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', pg_database_collation_actual_version(oid))
  FROM pg_database d WHERE datname = current_database())`

const collationsSql = `SELECT DISTINCT format('%I.%I %s', n.nspname, o.collname, pg_collation_actual_version(o.oid)) FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
  WHERE o.collname <> 'default'`

const extensionOf = (catalog: string, object: string): string =>
  `JOIN pg_depend d ON d.classid = '${catalog}'::regclass AND d.objid = ${object} AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid`

const ownersSql = `SELECT pg_get_userbyid(relowner)::text FROM tables
    UNION SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1 AND $2::text[] IS NULL`

const sourceSql = `WITH ${own}
SELECT current_setting('server_version_num')::int / 10000 AS version, current_database() AS database,
  has_database_privilege(current_database(), 'CREATE') AS may_create, ${localeSql} AS locale,
  ${list(`${collationsSql} AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid IN (SELECT oid FROM tables) AND NOT a.attisdropped AND a.attcollation = o.oid)`)} AS collations,
  ${list(`SELECT DISTINCT e.extname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid ${extensionOf('pg_type', 'coalesce(nullif(t.typelem, 0), t.oid)')} WHERE a.attrelid IN (SELECT oid FROM tables) AND NOT a.attisdropped
    UNION SELECT e.extname FROM pg_index i, unnest(i.indclass::oid[]) AS k(opclass) ${extensionOf('pg_opclass', 'k.opclass')} WHERE i.indrelid IN (SELECT oid FROM tables)`)} AS extensions,
  ${list(`${ownersSql}
    UNION SELECT pg_get_userbyid(g.grantee)::text FROM tables, aclexplode(relacl) g WHERE g.grantee <> 0
    UNION SELECT pg_get_userbyid(g.grantee)::text FROM pg_namespace, aclexplode(nspacl) g WHERE nspname = $1 AND $2::text[] IS NULL AND g.grantee <> 0
    UNION SELECT pg_get_userbyid(r.role)::text FROM pg_policy p, unnest(p.polroles) AS r(role) WHERE p.polrelid IN (SELECT oid FROM tables) AND r.role <> 0`)} AS roles, ${list(ownersSql)} AS owners,
  ${list(`SELECT json_build_object('kind', 'function', 'name', p.oid::regprocedure::text) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE NOT (n.nspname = $1 AND $2::text[] IS NULL) AND n.nspname <> 'pg_catalog'
        AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = p.oid AND t.tgrelid IN (SELECT oid FROM tables) AND NOT t.tgisinternal)
    UNION ALL SELECT json_build_object('kind', 'table', 'name', c.oid::regclass::text) FROM pg_class c
      WHERE c.oid NOT IN (SELECT oid FROM tables) AND EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conrelid IN (SELECT oid FROM tables))
    UNION ALL SELECT json_build_object('kind', 'type', 'name', t.oid::regtype::text) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT (n.nspname = $1 AND $2::text[] IS NULL) AND t.typelem = 0
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
        AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid IN (SELECT oid FROM tables) AND NOT a.attisdropped AND a.atttypid IN (t.oid, t.typarray))
        AND EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.oid NOT IN (SELECT oid FROM tables) AND NOT a.attisdropped AND a.atttypid IN (t.oid, t.typarray))`)} AS outside,
  ${list(`SELECT name FROM unnest($3::text[]) AS name WHERE NOT EXISTS (SELECT FROM tables WHERE relname = name)`)} AS absent,
  ${list(`SELECT path FROM tables WHERE NOT pg_has_role(relowner, 'USAGE')`)} AS not_owned,
  ${list(`SELECT path FROM tables WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = tables.oid AND i.indisprimary)`)} AS without_key,
  ${list(`SELECT path FROM tables WHERE relreplident <> 'f' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = tables.oid
    AND (relreplident = 'd' AND i.indisprimary AND i.indimmediate OR relreplident = 'i' AND i.indisreplident))`)} AS without_identity,
  ${list(`SELECT path FROM tables WHERE relrowsecurity AND (relforcerowsecurity OR NOT pg_has_role(relowner, 'USAGE'))
    AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)`)} AS with_policies,
  ${list(`SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'f' THEN 'foreign table ' ELSE 'partitioned table ' END || path FROM own WHERE relkind <> 'r'
    UNION ALL SELECT 'unlogged table ' || path FROM tables WHERE relpersistence = 'u'
    UNION ALL SELECT 'table of a type ' || path FROM tables WHERE reloftype <> 0
    UNION ALL SELECT 'inheritance of ' || path FROM tables WHERE EXISTS (SELECT FROM pg_inherits h WHERE tables.oid IN (h.inhrelid, h.inhparent))
    UNION ALL SELECT format('foreign key %I of table %s, from outside', k.conname, k.conrelid::regclass) FROM pg_constraint k
      WHERE k.contype = 'f' AND k.confrelid IN (SELECT oid FROM tables) AND k.conrelid NOT IN (SELECT oid FROM tables)
    UNION ALL SELECT format('view %s over its tables', r.ev_class::regclass) FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM tables) WHERE r.rulename = '_RETURN' AND r.ev_class NOT IN (SELECT oid FROM own)
    UNION ALL SELECT format('range type %s', t.oid::regtype) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND $2::text[] IS NULL AND t.typtype IN ('r', 'b') AND t.typelem = 0
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
    UNION ALL SELECT format('aggregate %s', p.oid::regprocedure) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND $2::text[] IS NULL AND p.prokind = 'a'`)} AS unsupported,
  ${list(`SELECT path FROM tables, pg_roles r WHERE r.rolname = $4 AND NOT has_table_privilege(r.oid, tables.oid, 'SELECT')`)} AS unreadable`

/** The lists come as JSON texts: a user may have changed how `pg` reads JSON. */
const textsOf = (row: Row | undefined, column: string): readonly string[] => JSON.parse(String(row?.[column] ?? '[]'))

/** @param url by which the other node connects; undefined where none does */
export async function sourceReport(node: MoveNode, move: PlannedMove, url: string | undefined): Promise<SourceReport> {
  const names = move.tables.map(({ name }) => name)
  const { rows } = await node.query(sourceSql, [...placeOf(move), names, userOf(url) ?? null])
  const [row]: readonly Row[] = rows
  return {
    ...(await publisherReport(node, url)),
    version: Number(row?.['version']),
    database: String(row?.['database']),
    mayCreate: row?.['may_create'] === true,
    unreadable: textsOf(row, 'unreadable'),
    locale: String(row?.['locale']),
    collations: textsOf(row, 'collations'),
    extensions: textsOf(row, 'extensions'),
    roles: textsOf(row, 'roles'),
    owners: textsOf(row, 'owners'),
    // As the query builds them.
    outside: textsOf(row, 'outside') as unknown as readonly OutsideObject[],
    absent: textsOf(row, 'absent'),
    notOwned: textsOf(row, 'not_owned'),
    withoutKey: textsOf(row, 'without_key'),
    withoutIdentity: textsOf(row, 'without_identity'),
    withForcedPolicies: textsOf(row, 'with_policies'),
    unsupported: textsOf(row, 'unsupported'),
  }
}

const targetSql = `SELECT current_setting('server_version_num')::int / 10000 AS version, current_database() AS database,
  has_database_privilege(current_database(), 'CREATE') AS may_create, ${localeSql} AS locale, ${list(collationsSql)} AS collations,
  ${list('SELECT extname FROM pg_extension')} AS extensions,
  ${list('SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($3::text[])')} AS roles,
  ${list(`SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($3::text[]) AND pg_has_role(oid, 'USAGE')`)} AS acts_as,
  ${list(`SELECT o::json FROM unnest($4::text[]) AS o WHERE CASE o::json ->> 'kind' WHEN 'function' THEN to_regprocedure(o::json ->> 'name')::oid
    WHEN 'table' THEN to_regclass(o::json ->> 'name')::oid ELSE to_regtype(o::json ->> 'name')::oid END IS NULL`)} AS outside,
  ${list(`SELECT format('schema %I', nspname) FROM pg_namespace WHERE nspname = $1 AND $2::text[] IS NULL
    UNION ALL SELECT format('relation %I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2)`)} AS in_the_way`

export async function targetReport(
  node: MoveNode,
  move: PlannedMove,
  { source, url }: { readonly source: SourceReport; readonly url: string | undefined },
): Promise<TargetReport> {
  const outside = source.outside.map((one) => JSON.stringify(one))
  const { rows } = await node.query(targetSql, [...placeOf(move), source.roles, outside])
  const [row]: readonly Row[] = rows
  return {
    ...(await subscriberReport(node, { move, publisher: source.name, url })),
    version: Number(row?.['version']),
    database: String(row?.['database']),
    mayCreate: row?.['may_create'] === true,
    locale: String(row?.['locale']),
    collations: textsOf(row, 'collations'),
    extensions: textsOf(row, 'extensions'),
    roles: textsOf(row, 'roles'),
    actsAs: textsOf(row, 'acts_as'),
    lackedOutside: textsOf(row, 'outside') as unknown as readonly OutsideObject[],
    inTheWay: textsOf(row, 'in_the_way'),
  }
}
