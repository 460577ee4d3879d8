import { ShardedError } from '../errors/sharded-error'
import type { Cancellation } from './cancellation'

/** So much earlier or later than asked for: of two that wait for each other, one shall go first. */
const jitter = 0.25

/** Questions in a row that a server has not answered, after which a wait that nobody can see into ends. */
const maxUnanswered = 2

/** Letters of a statement in a message. */
const maxStatement = 200

/** A session that another one waits for, as its server sees it; other users' statements only where the role may see them. */
export interface Blocker {
  readonly pid: number
  readonly application: string | null
  readonly address: string | null
  readonly state: string | null
  readonly statement: string | null
  readonly transactionSeconds: number | null
}

/**
 * Ends statements that wait for a lock too long. PostgreSQL sees a deadlock inside one server; transactions that hold locks
 * on several and wait for each other there are seen by none of them, and would wait for ever.
 */
export class LockWatch {
  constructor(
    private readonly node: string,
    private readonly afterMs: number,
    /** Sends a query to the node, on another connection than the one that waits. */
    private readonly ask: (query: string, values: readonly unknown[]) => Promise<{ readonly rows: Blocker[] }>,
  ) {}

  /** The same, which waits no longer than so many milliseconds. */
  within(afterMs: number): LockWatch {
    return new LockWatch(this.node, Math.min(afterMs, this.afterMs), this.ask)
  }

  /** Cancels when the statement has waited so long, and still does. The returned function ends the watch. */
  over(pid: number | null, text: string, cancellation: Cancellation): () => void {
    let timer: NodeJS.Timeout | undefined
    let isOver = false
    let unanswered = 0
    const arm = (): void => {
      timer = setTimeout(() => void look(), this.afterMs * (1 - jitter + 2 * jitter * Math.random()))
    }
    const look = async (): Promise<void> => {
      const blockers = await this.ask(blockersQuery, [pid]).then(
        ({ rows }) => rows,
        () => undefined,
      )
      if (isOver) return
      // Of a server that is down, the statement's own fate tells. Of one that has no connection left, nothing ever would.
      unanswered = blockers ? 0 : unanswered + 1
      if (blockers?.length || unanswered >= maxUnanswered) cancellation.cancel(this.timedOut(pid, text, blockers ?? []))
      else arm()
    }
    arm()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }

  private timedOut(pid: number | null, text: string, blockers: readonly Blocker[]): ShardedError {
    const { node, afterMs } = this
    const statement = text.slice(0, maxStatement)
    const sides = blockers.map(
      (one) =>
        `session ${one.pid}${one.application ? ` of ${one.application}` : ''} (${one.state ?? 'unknown'}${one.statement ? `: ${one.statement}` : ''})`,
    )
    const waited =
      sides.length > 0
        ? `waited ${afterMs} ms for ${sides.join(', ')}`
        : `took ${afterMs} ms and longer, and the node gave no answer to what it waits for`
    return new ShardedError('LOCK_TIMEOUT', `On node ${node}, session ${pid} (${statement}) ${waited}.`, {
      details: { node, pid, statement, blockers },
    })
  }
}

const blockersQuery = `SELECT pid, nullif(application_name, '') AS application, host(client_addr) AS address, state,
    left(query, ${maxStatement}) AS statement, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS "transactionSeconds"
  FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1)) ORDER BY pid`
