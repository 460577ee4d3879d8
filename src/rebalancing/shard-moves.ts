import { randomBytes, randomUUID } from 'node:crypto'
import { sqlState } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { physicalName } from '../planning/bind-shard-names'
import type { Shard } from '../topology/shard'
import { checkRequirements } from './check-requirements'
import { tablesOfSchema } from './make-target'
import { MoveDriver } from './move-driver'
import { boundsOf, type MoveHost, type MoveNode } from './move-host'
import { MoveLog } from './move-log'
import { pause } from './on-node'
import { readMoveFacts } from './read-move-facts'
import { type MovedTable, replicationName, type ShardMove, wayBack } from './shard-move'
import {
  canFinish,
  canRevert,
  isBetweenPlaces,
  isCancellable,
  type MoveEvent,
  type MoveState,
  moveTable,
} from './shard-move-state'

/** A move that somebody wants. */
export interface MoveRequest {
  readonly shard: Pick<Shard, 'name' | 'group' | 'label' | 'layout'>
  /** Its tables, without the suffix of the shard. Of a shard with a schema of its own, all tables of the schema move. */
  readonly tables: readonly string[]
  /** Identities of the databases. */
  readonly from: string
  readonly to: string
  /** After the switch the old place follows the new one, so that `revertMove` can go back. On by default. */
  readonly reverse?: boolean | undefined
}

/**
 * Plans the move of a shard. Nothing is done yet but to look whether it can be done.
 *
 * @throws ShardedError SHARD_MOVE_REFUSED
 */
export async function startMove(
  host: MoveHost,
  { shard, tables, from, to, reverse = true }: MoveRequest,
): Promise<ShardMove> {
  const { name, group, layout } = shard
  const move = { id: randomBytes(4).toString('hex'), shard: name, group, layout, from, to }
  const asked = tables.map((table) => physicalName(table, shard))
  const moved = layout === 'schema' ? await withSchema(host.node(from), name, asked) : asked
  const planned = { ...move, tables: moved, memory: { isReversible: reverse } }
  const log = await MoveLog.open(host.home)
  await checkRequirements(host, planned)
  return log.insert(planned)
}

/** All tables of a schema, and those that should be there. */
async function withSchema(
  node: MoveNode,
  schema: string,
  asked: readonly MovedTable[],
): Promise<readonly MovedTable[]> {
  const found = await tablesOfSchema((text, values) => node.query(text, values), schema)
  const names = new Set([...found, ...asked.map(({ name }) => name)])
  return [...names].sort().map((name) => ({ schema, name }))
}

/**
 * Does what a move needs until it is switched, or over. Another process may go on with it at any time when this one is gone.
 *
 * @throws ShardedError SHARD_MOVE_TAKEN, SHARD_MOVE_STALLED, SHARD_MOVE_DIFFERS, TOPOLOGY_MISMATCH; the signal's reason
 */
export async function driveMove(
  host: MoveHost,
  id: string,
  signal?: AbortSignal,
  kind: MoveKind = toAnotherNode,
): Promise<ShardMove> {
  return withLease(host, { id, signal }, (lease) => runToRest(lease, kind.machine(lease)))
}

/**
 * Takes a move back whose switch has not begun: nothing of it is left on either node. It is taken from a process that drives it. One that
 * is reverted, and has not gone back, stays at its new place.
 *
 * @param abandonTarget the target is gone for good: what the move has made there is left to whoever brings it back
 * @throws ShardedError SHARD_MOVE_STATE
 */
export async function cancelMove(
  host: MoveHost,
  id: string,
  { abandonTarget = false, kind = toAnotherNode }: CancelOptions = {},
): Promise<ShardMove> {
  const log = await MoveLog.open(host.home)
  const { state } = await log.read(id)
  if (isBetweenPlaces(state)) await withLease(host, { id }, (lease) => kind.settle(lease))
  const current = (await log.read(id)).state
  const driver = newDriver(host)
  if (isCancellable(current)) {
    if (!(await log.cancel(id, driver, current))) throw changed(id)
  } else if (current !== 'cancelling') throw tooLate(id, current)
  return withLease(host, { id, driver }, (lease) => runToRest(lease, kind.machine(lease, { abandonTarget })))
}

/**
 * Drops what is left of the shard at its old place, which no longer follows the new one.
 *
 * @throws ShardedError SHARD_MOVE_STATE; what a node answers, while the move stays as it is
 */
