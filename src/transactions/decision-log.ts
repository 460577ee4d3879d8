import { createIdentity } from '../catalog/node-catalog'
import { createOnce, ownTable } from '../catalog/own-table'
import type { Cancellation } from '../endpoints/cancellation'
import type { NodePool } from '../endpoints/node-pool'
import { sqlState, undefinedTable } from '../endpoints/sql-state'
import type { StatementResult } from '../endpoints/statement-result'
import { literal } from '../values/literal'
import { within } from './participant'
import { asLogin, type PreparedId, parsePreparedId, preparedIdPrefix, resultsOf } from './prepared-transaction'

/** A statement of recovery that a node does not answer for so long, in milliseconds, has failed. */
const questionDeadlineMs = 10_000

/** A decider whose process says nothing for so long, in milliseconds, after it began to commit, rolls back. */
const silenceMs = 60_000

/**
 * Recovery leaves decision rows for so long, in milliseconds: a coordinator that has lost the answer to its COMMIT asks for
 * its row, and must not find it deleted. A server's `pg_xact_status` is no help there: ids are used again after a crash.
 */
export const keepDecisionMs = 300_000

/** How long a question waits for a transaction that may still decide, in milliseconds. */
const probeWaitMs = 2_000

/** Decision rows that wait to be deleted: more are left to recovery. */
const maxForgotten = 10_000

/** Decision rows are deleted together, this long after the first is no longer needed. */
const forgetAfterMs = 200

/** Decision rows that one pass of recovery reads of a node; the next pass reads the rest. */
const maxRead = 10_000

/** SQLSTATE of a lock that was not to be had in time. */
const lockNotAvailable = '55P03'

/** A row of the log. */
export interface Decision {
  readonly transaction: string
  /** Identities of the databases that were prepared. */
  readonly participants: readonly string[]
}

/** One of our prepared transactions, as a server lists it. */
export interface PreparedTransaction {
  readonly text: string
  readonly id: PreparedId
  readonly ageMs: number
}

/**
 * The decisions of transactions over several nodes that one node holds, in a table of its own, and the node's identity.
 * A row says that its transaction is committed; it is written by that transaction, so it is there exactly when that has
 * committed.
 */
export class DecisionLog {
  private readonly forgotten = new Set<string>()
  private timer: NodeJS.Timeout | undefined

  private constructor(
    private readonly pool: BackgroundPool,
    /** Names this database in the identifiers of prepared transactions, whichever application connects to it. */
    readonly identity: string,
    private readonly table: string,
    /** Privileges on that table which the role does not have, and without which the log is of no use. */
    readonly lacking: readonly string[],
    /** Its statements need no server of a pooler, which operations may hold all of. */
    readonly isDirect: boolean,
  ) {}

  get node(): string {
    return this.pool.name
  }

  /** Creates the tables where they are not there. @throws the database's error where the role may not, or may not read them */
  static async open({ background: pool, isBackgroundDirect }: NodePool): Promise<DecisionLog> {
    const table = ownTable(pool, 'decisions')
    const tables = { identities: ownTable(pool, 'nodes'), table }
    const { id, lacking } = (await known(pool, tables)) ?? (await create(pool, tables))
    return new DecisionLog(pool, id, table, lacking, isBackgroundDirect)
  }

  /** That of a node which does not answer: whatever is asked of it fails. */
  static ofAbsent({ background, isBackgroundDirect }: NodePool, identity: string): DecisionLog {
    return new DecisionLog(background, identity, '', [], isBackgroundDirect)
  }

  /**
   * Writes the decision row, in the transaction of `query`. The decision is as durable as commits are by default, and its
   * transaction ends by itself where this process falls silent: recovery waits for that.
   */
  async record(query: (text: string) => Promise<unknown>, { transaction, participants }: Decision): Promise<void> {
    await query(
      `${asLogin} INSERT INTO ${this.table} (id, participants) VALUES ('${transaction}', '{${participants.join()}}')
       RETURNING CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END,
         set_config('idle_in_transaction_session_timeout', '${silenceMs}', true)`,
    )
  }

  /**
   * Whether a transaction has been decided. The answer is final: as long as its own transaction holds the row and has not
   * ended, this waits.
   *
   * @returns undefined where it has not ended in time
   */
  async hasDecided(transaction: string): Promise<boolean | undefined> {
    return within((cancellation) => this.ask(transaction, cancellation), questionDeadlineMs)
  }

