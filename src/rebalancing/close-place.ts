import type { Row } from '../merging/row'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import type { Send } from './on-node'
import { tablePath } from './replication'
import { sequencesSql } from './sequences'
import { movedName, movedSchema, placeOf, type ShardMove } from './shard-move'

/** What is changed of a place that is closed, and what changes it back. */
export interface Change {
  readonly make: string
  readonly unmake: string
}

/**
 * Closes a place that follows another one, in the transaction that has locked its tables. They keep their names, by which logical
 * replication finds them, and nobody else reads or writes them: every statement that names one ends with 42P01, as if it was not there.
 *
 * Writes meet a trigger. Reads meet a statistics object whose expression calls a function: the planner computes such expressions for each
 * table of a query, and the function fails. It is declared immutable to be called at that time, by superusers and owners too. Triggers of this
 * kind do not fire for the worker of a subscription. That the server does so is tried here before anything is committed.
 */
export async function closePlace(locked: Send, move: ShardMove, changes: readonly Change[]): Promise<void> {
  const moved = quoted(movedSchema(move))
  const closing = move.tables.flatMap((table) => [
    `CREATE STATISTICS ${moved}.${quoted(table.name)} ON (${moved}.gone()) FROM ${tablePath(table)}`,
    `CREATE TRIGGER "sharding_move_closed" BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${tablePath(table)} EXECUTE FUNCTION ${moved}.refused()`,
  ])
  await locked([...functions(move, moved), ...closing, ...changes.map(({ make }) => make), tried(move)].join(';\n'))
}

/** What is changed of a place besides when it is closed. */
export async function closingChanges(send: Send, move: ShardMove): Promise<readonly Change[]> {
  const found = await Promise.all([sequenceNames(send, move), triggerStates(send, move), comments(send, move)])
  return found.flat()
}

/** Opens a place again, in a transaction with `plainTexts`. */
export async function openPlace(send: Send, move: ShardMove, opening: readonly string[]): Promise<void> {
  await send([`DROP SCHEMA ${quoted(movedSchema(move))} CASCADE`, ...opening].join('; '))
}

/**
 * Who passes: the sessions of a move, by a setting of `plainTexts`, and the worker of the subscription. That one plans nothing, but builds
 * indexes anew where it truncates.
 */
const passes = `current_setting('sharding_move.driver', true) = 'on' OR current_setting('session_replication_role') = 'replica'`

/** Statistics of the tables are made by a worker of the server, which is told from others where the owner may look. */
const isWorker = `(SELECT backend_type FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())) = 'autovacuum worker'`

const functions = (move: ShardMove, moved: string): readonly string[] => [
  `CREATE SCHEMA ${moved}`,
  `CREATE FUNCTION ${moved}.gone() RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $body$ BEGIN
     IF ${passes} OR ${isWorker} THEN RETURN true; END IF;
     RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = ${literal(`shard ${move.shard} has moved to another node`)};
   END $body$`,
  `CREATE FUNCTION ${moved}.refused() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN PERFORM ${moved}.gone(); RETURN NULL; END $body$`,
  `GRANT USAGE ON SCHEMA ${moved} TO PUBLIC`,
  `GRANT EXECUTE ON FUNCTION ${moved}.gone(), ${moved}.refused() TO PUBLIC`,
  `COMMENT ON SCHEMA ${moved} IS ${literal(`Closes what shard ${move.shard} was before its move ${move.id}. Finishing the move drops it.`)}`,
]

/** Ends the transaction where a table can still be read. */
function tried(move: ShardMove): string {
  const reads = move.tables.map((table) => literal(`SELECT FROM ${tablePath(table)} LIMIT 0`)).join(', ')
  return `SET LOCAL sharding_move.driver = 'off';
DO $body$ DECLARE read text; BEGIN
  FOREACH read IN ARRAY ARRAY[${reads}]::text[] LOOP
    BEGIN
      EXECUTE read;
      RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'this server lets closed tables be read: ' || read;
    EXCEPTION WHEN undefined_table THEN NULL;
    END;
  END LOOP;
END $body$;
SET LOCAL sharding_move.driver = 'on'`
}

/** Nobody takes values of them, which the new place gives too. */
async function sequenceNames(send: Send, move: ShardMove): Promise<readonly Change[]> {
  const { rows } = await send(sequencesSql, placeOf(move))
  return rows.map((row: Row) => {
    const [schema, name] = [quoted(String(row['schema'])), String(row['name'])]
    const away = quoted(movedName(move, name))
    return {
      make: `ALTER SEQUENCE ${schema}.${quoted(name)} RENAME TO ${away}`,
      unmake: `ALTER SEQUENCE ${schema}.${away} RENAME TO ${quoted(name)}`,
    }
  })
}

/** Triggers that fire for replicated rows would do again what they have done at the new place. */
async function triggerStates(send: Send, { tables }: ShardMove): Promise<readonly Change[]> {
  const { rows } = await send(
    `SELECT format('ALTER TABLE %I.%I', n.nspname, c.relname) AS head, format('TRIGGER %I', t.tgname) AS name, t.tgenabled AS state
     FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.tgrelid = ANY ($1::text[]::regclass[]) AND NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') ORDER BY 1, 2`,
    [tables.map(tablePath)],
  )
  return rows.map((row: Row) => {
    const [head, name, isAlways] = [String(row['head']), String(row['name']), row['state'] === 'A']
    return {
      make: `${head} ${isAlways ? 'ENABLE' : 'DISABLE'} ${name}`,
      unmake: `${head} ENABLE ${isAlways ? 'ALWAYS' : 'REPLICA'} ${name}`,
    }
  })
}

/** Marks of the shard: a closed place must not be taken for it. */
async function comments(send: Send, move: ShardMove): Promise<readonly Change[]> {
  const [schema, names] = placeOf(move)
  const { rows } = await send(
    names === null
      ? `SELECT format('SCHEMA %I', nspname) AS object, quote_nullable(obj_description(oid, 'pg_namespace')) AS comment FROM pg_namespace WHERE nspname = $1`
      : `SELECT format('TABLE %I.%I', $1::text, relname) AS object, quote_nullable(obj_description(oid, 'pg_class')) AS comment FROM pg_class
         WHERE relnamespace = quote_ident($1)::regnamespace AND relname = ANY ($2) ORDER BY 1`,
    names === null ? [schema] : [schema, names],
  )
  const closed = literal(leftBehind(move))
  return rows.map((row: Row) => ({
    make: `COMMENT ON ${row['object']} IS ${closed}`,
    unmake: `COMMENT ON ${row['object']} IS ${row['comment']}`,
  }))
}

/** The comment of what must not be taken for the shard: that is elsewhere. */
export const leftBehind = ({ shard, id }: ShardMove): string =>
  `What shard ${shard} was before its move ${id}. Finishing the move drops it.`
