import { setTimeout as pause } from 'node:timers/promises'
import type { NodePool } from '../endpoints/node-pool'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { schemaLockNumber } from './own-table'

/** Milliseconds: longer than the tables of a large application take to be made. */
const defaultWaitMs = 300_000

/** Milliseconds between two looks: no statement waits for the lock, since a node that waits long would be taken for a silent one. */
const lookAgainMs = 50

/** The server may end transactions that send nothing for a while, and so the lock. */
const begin = 'START TRANSACTION; SET LOCAL idle_in_transaction_session_timeout = 0'

/**
 * Runs what makes, alters or drops tables on all nodes while no other process does: PostgreSQL fails where two of them meet in its catalogs. The lock
 * is that of a transaction on the home node, so that poolers keep it on one server, and ends with it or with the process.
 *
 * @throws ShardedError SYNCHRONIZE_BUSY where others hold the lock for longer than `waitMs`
 */
export async function withSchemaLock<T>(
  { name, background }: Pick<NodePool, 'name' | 'background'>,
  work: () => Promise<T>,
  waitMs = defaultWaitMs,
): Promise<T> {
  const { connection, release } = await background.acquire()
  const ask = (text: string) => connection.query(text, undefined, undefined)
  try {
    await ask(begin)
    for (const deadline = performance.now() + waitMs; ; await pause(lookAgainMs)) {
      const { rows } = await ask(`SELECT pg_try_advisory_xact_lock(${schemaLockNumber}) AS taken`)
      const [row]: readonly Row[] = rows
      if (row?.['taken'] === true) break
      if (performance.now() < deadline) continue
      throw new ShardedError('SYNCHRONIZE_BUSY', `Others synchronise the databases of node ${name} for ${waitMs} ms.`, {
        details: { node: name, waitMs },
      })
    }
    return await work()
  } finally {
    await ask('ROLLBACK').catch(() => undefined)
    release()
  }
}
