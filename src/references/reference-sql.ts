import { createHash } from 'node:crypto'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'

/** A reference table on one node. */
export interface NodeTable {
  /** The name under which versions and notes are kept. */
  readonly name: string
  /** Qualified and quoted, as the node has it. */
  readonly path: string
}

/** SQLSTATEs that the functions below raise. */
export const referenceStates = Object.freeze({
  /** A write that nobody would copy to the other nodes. */
  unnoted: 'SHR01',
  /** The copy is not what the home node's table was before the write. */
  outdated: 'SHR02',
})

/** Rows one statement of a copy takes, and rows that one write may change. */
export const maxCopied = 5_000
export const maxNoted = 100_000

/** Texts of rows must be the same in every session: they are read again on other nodes. */
const settings = `SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC' SET extra_float_digits = 1 SET bytea_output = 'hex'`

/** The session says here which reference tables its statement may write; see `note`. */
const mode = 'sharding_reference.written'

const names = (schema: string) => {
  const own = (name: string) => `${quoted(schema)}.${quoted(name)}`
  return {
    versions: own('sharding_reference'),
    notes: own('sharding_reference_note'),
    note: own('sharding_reference_note_row'),
    take: own('sharding_reference_take'),
    apply: own('sharding_reference_apply'),
    columns: own('sharding_reference_columns'),
    rows: own('sharding_reference_rows'),
    prune: own('sharding_reference_prune'),
    fill: own('sharding_reference_fill'),
    sum: own('sharding_reference_sum'),
  }
}

/**
 * What a node needs for its reference tables. The function of the triggers notes each changed row as a text, where the statement was
 * announced; an unannounced one is refused, since its rows would be on one node only. `apply` does on a copy what was noted.
 */
export function createOwn(schema: string): string {
  const own = names(schema)
  return `
CREATE TABLE IF NOT EXISTS ${own.versions} ("name" text PRIMARY KEY, "version" bigint NOT NULL);
ALTER TABLE ${own.versions} ADD COLUMN IF NOT EXISTS "seeded" timestamptz;
CREATE UNLOGGED TABLE IF NOT EXISTS ${own.notes} (
  "seq" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),
  "name" text NOT NULL, "op" text NOT NULL, "depth" int NOT NULL, "old" text, "new" text
);
CREATE INDEX IF NOT EXISTS "sharding_reference_note_xid" ON ${own.notes} ("xid");
${noteFunction(own)}
${columnsFunction(own)}
${takeFunction(own)}
${applyFunction(own)}
${copyFunctions(own)}`
}

type Names = ReturnType<typeof names>

const noteFunction = ({ note, notes }: Names): string => `
CREATE OR REPLACE FUNCTION ${note}() RETURNS trigger LANGUAGE plpgsql ${settings} AS $note$
DECLARE written text := coalesce(current_setting(${literal(mode)}, true), '');
BEGIN
  IF written = 'copy' THEN RETURN NULL; END IF;
  IF written = '' OR NOT (written::jsonb ? TG_ARGV[0]) THEN
    RAISE EXCEPTION 'the reference table "%" is written past the sharded data source', TG_ARGV[0]
      USING ERRCODE = ${literal(referenceStates.unnoted)},
      HINT = 'Write it through the sharded data source, which writes all nodes.';
  END IF;
  IF TG_OP = 'INSERT' THEN
    INSERT INTO ${notes} ("name", "op", "depth", "new") VALUES (TG_ARGV[0], TG_OP, pg_trigger_depth(), NEW::text);
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO ${notes} ("name", "op", "depth", "old", "new")
      VALUES (TG_ARGV[0], TG_OP, pg_trigger_depth(), OLD::text, NEW::text);
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO ${notes} ("name", "op", "depth", "old") VALUES (TG_ARGV[0], TG_OP, pg_trigger_depth(), OLD::text);
  ELSE
    INSERT INTO ${notes} ("name", "op", "depth") VALUES (TG_ARGV[0], TG_OP, pg_trigger_depth());
  END IF;
  RETURN NULL;
END $note$;`

