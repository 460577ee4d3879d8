/**
 * What a shard has in its database, as the statements that make it: one row an object, with its kind, its name, what makes it and, of a
 * grant, what takes it away. The names of a shard are the same on every node, and so are these statements: two nodes have the same
 * structure if and only if they have the same rows.
 *
 * Parameters: the schema; the names of the tables, or NULL where the whole schema is the shard's.
 *
 * `search_path` must be empty: only then are all names qualified.
 */
export const structureSql = `
WITH place AS (SELECT $1::text AS schema, $2::text[] AS names),
rel AS (
  SELECT c.*, format('%I.%I', n.nspname, c.relname) AS path
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, place
  WHERE c.relkind IN ('r', 'p') AND n.nspname = place.schema AND (place.names IS NULL OR c.relname = ANY (place.names))
),
typ AS (
  SELECT t.*, format('%I.%I', n.nspname, t.typname) AS path
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace, place
  WHERE n.nspname = place.schema
    AND (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND (SELECT relkind = 'c' FROM pg_class WHERE oid = t.typrelid))
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND deptype = 'e')
    AND (place.names IS NULL OR (
      EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid IN (SELECT oid FROM rel) AND NOT a.attisdropped AND a.atttypid IN (t.oid, t.typarray))
      AND NOT EXISTS (
        SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
        WHERE NOT a.attisdropped AND a.atttypid IN (t.oid, t.typarray) AND c.oid NOT IN (SELECT oid FROM rel))))
),
seq AS (
  SELECT c.*, s.*, format('%I.%I', n.nspname, c.relname) AS path, d.deptype, d.refobjid AS owner_table, d.refobjsubid AS owner_column,
    format('%sINCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s', CASE WHEN d.deptype IS DISTINCT FROM 'i' THEN 'AS ' || format_type(s.seqtypid, NULL) || ' ' END,
      s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END) AS options
  FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
      AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'), place
  WHERE n.nspname = place.schema AND (place.names IS NULL OR d.refobjid IN (SELECT oid FROM rel))
),
fn AS (
  SELECT p.*, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS path,
    CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS word
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, place
  WHERE n.nspname = place.schema AND place.names IS NULL AND p.prokind <> 'a'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
),
col AS (
  SELECT a.*, rel.path, format('%s ALTER COLUMN %I', rel.path, a.attname) AS altered, ty.typstorage, ty.typcollation, ad.expr
  FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type ty ON ty.oid = a.atttypid
    LEFT JOIN LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) AS expr FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) ad ON true
),
idx AS (
  SELECT i.*, c.reloptions, c.relname, rel.path, format('%I.%I', n.nspname, c.relname) AS index_path, con.oid AS constraint_oid
  FROM rel JOIN pg_index i ON i.indrelid = rel.oid JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = rel.oid AND con.contype IN ('p', 'u', 'x')
  WHERE i.indisvalid
),
con AS (
  SELECT k.*, rel.path, format('ALTER TABLE %s ADD CONSTRAINT %I %s', rel.path, k.conname, pg_get_constraintdef(k.oid)) AS make
  FROM rel JOIN pg_constraint k ON k.conrelid = rel.oid WHERE k.conparentid = 0
),
trg AS (
  SELECT t.*, rel.path FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid WHERE NOT t.tgisinternal AND t.tgparentid = 0
),
ns AS (SELECT n.* FROM pg_namespace n, place WHERE n.nspname = place.schema AND place.names IS NULL),
st AS (
  SELECT s.*, format('%I.%I', n.nspname, s.stxname) AS path
  FROM pg_statistic_ext s JOIN rel ON rel.oid = s.stxrelid JOIN pg_namespace n ON n.oid = s.stxnamespace
),
pol AS (SELECT p.*, rel.path FROM rel JOIN pg_policy p ON p.polrelid = rel.oid),
rul AS (SELECT r.*, rel.path FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid WHERE r.rulename <> '_RETURN'),
owned (word, path, owner, acl, acl_kind) AS (
  SELECT 'SCHEMA', quote_ident(nspname), nspowner, nspacl, 'n' FROM ns
  UNION ALL SELECT 'TABLE', path, relowner, relacl, 'r' FROM rel
  UNION ALL SELECT 'SEQUENCE', path, relowner, relacl, 's' FROM seq
  UNION ALL SELECT 'TYPE', path, typowner, typacl, 'T' FROM typ
  UNION ALL SELECT word, path, proowner, proacl, 'f' FROM fn
  UNION ALL SELECT 'STATISTICS', path, stxowner, NULL, NULL FROM st
),
objects (classid, objid) AS (
  SELECT 'pg_namespace'::regclass, oid FROM ns
  UNION ALL SELECT 'pg_class'::regclass, oid FROM rel
  UNION ALL SELECT 'pg_class'::regclass, oid FROM seq
  UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM idx
  UNION ALL SELECT 'pg_type'::regclass, oid FROM typ
  UNION ALL SELECT 'pg_proc'::regclass, oid FROM fn
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k WHERE k.conrelid IN (SELECT oid FROM rel) OR k.contypid IN (SELECT oid FROM typ)
  UNION ALL SELECT 'pg_trigger'::regclass, oid FROM trg
  UNION ALL SELECT 'pg_policy'::regclass, oid FROM pol
  UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM rul
  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM st
),
made (kind, name, place, make, unmake) AS (
  SELECT 'schema', quote_ident(nspname), 0::oid, format('CREATE SCHEMA %I', nspname), NULL FROM ns
  UNION ALL
  SELECT 'type', path, oid, CASE typtype
      WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', path,
        (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = typ.oid))
      WHEN 'd' THEN format('CREATE DOMAIN %s AS %s%s%s%s', path, format_type(typbasetype, typtypmod),
        (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace, pg_type base
          WHERE co.oid = typ.typcollation AND base.oid = typ.typbasetype AND base.typcollation <> typ.typcollation),
        ' DEFAULT ' || typdefault, CASE WHEN typnotnull THEN ' NOT NULL' END)
      ELSE format('CREATE TYPE %s AS (%s)', path,
        (SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
            (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace, pg_type aty
              WHERE co.oid = a.attcollation AND aty.oid = a.atttypid AND aty.typcollation <> a.attcollation)), ', ' ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = typ.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
    END, NULL FROM typ
  UNION ALL
  SELECT 'domain check', format('%s.%I', typ.path, k.conname), k.oid,
    format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', typ.path, k.conname, pg_get_constraintdef(k.oid)), NULL
  FROM typ JOIN pg_constraint k ON k.contypid = typ.oid WHERE k.contype = 'c'
  UNION ALL
  SELECT CASE WHEN EXISTS (
      SELECT FROM pg_depend d LEFT JOIN pg_type ty ON d.refclassid = 'pg_type'::regclass AND ty.oid = d.refobjid
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = fn.oid
        AND (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM rel) OR ty.typrelid IN (SELECT oid FROM rel)))
    THEN 'table function' ELSE 'function' END, path, oid, pg_get_functiondef(oid), NULL FROM fn
  UNION ALL
  SELECT 'sequence', path, oid, format('CREATE SEQUENCE %s %s', path, options), NULL FROM seq WHERE deptype IS DISTINCT FROM 'i'
  UNION ALL
  SELECT 'sequence owner', seq.path, seq.oid, format('ALTER SEQUENCE %s OWNED BY %s.%I', seq.path, col.path, col.attname), NULL
  FROM seq JOIN col ON col.attrelid = seq.owner_table AND col.attnum = seq.owner_column WHERE seq.deptype = 'a'
  UNION ALL
  SELECT 'table', rel.path, rel.oid, format('CREATE TABLE %s (%s)%s', rel.path,
    (SELECT string_agg(format('%I %s%s%s%s', col.attname, format_type(col.atttypid, col.atttypmod),
        (SELECT format(' COLLATE %I.%I', cn.nspname, co.collname) FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
          WHERE co.oid = col.attcollation AND col.attcollation <> col.typcollation),
        CASE WHEN col.attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', col.expr)
          WHEN col.attgenerated = 'v' THEN format(' GENERATED ALWAYS AS (%s) VIRTUAL', col.expr)
          WHEN col.attidentity <> '' THEN format(' GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)',
            CASE col.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, seq.path, seq.options)
          ELSE ' DEFAULT ' || col.expr END,
        CASE WHEN col.attnotnull THEN ' NOT NULL' END), ', ' ORDER BY col.attnum)
      FROM col LEFT JOIN seq ON seq.owner_table = col.attrelid AND seq.owner_column = col.attnum AND seq.deptype = 'i' WHERE col.attrelid = rel.oid),
    (SELECT ' WITH (' || string_agg(prefix || split_part(option, '=', 1) || '=' || quote_literal(substr(option, strpos(option, '=') + 1)), ', ' ORDER BY prefix, option) || ')'
      FROM (SELECT '' AS prefix, unnest(rel.reloptions) AS option
        UNION ALL SELECT 'toast.', unnest(toast.reloptions) FROM pg_class toast WHERE toast.oid = rel.reltoastrelid) AS o)), NULL FROM rel
  UNION ALL
  SELECT 'column', format('%s.%I storage', path, attname), attrelid, format('ALTER TABLE %s SET STORAGE %s', altered,
    CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END), NULL
  FROM col WHERE attstorage <> typstorage
  UNION ALL
  SELECT 'column', format('%s.%I compression', path, attname), attrelid, format('ALTER TABLE %s SET COMPRESSION %s', altered,
    CASE attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END), NULL
  FROM col WHERE attcompression <> ''
  UNION ALL
  SELECT 'column', format('%s.%I statistics', path, attname), attrelid, format('ALTER TABLE %s SET STATISTICS %s', altered, attstattarget), NULL
  FROM col WHERE attstattarget >= 0
  UNION ALL
  SELECT 'column', format('%s.%I options', path, attname), attrelid, format('ALTER TABLE %s SET (%s)', altered, array_to_string(attoptions, ', ')), NULL
  FROM col WHERE attoptions IS NOT NULL
  UNION ALL
  SELECT CASE contype WHEN 'p' THEN 'primary key' WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' ELSE 'unique' END, format('%s.%I', path, conname), oid, make, NULL
  FROM con WHERE contype IN ('p', 'u', 'x', 'c', 'f')
  UNION ALL
  SELECT CASE WHEN indisreplident THEN 'identity index' ELSE 'index' END, index_path, indexrelid, pg_get_indexdef(indexrelid), NULL
  FROM idx WHERE constraint_oid IS NULL
  UNION ALL
  SELECT 'index options', index_path, indexrelid, format('ALTER INDEX %s SET (%s)', index_path, array_to_string(reloptions, ', ')), NULL
  FROM idx WHERE constraint_oid IS NOT NULL AND reloptions IS NOT NULL
  UNION ALL
  SELECT 'cluster', path, indexrelid, format('ALTER TABLE %s CLUSTER ON %I', path, relname), NULL FROM idx WHERE indisclustered
  UNION ALL
  SELECT 'replica identity', path, oid, format('ALTER TABLE %s REPLICA IDENTITY FULL', path), NULL FROM rel WHERE relreplident = 'f'
  UNION ALL
  SELECT CASE WHEN constraint_oid IS NULL OR indisprimary THEN 'replica identity' ELSE 'late replica identity' END, path, indexrelid,
    format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', path, relname), NULL FROM idx WHERE indisreplident
  UNION ALL
  SELECT 'statistics', path, oid, pg_get_statisticsobjdef(oid), NULL FROM st
  UNION ALL
  SELECT 'statistics target', path, oid, format('ALTER STATISTICS %s SET STATISTICS %s', path, stxstattarget), NULL FROM st WHERE stxstattarget >= 0
  UNION ALL
  SELECT 'trigger', format('%s.%I', path, tgname), oid, pg_get_triggerdef(oid), NULL FROM trg
  UNION ALL
  SELECT 'trigger off', format('%s.%I', path, tgname), oid, format('ALTER TABLE %s DISABLE TRIGGER %I', path, tgname), NULL FROM trg WHERE tgenabled IN ('D', 'R')
  UNION ALL
  SELECT 'trigger state', format('%s.%I', path, tgname), oid,
    format('ALTER TABLE %s ENABLE %s TRIGGER %I', path, CASE tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, tgname), NULL FROM trg WHERE tgenabled IN ('A', 'R')
  UNION ALL
  SELECT 'rule', format('%s.%I', path, rulename), oid, pg_get_ruledef(oid), NULL FROM rul
  UNION ALL
  SELECT 'rule off', format('%s.%I', path, rulename), oid, format('ALTER TABLE %s DISABLE RULE %I', path, rulename), NULL FROM rul WHERE ev_enabled = 'D'
  UNION ALL
  SELECT 'policy', format('%s.%I', path, polname), oid, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', polname, path,
    CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.role)) END, ', ' ORDER BY pg_get_userbyid(r.role)) FROM unnest(polroles) AS r(role)),
    ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'), NULL FROM pol
  UNION ALL
  SELECT 'row security', path, oid, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', path), NULL FROM rel WHERE relrowsecurity
  UNION ALL
  SELECT 'row security', path || ' (forced)', oid, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', path), NULL FROM rel WHERE relforcerowsecurity
  UNION ALL
  SELECT 'comment', i.type || ' ' || i.identity, d.objoid, format('COMMENT ON %s %s IS %L',
    CASE i.type WHEN 'table column' THEN 'COLUMN' WHEN 'table constraint' THEN 'CONSTRAINT' WHEN 'domain constraint' THEN 'CONSTRAINT'
      WHEN 'statistics object' THEN 'STATISTICS' WHEN 'composite type' THEN 'TYPE' ELSE upper(i.type) END,
    CASE i.type WHEN 'domain constraint' THEN regexp_replace(i.identity, ' on ', ' ON DOMAIN ') ELSE i.identity END, d.description), NULL
  FROM objects o JOIN pg_description d ON d.classoid = o.classid AND d.objoid = o.objid,
    LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
  UNION ALL
  SELECT 'owner', owned.word || ' ' || owned.path, owned.owner, format('ALTER %s %s OWNER TO %I', owned.word, owned.path, pg_get_userbyid(owned.owner)), NULL
  FROM owned WHERE NOT (owned.word = 'SEQUENCE' AND EXISTS (SELECT FROM seq WHERE seq.path = owned.path AND seq.deptype IS NOT NULL))
  UNION ALL
  SELECT 'grant', format('%s ON %s %s TO %s%s', g.privilege_type, owned.word, owned.path, g.role, g.rest), 0::oid,
    format('GRANT %s ON %s %s TO %s%s', g.privilege_type, owned.word, owned.path, g.role, g.rest),
    format('REVOKE %s ON %s %s FROM %s', g.privilege_type, owned.word, owned.path, g.role)
  FROM owned, LATERAL (
    SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role,
      CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS rest
    FROM aclexplode(coalesce(owned.acl, acldefault(owned.acl_kind::"char", owned.owner))) WHERE grantee <> owned.owner) AS g
  WHERE owned.acl_kind IS NOT NULL
  UNION ALL
  SELECT 'grant', format('%s (%I) ON TABLE %s TO %s%s', g.privilege_type, col.attname, col.path, g.role, g.rest), 0::oid,
    format('GRANT %s (%I) ON TABLE %s TO %s%s', g.privilege_type, col.attname, col.path, g.role, g.rest),
    format('REVOKE %s (%I) ON TABLE %s FROM %s', g.privilege_type, col.attname, col.path, g.role)
  FROM col, LATERAL (
    SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role,
      CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS rest FROM aclexplode(col.attacl)) AS g
  WHERE col.attacl IS NOT NULL
)
SELECT kind, name, make, unmake FROM made ORDER BY place, name`