export function finishMove(
  host: MoveHost,
  id: string,
  { kind = toAnotherNode }: { readonly kind?: MoveKind } = {},
): Promise<ShardMove> {
  return withLease(host, { id }, async (lease) => {
    const { state } = lease.move
    if (state === 'done') return lease.move
    if (!canFinish(state)) throw tooEarly(id, state)
    return driveAfter(lease, moveTable[state].finish === undefined ? undefined : 'finish', kind.machine)
  })
}

/** What somebody who reverts a move may say. */
export interface RevertOptions {
  readonly signal?: AbortSignal | undefined
  /** The new place was lost after the shard had gone back: what is left there is left to whoever brings it back. */
  readonly abandonTarget?: boolean
}

/**
 * Takes a switched shard back to its old place, with all that was written at the new one. Writers wait as they do at a switch.
 *
 * @throws ShardedError SHARD_MOVE_STATE, SHARD_MOVE_DIFFERS, SHARD_MOVE_STALLED; the signal's reason
 */
export function revertMove(
  host: MoveHost,
  id: string,
  { signal, abandonTarget = false }: RevertOptions = {},
): Promise<ShardMove> {
  return withLease(host, { id, signal }, async (lease) => {
    const { state, memory } = lease.move
    if (state === 'reverted') return lease.move
    if (!canRevert(state)) throw notToRevert(id, state)
    if (!memory.isReversible) throw stateError(id, `The move ${id} was begun without a way back.`)
    const machine: MoveKind['machine'] = (asked) => toAnotherNode.machine(asked, { abandonTarget })
    return driveAfter(lease, state === 'switched' ? 'revert' : undefined, machine)
  })
}

/** Stores what somebody has asked for, and does what follows. */
async function driveAfter(
  lease: LeasedMove,
  event: MoveEvent | undefined,
  machine: MoveKind['machine'],
): Promise<ShardMove> {
  const { log, driver, move } = lease
  const asked = event === undefined ? move : await log.advance(move, driver, { event })
  return runToRest(lease, machine({ ...lease, move: asked }))
}

/** The moves that the home node has stored: those that are not over come first. */
export async function listMoves(host: MoveHost): Promise<readonly ShardMove[]> {
  return (await MoveLog.open(host.home)).list()
}

/** One move, as it is stored. @throws ShardedError SHARD_MOVE_STATE where there is none */
export async function readMove(host: MoveHost, id: string): Promise<ShardMove> {
  return (await MoveLog.open(host.home)).read(id)
}

/** How the old place of a switched shard follows the new one. */
export interface WayBackState {
  /** WAL that the new place keeps for it. `max_slot_wal_keep_size` of that server bounds it. */
  readonly lagBytes: number
  readonly isFollowing: boolean
  /** The new place has removed WAL that the old one lacked: the move can no longer be reverted. */
  readonly isLost: boolean
}

/** Asks the new place. Undefined where nothing follows it, or it does not answer. */
export async function readWayBack(host: MoveHost, move: ShardMove): Promise<WayBackState | undefined> {
  if (!followingStates.has(move.state)) return undefined
  const slot = await host
    .node(move.to)
    .query(
      `SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::float8 AS lag, active, coalesce(wal_status = 'lost', false) AS lost
       FROM pg_replication_slots WHERE slot_name = $1`,
      [replicationName(wayBack(move))],
    )
    .catch(() => undefined)
  const row: Row | undefined = slot?.rows[0]
  if (!row) return undefined
  return { lagBytes: Number(row['lag']), isFollowing: row['active'] === true, isLost: row['lost'] === true }
}

const followingStates: ReadonlySet<MoveState> = new Set(['switched', 'reverting'])

/** A move that this process drives. */
export interface LeasedMove {
  readonly host: MoveHost
  readonly log: MoveLog
  readonly move: ShardMove
  readonly driver: ReturnType<typeof newDriver>
  /** Aborted where the caller ends it, or the move is lost to another process. */
  readonly signal: AbortSignal
}

const newDriver = (host: MoveHost) => ({ id: randomUUID(), leaseMs: boundsOf(host).leaseMs })

/** The lease is renewed so many times before it runs out. */
const renewals = 3