/**
 * The columns of a table as parts of statements, asked each time: a table may be altered at any time. A row travels as the texts of its
 * columns by their names, since nodes may have the columns in another order. Columns that the database computes are computed anew.
 */
const columnsFunction = ({ columns }: Names): string => `
CREATE OR REPLACE FUNCTION ${columns}(t regclass, OUT names text[], OUT texts text, OUT stored text, OUT given text, OUT sets text,
  OUT fixed text, OUT differs text, OUT matches text, OUT rematches text)
LANGUAGE sql STABLE AS $columns$
SELECT array_agg(a.attname::text ORDER BY a.attname),
  string_agg(format('r.%I::text', a.attname), ', ' ORDER BY a.attname),
  string_agg(format('%I', a.attname), ', ' ORDER BY a.attname),
  string_agg(format('(x.n->>%L)::%s', a.attname, y.name), ', ' ORDER BY a.attname),
  string_agg(format('%I = (x.n->>%L)::%s', a.attname, a.attname, y.name), ', ') FILTER (WHERE a.attidentity <> 'a'),
  coalesce(string_agg(format('x.o->>%1$L IS DISTINCT FROM x.n->>%1$L', a.attname), ' OR ') FILTER (WHERE a.attidentity = 'a'), 'false'),
  string_agg(format('t.%I::text IS DISTINCT FROM x.n->>%L', a.attname, a.attname), ' OR '),
  string_agg(format('t.%I = (x.o->>%L)::%s', a.attname, a.attname, y.name), ' AND ') FILTER (WHERE a.attnum = ANY(i.indkey)),
  string_agg(format('t.%I = (x.n->>%L)::%s', a.attname, a.attname, y.name), ' AND ') FILTER (WHERE a.attnum = ANY(i.indkey))
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary,
  LATERAL (SELECT format_type(a.atttypid, a.atttypmod) AS name) y
WHERE a.attrelid = t AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
$columns$;`

/** Takes what the present transaction has noted, as texts of columns, with the new versions of the tables; ends the announcement. */
const takeFunction = ({ columns, notes, take, versions }: Names): string => `
CREATE OR REPLACE FUNCTION ${take}(paths json)
RETURNS TABLE (seq bigint, name text, op text, depth int, o text, n text, version text) LANGUAGE plpgsql ${settings} AS $take$
DECLARE own text; t regclass; c record;
BEGIN
  FOR own IN SELECT DISTINCT s."name" FROM ${notes} s WHERE s."xid" = pg_current_xact_id() LOOP
    t := (paths->>own)::regclass;
    c := ${columns}(t);
    RETURN QUERY EXECUTE format('WITH taken AS (DELETE FROM ${notes} n WHERE n."xid" = pg_current_xact_id() AND n."name" = $1 RETURNING n.*),
      written AS (UPDATE ${versions} v SET "version" = v."version" + 1 WHERE v."name" = $1 RETURNING v."version")
      SELECT n."seq", n."name", n."op", n."depth",
        CASE WHEN n."old" IS NOT NULL THEN (SELECT json_object($2, ARRAY[%1$s])::text FROM (SELECT (n."old"::%2$s).*) r) END,
        CASE WHEN n."new" IS NOT NULL THEN (SELECT json_object($2, ARRAY[%1$s])::text FROM (SELECT (n."new"::%2$s).*) r) END,
        w."version"::text FROM taken n, written w', c.texts, t) USING own, c.names;
  END LOOP;
  PERFORM set_config(${literal(mode)}, '', true);
END $take$;`

/**
 * Does to a node's copies what was noted, in its order. What the database itself did beside a row (depth > 1: a cascade) the copy's
 * own foreign keys may have done already; all else has to find its row.
 */