  private async ask(transaction: string, cancellation: Cancellation): Promise<boolean | undefined> {
    const lease = await this.pool.acquire(undefined, cancellation)
    const send = (text: string) => lease.connection.query(text, undefined, undefined, cancellation)
    try {
      // One message: a process that falls silent in the middle would hold the row, and keep the others from an answer.
      const answers = await send(
        `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = ${probeWaitMs};
         INSERT INTO ${this.table} (id, participants) VALUES (${literal(transaction)}, '{}') ON CONFLICT DO NOTHING;
         ROLLBACK`,
      )
      const rowCount = resultsOf(answers).find(({ command }) => command === 'INSERT')?.rowCount
      return rowCount === 0
    } catch (error) {
      if (sqlState(error) !== lockNotAvailable) throw error
      await send('ROLLBACK')
      return undefined
    } finally {
      lease.release()
    }
  }

  /** Decisions that are older than so many milliseconds. */
  async decisions(olderThanMs: number): Promise<readonly Decision[]> {
    const { rows } = await this.query(
      `SELECT id AS transaction, participants FROM ${this.table}
       WHERE decided_at <= clock_timestamp() - $1 * interval '1 millisecond' ORDER BY decided_at LIMIT ${maxRead}`,
      [olderThanMs],
    )
    return rows
  }

  /** The transactions of this product that are prepared on the node. */
  async prepared(): Promise<readonly PreparedTransaction[]> {
    const { rows } = await this.query(
      `SELECT pg_is_in_recovery() AS "isStandby", x.gid, extract(epoch FROM clock_timestamp() - x.prepared)::float8 * 1000 AS age
       FROM (SELECT) AS one LEFT JOIN pg_prepared_xacts x ON x.database = current_database() AND starts_with(x.gid, $1)
       ORDER BY x.prepared`,
      [preparedIdPrefix],
    )
    // A standby lists none, whatever its primary has.
    if (rows[0]?.['isStandby'] !== false) throw new Error('It is a standby, which does not tell what is prepared.')
    return rows.flatMap(({ gid, age }: { gid: string | null; age: number }) => {
      const id = gid === null ? undefined : parsePreparedId(gid)
      return gid !== null && id ? [{ text: gid, id, ageMs: age }] : []
    })
  }

  /** A statement on a connection of its own; a node that is silent fails it. */
  query(text: string, values?: readonly unknown[]): Promise<StatementResult> {
    return within((cancellation) => this.pool.query(text, values, cancellation), questionDeadlineMs)
  }

  /** Deletes decision rows. */
  async clean(transactions: readonly string[]): Promise<void> {
    if (transactions.length > 0) await this.query(`DELETE FROM ${this.table} WHERE id = ANY($1)`, [transactions])
  }

  /** Deletes a decision row soon, together with others. Rows that a crash leaves behind are found by recovery. */
  forget(transaction: string): void {
    if (this.forgotten.size >= maxForgotten) return
    this.forgotten.add(transaction)
    this.timer ??= setTimeout(() => void this.flush().catch(() => undefined), forgetAfterMs).unref()
  }

  /** Deletes now what was to be deleted soon. */
  async flush(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    const rows = [...this.forgotten]
    this.forgotten.clear()
    await this.clean(rows)
  }
}

type BackgroundPool = NodePool['background']

interface Tables {
  readonly identities: string
  readonly table: string
}

/** What a node that has the tables says of them. */
interface KnownLog {
  readonly id: string
  readonly lacking: readonly string[]
}

/** Decisions are written as the login (see `asLogin`), and asked for and deleted as the role that a connection begins with. */
async function known(pool: BackgroundPool, { identities, table }: Tables): Promise<KnownLog | undefined> {
  try {
    const { rows } = await pool.query(
      `SELECT id, ARRAY(
         SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE']) AS p
         WHERE NOT (has_table_privilege(current_user, $1, p) AND has_table_privilege(session_user, $1, p))
       ) AS lacking FROM ${identities}`,
      [table],
    )
    return rows[0]
  } catch (error) {
    if (sqlState(error) === undefinedTable) return undefined
    throw error
  }
}

/** Two processes may do this at once: the first identity stays. */
async function create(pool: BackgroundPool, tables: Tables): Promise<KnownLog> {
  const { identities, table } = tables
  await createOnce(
    pool,
    'decisions',
    `CREATE TABLE IF NOT EXISTS ${table} (
      id text PRIMARY KEY, participants text[] NOT NULL, decided_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  )
  await createIdentity(pool)
  const made = await known(pool, tables)
  if (!made) throw new RangeError(`Node ${pool.name} has no identity in ${identities}.`)
  return made
}
