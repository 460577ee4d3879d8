import { createHash } from 'node:crypto'
import { physicalName, tableOn } from '../planning/bind-shard-names'
import { shardMark } from '../planning/shard-mark'
import type { Shard } from '../topology/shard'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import { type LookupTable, textOf } from './lookup-table'

/** The table of a shard where triggers note what lookups have to hear of. */
export const captureOn = (shard: Shard): string => tableOn(captureOf(shard.group), shard)

const functionOn = (table: string, shard: Shard): string => tableOn(captureOf(table), shard)

/** The logical name of the table where a group's changes are noted. */
export const captureOf = (name: string): string => `${name}_lookup_capture`

const captureIndex = (shard: Shard): string => `${physicalName(captureOf(shard.group), shard).name}_xid`

/** The names of what notes the changes of a lookup's rows on a shard. */
export const captureNames = ({ source }: LookupTable, shard: Shard): readonly string[] => [
  captureIndex(shard),
  physicalName(captureOf(source.table), shard).name,
]

/** Texts of values must be the same in every session: they are read again on other nodes. */
const settings = `SET "DateStyle" = 'ISO, YMD' SET "TimeZone" = 'UTC' SET extra_float_digits = 1`

/** The columns of a lookup in a row, as texts. */
export const entryOf = ({ columns }: LookupTable, row: string): string =>
  `ARRAY[${columns.map((column) => textOf(column, row)).join(', ')}]`

/** That a table was emptied, whatever it had. */
const noEntry = 'SELECT ARRAY[]::text[] AS e'

/** A row without one of the values is not entered: NULLs are distinct, and equal nothing. */
export const isEntered = ({ columns, valueCount }: LookupTable, row: string): string =>
  columns
    .slice(0, valueCount)
    .map(({ name }) => `${row}.${quoted(name)} IS NOT NULL`)
    .join(' AND ')

/** The columns of that table. */
export const captureColumns = Object.freeze(['xid', 'statement', 'lookup', 'event', 'is_gain', 'entry'])

/** Where changes are noted. The order of a transaction's statements is kept; `xid` keeps transactions apart. */
export const createCapture = (shard: Shard): string => `
CREATE TABLE IF NOT EXISTS ${captureOn(shard)} (
  "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),
  "statement" int NOT NULL,
  "lookup" text NOT NULL,
  "event" text NOT NULL,
  "is_gain" boolean NOT NULL,
  "entry" text[] NOT NULL
);
CREATE INDEX IF NOT EXISTS ${quoted(captureIndex(shard))}
  ON ${captureOn(shard)} ("xid", "statement");
COMMENT ON TABLE ${captureOn(shard)} IS ${literal(shardMark(shard, captureOf(shard.group)))}`

/** Whether the triggers of a table are those of `captureTriggers`: its answer is compared with their stamp. */
export const askTriggers = (table: string, shard: Shard): string =>
  `SELECT obj_description(to_regprocedure(${literal(`${functionOn(table, shard)}()`)}), 'pg_proc') AS stamp`

/** The triggers of a table: the text that makes them, and the stamp by which the database tells which it has. */
interface CaptureTriggers {
  readonly create: string
  readonly stamp: string
}

/**
 * The triggers of one table: statement by statement, whoever writes (cascades of the database, COPY and other programs too),
 * in the transaction of the write. Of an UPDATE only what has changed is noted.
 */