const applyFunction = ({ apply, columns, versions }: Names): string => `
CREATE OR REPLACE FUNCTION ${apply}(changes json, written json) RETURNS void LANGUAGE plpgsql ${settings}
SET ${mode} = 'copy' AS $apply$
DECLARE
  change json; v record; t regclass; c record; expected bigint; touched bigint;
  pairs constant text := '(SELECT o.v AS o, n.v AS n FROM json_array_elements($1) WITH ORDINALITY o (v, i) JOIN json_array_elements($2) WITH ORDINALITY n (v, i) USING (i)) x';
BEGIN
  FOR v IN SELECT * FROM json_to_recordset(written) AS r ("name" text, "version" bigint) ORDER BY r."name" LOOP
    -- The write before this one may be prepared here, and not committed yet: this waits for it, and the next statement sees it.
    PERFORM 1 FROM ${versions} r WHERE r."name" = v."name" FOR UPDATE;
    UPDATE ${versions} r SET "version" = v."version" WHERE r."name" = v."name" AND r."version" = v."version" - 1;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the copy of the reference table "%" is not at version %', v."name", v."version" - 1
        USING ERRCODE = ${literal(referenceStates.outdated)};
    END IF;
  END LOOP;
  FOR change IN SELECT * FROM json_array_elements(changes) LOOP
    IF change->>'op' = 'TRUNCATE' THEN
      EXECUTE 'TRUNCATE ' || (change->>'path');
      CONTINUE;
    END IF;
    t := (change->>'path')::regclass;
    c := ${columns}(t);
    expected := json_array_length(coalesce(change->'new', change->'old'));
    IF (SELECT array_agg(k ORDER BY k) FROM json_object_keys(coalesce(change->'new', change->'old')->0) k) IS DISTINCT FROM c.names THEN
      RAISE EXCEPTION 'the copy of the reference table % has other columns', t USING ERRCODE = ${literal(referenceStates.outdated)};
    END IF;
    IF change->>'op' = 'INSERT' THEN
      EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM json_array_elements($1) WITH ORDINALITY x (n, i) ORDER BY x.i', t, c.stored, c.given)
        USING change->'new';
    ELSIF change->>'op' = 'DELETE' THEN
      EXECUTE format('DELETE FROM %s t USING json_array_elements($1) x (o) WHERE %s', t, c.matches) USING change->'old';
    ELSE
      EXECUTE format('SELECT count(*) FROM %s WHERE %s', pairs, c.fixed) INTO touched USING change->'old', change->'new';
      IF touched > 0 THEN RAISE EXCEPTION 'an identity of % that is always generated was changed', t; END IF;
      EXECUTE format('UPDATE %s t SET %s FROM %s WHERE (%s) OR ($3 AND (%s))', t, c.sets, pairs, c.matches, c.rematches)
        USING change->'old', change->'new', (change->>'depth')::int > 1;
    END IF;
    GET DIAGNOSTICS touched = ROW_COUNT;
    -- A row that was deleted with the row that it refers to went from the copy with that row's copy.
    IF touched < expected AND change->>'op' = 'DELETE'
      AND EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.conrelid = t AND f.contype = 'f' AND f.confdeltype = 'c') THEN CONTINUE; END IF;
    IF touched <> expected AND (change->>'depth')::int = 1 THEN
      RAISE EXCEPTION 'the copy of the reference table % has % of % rows', t, touched, expected
        USING ERRCODE = ${literal(referenceStates.outdated)};
    END IF;
  END LOOP;
END $apply$;`

