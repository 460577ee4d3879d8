import { sqlState } from '../endpoints/sql-state'
import type { Row } from '../merging/row'
import { quoted } from '../values/quoted'
import type { MoveBounds } from './move-host'
import { inTransaction, lockStates, pause, type Send } from './on-node'
import { readStructureIn } from './read-structure'
import { tablePath } from './replication'
import { movedSchema, placeOf, type ShardMove } from './shard-move'

/** Makes what rows are copied into, in one transaction: all of it is there, or nothing. */
export const makeTables = (send: Send, statements: readonly string[]): Promise<void> =>
  inTransaction(send, async () => {
    for (const statement of statements) await send(statement)
  })

/** Between two tries of a statement that met the worker. */
const againMs = 100

/**
 * Makes something of tables into which a worker puts rows meanwhile. A foreign key locks two tables, which the worker's transaction may
 * hold the other way round: this side gives up first, since the worker would wait for seconds before it begins anew.
 */
export async function makeBesideWorker(
  send: Send,
  statement: string,
  { lockMs, stallMs }: Pick<MoveBounds, 'lockMs' | 'stallMs'>,
): Promise<void> {
  const deadline = performance.now() + stallMs
  for (;;) {
    try {
      return await inTransaction(send, async () => {
        await send(`SET LOCAL lock_timeout = ${lockMs}`)
        await send(statement)
      })
    } catch (error) {
      if (!lockStates.has(sqlState(error) ?? '') || performance.now() > deadline) throw error
      await send('ROLLBACK')
      await pause(againMs)
    }
  }
}

/** Drops all that a move has made on its target. */
export const dropTarget = (send: Send, move: ShardMove): Promise<void> =>
  inTransaction(send, () => dropTables(send, move))

/** In a transaction with `plainTexts`. */
async function dropTables(send: Send, move: ShardMove): Promise<void> {
  const [schema, names] = placeOf(move)
  if (names === null) {
    await send(`DROP SCHEMA IF EXISTS ${quoted(schema)} CASCADE`)
    return
  }
  const types = (await readStructureIn(send, move)).filter(({ kind }) => kind === 'type')
  await send(`DROP TABLE IF EXISTS ${move.tables.map(tablePath).join(', ')} CASCADE`)
  for (const { name } of types) await send(`DROP TYPE IF EXISTS ${name}`)
}

/** Drops what is left of the shard at a place that it has left: tables under another name. */
export async function dropMoved(send: Send, move: ShardMove): Promise<void> {
  await send(`DROP SCHEMA IF EXISTS ${quoted(movedSchema(move))} CASCADE`)
}

/** Drops a place that was closed. Where nothing closes it, it was dropped before, and what bears its name now is another one. */
export async function dropClosed(send: Send, move: ShardMove): Promise<void> {
  const { rows } = await send('SELECT FROM pg_namespace WHERE nspname = $1', [movedSchema(move)])
  if (rows.length === 0) return
  await inTransaction(send, async () => {
    await dropTables(send, move)
    await dropMoved(send, move)
  })
}

/** The tables that a shard has in a schema of its own: all of them. */
export async function tablesOfSchema(send: Send, schema: string): Promise<readonly string[]> {
  const { rows } = await send(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') ORDER BY c.relname`,
    [schema],
  )
  return rows.map((row: Row) => String(row['name']))
}