async function withLease<T>(
  host: MoveHost,
  {
    id,
    signal,
    driver = newDriver(host),
  }: { readonly id: string; readonly signal?: AbortSignal | undefined; readonly driver?: LeasedMove['driver'] },
  work: (lease: LeasedMove) => Promise<T>,
): Promise<T> {
  const log = await MoveLog.open(host.home)
  const move = (await log.claim(id, driver)) ?? (await takenOrAbsent(log, id))
  const lost = new AbortController()
  const renew = (): void =>
    void log.renew(id, driver).catch((error: unknown) => {
      if (isTaken(error)) lost.abort(error)
    })
  const timer = setInterval(renew, driver.leaseMs / renewals).unref()
  try {
    return await work({ host, log, move, driver, signal: AbortSignal.any([lost.signal, ...(signal ? [signal] : [])]) })
  } finally {
    clearInterval(timer)
    // A home node that is gone lets the lease run out.
    await log.release(id, driver).catch(() => undefined)
  }
}

const isTaken = (error: unknown): boolean => error instanceof ShardedError && error.code === 'SHARD_MOVE_TAKEN'

async function takenOrAbsent(log: MoveLog, id: string): Promise<never> {
  await log.read(id)
  throw new ShardedError('SHARD_MOVE_TAKEN', `Another process drives the move ${id}.`, { details: { id } })
}

/** Moves that are driven by one kind of machine. */
export interface MoveKind {
  readonly machine: (lease: LeasedMove, options?: { readonly abandonTarget?: boolean }) => MoveMachine
  /** Finds out whether the shard has left its place in a switch that nobody drives any more; where it has not, the switch is taken back. */
  readonly settle: (lease: LeasedMove) => Promise<void>
}

interface CancelOptions {
  readonly abandonTarget?: boolean
  readonly kind?: MoveKind
}

/** What does the steps of one move. */
interface MoveMachine {
  readonly id: string
  /** @returns false where there is none until somebody asks */
  step(): Promise<boolean>
  /** Reads what is stored of the move. */
  refresh(): Promise<ShardMove>
}

/** Steps until there is none. What a lost connection or a server that restarts has ended is tried again. */
async function runToRest({ host, log, driver, signal }: LeasedMove, machine: MoveMachine): Promise<ShardMove> {
  const { tries, tryEveryMs } = boundsOf(host)
  let failures = 0
  for (;;) {
    try {
      if (failures > 0) await machine.refresh()
      const isMoving = await machine.step()
      failures = 0
      if (!isMoving) return await machine.refresh()
    } catch (error) {
      failures += 1
      const id = machine.id
      const text = error instanceof Error ? error.message : String(error)
      // What a driver meets that has lost its move is of no account: another one has changed what is there.
      const lost = await log.note(id, driver, { error: text }).catch((reason: unknown) => reason)
      if (signal.aborted) throw signal.reason
      if (isTaken(lost)) throw lost
      if (failures >= tries || !mayPass(error)) throw error
      host.warn(`The move ${id} met an error and tries again. ${text}`)
      await pause(tryEveryMs, signal)
    }
  }
}

/** Codes of this package that a repetition may not meet: the node was away. */
const passingCodes: ReadonlySet<string> = new Set([
  'SHARD_UNAVAILABLE',
  'CONNECTION_LOST',
  'COMMIT_OUTCOME_UNKNOWN',
  'POOL_EXHAUSTED',
])

/** SQLSTATEs of a server that starts, ends, has too little of something, or lets transactions wait for each other. */
const passingStates = /^(?:08|40|53|55|57|58)/

function mayPass(error: unknown): boolean {
  if (error instanceof ShardedError) return passingCodes.has(error.code)
  return passingStates.test(sqlState(error) ?? '')
}

/** Moves of a shard to another node, as it is. */
const toAnotherNode: MoveKind = {
  machine: (lease, options) => new MoveDriver(lease.move, lease, options),
  settle: async (lease) => {
    const facts = await readMoveFacts(lease.host, lease.move, { isVerified: false })
    const { state } = lease.move
    const hasLeft = state === 'switching' ? facts.source.hasLeft : facts.target.hasLeft
    if (isBetweenPlaces(state) && !hasLeft) await new MoveDriver(lease.move, lease).step()
  },
}

const stateError = (id: string, text: string): ShardedError =>
  new ShardedError('SHARD_MOVE_STATE', text, { details: { id } })

const tooLate = (id: string, state: string): ShardedError =>
  stateError(id, `The move ${id} is ${state}, and is no longer to be cancelled.`)

const tooEarly = (id: string, state: string): ShardedError =>
  stateError(id, `The move ${id} is ${state}; and is not to be finished.`)

const notToRevert = (id: string, state: string): ShardedError =>
  stateError(id, `The move ${id} is ${state}, and is not to be reverted.`)

const changed = (id: string): ShardedError => stateError(id, `The move ${id} went on while it was to be cancelled.`)
