import { makeBesideWorker } from '../rebalancing/make-target'
import type { MoveBounds } from '../rebalancing/move-host'
import type { Send } from '../rebalancing/on-node'
import { tablePath } from '../rebalancing/replication'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import type { ShardTable } from './shard-table'

/** Texts of keys are written alike, whatever the writer's session is set to. The owner's rights: a writer need not know of it. */
const settings = `SECURITY DEFINER SET search_path = '' SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres'
  SET extra_float_digits = 1 SET bytea_output = 'hex'`

/** Where changes of a shard are noted. */
export interface Capture {
  readonly schema: string
  /** The triggers' name. */
  readonly name: string
  /** In the order of the numbers by which notes name them. */
  readonly tables: readonly ShardTable[]
}

const notes = ({ schema }: Pick<Capture, 'schema'>): string => `${quoted(schema)}."notes"`

/**
 * Begins to note which rows of a shard are written: by triggers for each row, that fire for replicated rows too. To make one waits until
 * every transaction has ended that has written to the table: what is committed is then either there for who reads the table now, or noted.
 */
export async function beginCapture(send: Send, capture: Capture, bounds: MoveBounds): Promise<void> {
  await send(
    `CREATE SCHEMA IF NOT EXISTS ${quoted(capture.schema)};
     CREATE TABLE IF NOT EXISTS ${notes(capture)} (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tab smallint NOT NULL, key text[])`,
  )
  for (const [number, table] of capture.tables.entries()) {
    await send(noteFunction(capture, number, table))
    await makeBesideWorker(send, triggersOf(capture, number, table), bounds)
  }
}

const functionOf = ({ schema }: Capture, number: number): string => `${quoted(schema)}.${quoted(`note_${number}`)}`

function noteFunction(capture: Capture, number: number, { key }: ShardTable): string {
  const of = (row: string): string => `ARRAY[${key.map(({ column }) => `${row}.${column}::text`).join(', ')}]`
  const note = (row: string): string => `INSERT INTO ${notes(capture)} (tab, key) VALUES (${number}, ${of(row)})`
  return `CREATE OR REPLACE FUNCTION ${functionOf(capture, number)}() RETURNS trigger LANGUAGE plpgsql ${settings} AS $note$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO ${notes(capture)} (tab) VALUES (${number});
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    ${note('OLD')};
  END IF;
  IF TG_OP = 'INSERT' THEN
    ${note('NEW')};
  ELSIF TG_OP = 'UPDATE' AND ${of('NEW')} <> ${of('OLD')} THEN
    ${note('NEW')};
  END IF;
  RETURN NULL;
END $note$`
}

function triggersOf(capture: Capture, number: number, { table }: ShardTable): string {
  const on = tablePath(table)
  const [rows, truncation] = [quoted(capture.name), quoted(`${capture.name}_truncate`)]
  const run = `EXECUTE FUNCTION ${functionOf(capture, number)}()`
  return `CREATE OR REPLACE TRIGGER ${rows} AFTER INSERT OR UPDATE OR DELETE ON ${on} FOR EACH ROW ${run};
    CREATE OR REPLACE TRIGGER ${truncation} AFTER TRUNCATE ON ${on} FOR EACH STATEMENT ${run};
    ALTER TABLE ${on} ENABLE ALWAYS TRIGGER ${rows}, ENABLE ALWAYS TRIGGER ${truncation}`
}

/** Ends it, and forgets what was noted. The triggers of tables that were renamed go with their functions. */
export const endCapture = ({ schema }: Pick<Capture, 'schema'>): string =>
  `DROP SCHEMA IF EXISTS ${quoted(schema)} CASCADE`

/** How many notes are there. */
export async function noteCount(send: Send, capture: Pick<Capture, 'schema'>): Promise<number> {
  const { rows } = await send(`SELECT count(*)::float8 AS notes FROM ${notes(capture)}`)
  return Number(rows[0]?.['notes'])
}

/** What was noted of one table. */
export interface NotedTable {
  readonly keys: readonly (readonly string[])[]
  /** All of its rows were taken away at once. */
  readonly isTruncated: boolean
}

export interface Notes {
  readonly byTable: ReadonlyMap<number, NotedTable>
  readonly seqs: readonly string[]
}

/** @param limit no more notes than so many; undefined: all that the transaction sees */
export async function readNotes(
  send: Send,
  capture: Pick<Capture, 'schema'>,
  limit: number | undefined,
): Promise<Notes> {
  const { rows } = await send(
    `SELECT seq::text AS seq, tab::int AS tab, key FROM ${notes(capture)} ORDER BY seq${limit === undefined ? '' : ` LIMIT ${limit}`}`,
  )
  const keys = new Map<number, Map<string, readonly string[]>>()
  const truncated = new Set<number>()
  for (const row of rows) {
    const tab = Number(row['tab'])
    const of = keys.get(tab) ?? new Map<string, readonly string[]>()
    keys.set(tab, of)
    const key: unknown = row['key']
    if (Array.isArray(key)) of.set(JSON.stringify(key), key.map(String))
    else truncated.add(tab)
  }
  return {
    byTable: new Map([...keys].map(([tab, of]) => [tab, { keys: [...of.values()], isTruncated: truncated.has(tab) }])),
    seqs: rows.map((row) => String(row['seq'])),
  }
}

/** Forgets notes: what they name was copied. */
export async function forgetNotes(
  send: Send,
  capture: Pick<Capture, 'schema'>,
  seqs: readonly string[],
): Promise<void> {
  await send(`DELETE FROM ${notes(capture)} WHERE seq = ANY ($1::bigint[])`, [seqs])
}

/** Whether each table has its triggers. */
export async function isCapturing(send: Send, capture: Capture): Promise<boolean> {
  const { rows } = await send(
    `SELECT count(*)::int AS triggers FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE t.tgname IN (${literal(capture.name)}, ${literal(`${capture.name}_truncate`)}) AND t.tgenabled = 'A'
       AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
    [capture.tables.map(({ table }) => table.schema), capture.tables.map(({ table }) => table.name)],
  )
  return Number(rows[0]?.['triggers']) === 2 * capture.tables.length
}
