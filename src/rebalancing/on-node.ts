import type { StatementResult } from '../endpoints/statement-result'
import { ShardedError } from '../errors/sharded-error'
import type { MoveNode } from './move-host'
import type { ShardMove } from './shard-move'

/** A statement on one connection. */
export type Send = (text: string, values?: readonly unknown[]) => Promise<StatementResult>

/** Waits, but not for a signal that has come. @throws the signal's reason */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
    }
    const stop = (): void => {
      end()
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      end()
      resolve()
    }, milliseconds)
    signal?.addEventListener('abort', stop)
  })
}

/** Does some work on a connection of its own. After an error the connection is closed: nothing that it held or began outlives it. */
export async function onConnection<T>(node: MoveNode, work: (send: Send) => Promise<T>): Promise<T> {
  const { connection, release } = await node.acquire()
  let isDone = false
  try {
    const result = await work((text, values) => connection.query(text, values, undefined))
    isDone = true
    return result
  } finally {
    release(!isDone)
  }
}

/** SQLSTATEs of a wait for a lock that was ended: by lock_timeout, by statement_timeout, as a deadlock. */
export const lockStates: ReadonlySet<string> = new Set(['55P03', '57014', '40P01'])

/** Of the advisory locks of moves; the other half is the hash of the move's id. */
const lockClass = 726_533_811

/** How long is waited for the session of a driver that has lost its move to end. */
const takeoverMs = 10_000
const lookEveryMs = 20

/**
 * Does what changes a node, as the only driver. The session holds a lock of the move while it works, and asks `confirm` whether the move is
 * still its own when it has the lock. A driver that took the move over ends the session of the one before it: what that one had begun is
 * rolled back, and it begins nothing new.
 */
export function asOnlyDriver<T>(
  node: MoveNode,
  { move, confirm }: { readonly move: Pick<ShardMove, 'id'>; readonly confirm: () => Promise<void> },
  work: (send: Send) => Promise<T>,
): Promise<T> {
  return onConnection(node, async (send) => {
    await takeLock(send, { id: move.id, node: node.name, confirm })
    await confirm()
    const result = await work(send)
    await send(`SELECT pg_advisory_unlock(${lockClass}, hashtext($1))`, [move.id])
    return result
  })
}

async function takeLock(
  send: Send,
  { id, node, confirm }: { readonly id: string; readonly node: string; readonly confirm: () => Promise<void> },
): Promise<void> {
  const deadline = performance.now() + takeoverMs
  for (;;) {
    const { rows } = await send(`SELECT pg_try_advisory_lock(${lockClass}, hashtext($1)) AS taken`, [id])
    if (rows[0]?.['taken'] === true) return
    // Who holds it may be the driver, and this process the one that was too late.
    await confirm()
    await send(
      `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND classid = ${lockClass} AND objsubid = 2 AND objid = (hashtext($1)::bigint & 4294967295)::oid`,
      [id],
    )
    if (performance.now() > deadline)
      throw new ShardedError('SHARD_MOVE_STALLED', `Node ${node} did not end the session of a former driver.`, {
        details: { id, node },
      })
    await pause(lookEveryMs)
  }
}

const plainSettings = Object.entries({
  search_path: `''`,
  datestyle: `'ISO, YMD'`,
  timezone: `'UTC'`,
  intervalstyle: `'postgres'`,
  extra_float_digits: '1',
  bytea_output: `'hex'`,
  check_function_bodies: 'off',
  row_security: 'off',
  'sharding_move.driver': `'on'`,
})

/** Texts of values are the same on all nodes, and names are written with their schemas, and closed places are open, in the transaction that this begins. */
export const plainTexts = plainSettings.map(([name, value]) => `SET LOCAL ${name} = ${value}`).join('; ')

/** The same on a connection as long as some work lasts. */
export async function withPlainTexts<T>(send: Send, work: () => Promise<T>): Promise<T> {
  await send(plainSettings.map(([name, value]) => `SET ${name} = ${value}`).join('; '))
  const result = await work()
  await send(plainSettings.map(([name]) => `RESET ${name}`).join('; '))
  return result
}

/** Does some work in a transaction with `plainTexts`. */
export async function inTransaction<T>(send: Send, work: () => Promise<T>): Promise<T> {
  await send(`BEGIN; ${plainTexts}`)
  const result = await work()
  await send('COMMIT')
  return result
}
