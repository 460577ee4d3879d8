import type { ConnectionPool } from '../endpoints/connection-pool'
import type { ControlPoints } from '../transactions/control-point'
import type { ShardMove } from './shard-move'

/**
 * A node as moves reach it: a pool beside that of operations, of four connections at least and without a bound for a statement, past any
 * pooler that shares sessions. Indexes take hours, and a switch waits for locks that others hold.
 */
export type MoveNode = Pick<ConnectionPool, 'name' | 'ownSchema' | 'facts' | 'query' | 'acquire'>

/** What the machine needs of its caller. */
export interface MoveHost {
  /** The node that stores the moves. */
  readonly home: MoveNode
  /** A node by the identity of its database. @throws ShardedError where no node has it */
  node(identity: string): MoveNode
  /** The URL by which the other servers reach a node's database, with a password where they need one. */
  replicationUrl(identity: string): string
  readonly points: ControlPoints
  warn(text: string): void
  /**
   * Stores the new place of the shard in the catalog, with the next epoch. The source is renamed by then. It may be called again after it
   * has succeeded: the driver that called it may have died.
   */
  commitEpoch(move: ShardMove): Promise<void>
  readonly bounds?: Partial<MoveBounds>
}

/** The bounds of waits, in milliseconds where nothing else is said. */
export interface MoveBounds {
  /** A driver that is not heard of for so long has lost its move. It renews three times in that time. */
  readonly leaseMs: number
  /** For all locks of the switch together. It is below PostgreSQL's `deadlock_timeout`, 1 s: a deadlock never costs a writer its transaction. */
  readonly lockMs: number
  /** From the locks on until the source is renamed; then the switch is given up, and tried again later. */
  readonly pauseMs: number
  /** Between two tries of a switch. */
  readonly switchEveryMs: number
  /** Tries of a switch before the driver gives up with SHARD_MOVE_STALLED. */
  readonly switchTries: number
  /** Between two looks at a copy. */
  readonly lookEveryMs: number
  /** Without any progress of the copy, or of what follows it. */
  readonly stallMs: number
  /** Bytes of WAL that the target may lack when the rows are compared. */
  readonly lagBytes: number
  /** Rows that are compared at once. */
  readonly rowsPerChunk: number
  /** Rows that are compared while writers wait. */
  readonly suspectRows: number
  /** Tries of a step that a lost connection has ended. */
  readonly tries: number
  /** Between two of these. */
  readonly tryEveryMs: number
}

export const defaultMoveBounds: MoveBounds = Object.freeze({
  leaseMs: 15_000,
  lockMs: 250,
  pauseMs: 3_000,
  switchEveryMs: 1_000,
  switchTries: 600,
  lookEveryMs: 250,
  stallMs: 600_000,
  lagBytes: 1_048_576,
  rowsPerChunk: 5_000,
  suspectRows: 2_000,
  tries: 120,
  tryEveryMs: 500,
})

export const boundsOf = ({ bounds }: MoveHost): MoveBounds => ({ ...defaultMoveBounds, ...bounds })