/** A whole table is copied through the notes of the node that gets it: `prune` and `fill` make its copy equal to them. */
const copyFunctions = ({ columns, fill, notes, prune, rows, sum }: Names): string => `
CREATE OR REPLACE FUNCTION ${rows}(t regclass) RETURNS SETOF text LANGUAGE plpgsql ${settings} AS $rows$
DECLARE c record := ${columns}(t);
BEGIN
  RETURN QUERY EXECUTE format('SELECT json_object($1, ARRAY[%s])::text FROM %s r', c.texts, t) USING c.names;
END $rows$;
CREATE OR REPLACE FUNCTION ${sum}(t regclass, OUT rows bigint, OUT checksum text) LANGUAGE plpgsql ${settings} AS $sum$
DECLARE c record := ${columns}(t);
BEGIN
  EXECUTE format('SELECT count(*), concat_ws(''/'', $1::text, sum((''x'' || left(h, 16))::bit(64)::bigint::numeric), sum((''x'' || right(h, 16))::bit(64)::bigint::numeric))
    FROM (SELECT md5(ARRAY[%s]::text) AS h FROM %s r) x', c.texts, t) INTO rows, checksum USING c.names;
END $sum$;
CREATE OR REPLACE FUNCTION ${prune}(t regclass, named text) RETURNS void LANGUAGE plpgsql ${settings}
SET ${mode} = 'copy' AS $prune$
BEGIN
  EXECUTE format('DELETE FROM %s t WHERE NOT EXISTS (SELECT FROM (SELECT s."new"::json AS o FROM ${notes} s WHERE s."name" = $1 AND s."xid" = pg_current_xact_id()) x WHERE %s)',
    t, (${columns}(t)).matches) USING named;
END $prune$;
CREATE OR REPLACE FUNCTION ${fill}(t regclass, named text) RETURNS void LANGUAGE plpgsql ${settings}
SET ${mode} = 'copy' AS $fill$
DECLARE c record := ${columns}(t);
  staged constant text := '(SELECT s."new"::json AS n, s."new"::json AS o FROM ${notes} s WHERE s."name" = $1 AND s."xid" = pg_current_xact_id()) x';
BEGIN
  IF c.sets IS NOT NULL THEN
    EXECUTE format('UPDATE %s t SET %s FROM %s WHERE %s AND (%s)', t, c.sets, staged, c.matches, c.differs) USING named;
  END IF;
  EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s WHERE NOT EXISTS (SELECT FROM %s t WHERE %s)',
    t, c.stored, c.given, staged, t, c.matches) USING named;
  DELETE FROM ${notes} s WHERE s."name" = named AND s."xid" = pg_current_xact_id();
END $fill$;`

/** By this a database tells which functions it has. */
export const stampOf = (schema: string): string =>
  createHash('sha256').update(createOwn(schema)).digest('hex').slice(0, 32)

export const markOwn = (schema: string): string =>
  `COMMENT ON TABLE ${names(schema).versions} IS ${literal(stampOf(schema))}`

const rowTrigger = 'sharding_reference_row'
const truncateTrigger = 'sharding_reference_truncate'

/**
 * The triggers of a table. Their names sort before those of foreign keys: a row is noted before what its change has the database do to
 * others.
 */
export function createTriggers(schema: string, { name, path }: NodeTable): string {
  const call = `EXECUTE FUNCTION ${names(schema).note}(${literal(name)})`
  return `${dropTriggers(path)};
CREATE TRIGGER "A_${rowTrigger}" AFTER INSERT OR UPDATE OR DELETE ON ${path} FOR EACH ROW ${call};
CREATE TRIGGER "A_${truncateTrigger}" BEFORE TRUNCATE ON ${path} FOR EACH STATEMENT ${call}`
}

export const dropTriggers = (path: string): string =>
  `DROP TRIGGER IF EXISTS "A_${rowTrigger}" ON ${path}; DROP TRIGGER IF EXISTS "A_${truncateTrigger}" ON ${path}`

/** What a node has of the tables with the names and paths in `$1` and `$2`; `stamp` is null where it has no tables of our own. */
export const askState = (schema: string): string => `
SELECT w.name, to_regclass(w.path) IS NOT NULL AS "isTable",
  (SELECT count(*)::int FROM pg_catalog.pg_trigger g WHERE g.tgrelid = to_regclass(w.path) AND g.tgname LIKE 'A\\_sharding\\_reference\\_%') = 2 AS "hasTriggers",
  (SELECT array_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attname)::text[] FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = to_regclass(w.path) AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = to_regclass(w.path) AND a.attnum > 0 AND NOT a.attisdropped) AS placed,
  obj_description(to_regclass(${literal(names(schema).versions)}), 'pg_class') AS stamp
FROM unnest($1::text[], $2::text[]) w (name, path)`