export function captureTriggers(lookups: readonly LookupTable[], table: string, shard: Shard): CaptureTriggers {
  const capture = captureOn(shard)
  const fn = functionOn(table, shard)
  const on = tableOn(table, shard)
  const into = `INSERT INTO ${capture} ("statement", "event", "lookup", "is_gain", "entry")`
  const rows = (lookup: LookupTable, from: string): string =>
    `SELECT ${entryOf(lookup, 'r')} AS e FROM ${from} r WHERE ${isEntered(lookup, 'r')}`
  const note = (lookup: LookupTable, isGain: boolean, entries: string): string =>
    `    ${into} SELECT n, TG_OP, ${literal(lookup.name)}, ${isGain}, x.e FROM (${entries}) x;`
  const each = (make: (lookup: LookupTable) => string): string => lookups.map(make).join('\n')
  const gaining = lookups.filter(({ notesLosses }) => !notesLosses)
  const body = `
DECLARE n int := coalesce((SELECT max(c."statement") FROM ${capture} c WHERE c."xid" = pg_current_xact_id()), 0) + 1;
BEGIN
  IF TG_OP = 'INSERT' THEN
${gaining.map((lookup) => note(lookup, true, rows(lookup, 'new_rows'))).join('\n')}
  ELSIF TG_OP = 'UPDATE' THEN
${each((lookup) => {
  const [before, after] = [rows(lookup, 'old_rows'), rows(lookup, 'new_rows')]
  const lost = note(lookup, false, `${before} EXCEPT ALL ${after}`)
  return lookup.notesLosses ? lost : `${lost}\n${note(lookup, true, `${after} EXCEPT ALL ${before}`)}`
})}
  ELSIF TG_OP = 'DELETE' THEN
${each((lookup) => note(lookup, false, rows(lookup, 'old_rows')))}
  ELSE
${each((lookup) => note(lookup, false, lookup.notesLosses ? noEntry : rows(lookup, on)))}
  END IF;
  RETURN NULL;
END`
  const trigger = (name: string, event: string): string =>
    `DROP TRIGGER IF EXISTS ${name} ON ${on};
CREATE TRIGGER ${name} ${event} FOR EACH STATEMENT EXECUTE FUNCTION ${fn}();`
  const stamp = createHash('sha256').update(body).update(settings).digest('hex').slice(0, 32)
  const create = `
CREATE OR REPLACE FUNCTION ${fn}() RETURNS trigger LANGUAGE plpgsql ${settings} AS $capture$${body}$capture$;
${trigger('lookup_capture_insert', `AFTER INSERT ON ${on} REFERENCING NEW TABLE AS new_rows`)}
${trigger('lookup_capture_update', `AFTER UPDATE ON ${on} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows`)}
${trigger('lookup_capture_delete', `AFTER DELETE ON ${on} REFERENCING OLD TABLE AS old_rows`)}
${trigger('lookup_capture_truncate', `BEFORE TRUNCATE ON ${on}`)}
COMMENT ON FUNCTION ${fn}() IS ${literal(stamp)}`
  return Object.freeze({ create, stamp })
}

/** Ends the triggers of a table that has no lookups any more, or of one that is dropped. */
export const dropTriggers = (table: string, shard: Shard): string =>
  `DROP FUNCTION IF EXISTS ${functionOn(table, shard)}() CASCADE`

export const dropCapture = (shard: Shard): string => `DROP TABLE IF EXISTS ${captureOn(shard)}`

/**
 * Takes what the present transaction has noted on some shards of one node, of the lookups with the names in $1: another
 * version of the application may declare more, and takes their notes itself.
 */
export function takeCaptured(shards: readonly Shard[]): string {
  const taken = shards.map(
    (shard, index) =>
      `"t${index}" AS (DELETE FROM ${captureOn(shard)} WHERE "xid" = pg_current_xact_id() AND "lookup" = ANY($1::text[]) RETURNING "statement", "event", "lookup", "is_gain", "entry")`,
  )
  const rows = shards.map((_, index) => `SELECT ${index} AS "source", * FROM "t${index}"`)
  return `WITH ${taken.join(', ')} ${rows.join(' UNION ALL ')}`
}

/**
 * Takes what others left behind, of the lookups with the names in `$2`, the oldest first and at most `$1` rows: what is being
 * taken elsewhere is passed over.
 */
export const takeLeftBehind = (shard: Shard): string =>
  `WITH d AS (DELETE FROM ${captureOn(shard)} WHERE ctid = ANY(ARRAY(SELECT ctid FROM ${captureOn(shard)} WHERE "lookup" = ANY($2::text[]) ORDER BY "xid", "statement" LIMIT $1::int FOR UPDATE SKIP LOCKED)) RETURNING "lookup", "entry") SELECT * FROM d`