/** The versions of the node's tables; for each that is missing there is no row. */
export const askVersions = (schema: string): string =>
  `SELECT "name", "version"::text FROM ${names(schema).versions} ORDER BY "name"`

/** Whether the home node's table has got the rows of its seed; it gets no others until the end of the transaction. */
export const lockSeed = (schema: string): string =>
  `SELECT "seeded" IS NOT NULL AS "isSeeded" FROM ${names(schema).versions} WHERE "name" = $1 FOR UPDATE`

export const noteSeed = (schema: string): string =>
  `UPDATE ${names(schema).versions} SET "seeded" = now() WHERE "name" = $1`

/** Lets a sequence of the home node go on behind the values that a column has. */
export const passSequence = (path: string, column: string): string =>
  `SELECT setval(s.name, m.max) FROM pg_get_serial_sequence(${literal(path)}, ${literal(column)}) s (name), (SELECT max(${quoted(column)}) AS max FROM ${path}) m
WHERE m.max > coalesce(pg_sequence_last_value(s.name::regclass), 0)`

/** Lets the version of a table be compared with nothing: the table is taken for new. */
export const forgetVersions = (schema: string): string =>
  `DELETE FROM ${names(schema).versions} WHERE "name" = ANY($1::text[])`

/** On the home node: what its table has now is a version that no copy has. */
export const newVersion = (schema: string): string =>
  `INSERT INTO ${names(schema).versions} AS r ("name", "version") SELECT unnest($1::text[]), 1
ON CONFLICT ("name") DO UPDATE SET "version" = r."version" + 1`

export const setVersion = (schema: string): string =>
  `INSERT INTO ${names(schema).versions} AS r ("name", "version") VALUES ($1, $2::bigint)
ON CONFLICT ("name") DO UPDATE SET "version" = excluded."version"`

/** On the home node, before a write: one transaction at a time writes a table. The statement that follows is announced. */
export const lockForWrite = (schema: string): string =>
  `SELECT "name", set_config(${literal(mode)}, $2, true) FROM ${names(schema).versions} WHERE "name" = ANY($1::text[]) ORDER BY "name" FOR UPDATE`

/** Says in the present transaction which reference tables the next statement may write: names as JSON; empty for none. */
export const announce = `SELECT set_config(${literal(mode)}, $1, true)`

/** Keeps writers away; waits for those that are committing. */
export const lockForCopy = (schema: string): string =>
  `SELECT "name", "version"::text FROM ${names(schema).versions} WHERE "name" = ANY($1::text[]) ORDER BY "name" FOR SHARE`

/** Takes what the present transaction has noted, in order, and ends the announcement; `$1` has the tables' paths by their names. */
export const takeNotes = (schema: string): string =>
  `SELECT t.name, t.op, t.depth, t.o AS old, t.n AS new, t.version FROM ${names(schema).take}($1::json) t ORDER BY t.seq LIMIT ${maxNoted + 1}`

export const applyNotes = (schema: string): string => `SELECT ${names(schema).apply}($1::json, $2::json)`

export const openRows = (schema: string, path: string): string =>
  `DECLARE "sharding_reference_rows" NO SCROLL CURSOR FOR SELECT r::text AS row FROM ${names(schema).rows}(${literal(path)}::regclass) r`

export const fetchRows = `FETCH ${maxCopied} FROM "sharding_reference_rows"`
export const closeRows = 'CLOSE "sharding_reference_rows"'

export const stageRows = (schema: string): string =>
  `INSERT INTO ${names(schema).notes} ("name", "op", "depth", "new") SELECT $1, 'COPY', 0, v FROM unnest($2::text[]) v`

export const pruneCopy = (schema: string): string => `SELECT ${names(schema).prune}($1::regclass, $2)`
export const fillCopy = (schema: string): string => `SELECT ${names(schema).fill}($1::regclass, $2)`

/** The rows and the checksum of a table. */
export const askSum = (schema: string): string =>
  `SELECT s.rows::text AS rows, s.checksum FROM ${names(schema).sum}($1::regclass) s`
