import { ShardedError } from '../errors/sharded-error'
import type { ShardMoveControlPoint } from '../transactions/control-point'
import { type CopyLook, lookAtCopy } from './copy-progress'
import { dropSource, dropTarget, makeBesideWorker, makeTables } from './make-target'
import { boundsOf, type MoveBounds, type MoveHost } from './move-host'
import type { Driver, MoveLog } from './move-log'
import { asOnlyDriver, onConnection, pause, type Send } from './on-node'
import { bothStructures, readMoveFacts } from './read-move-facts'
import {
  dropSlots,
  dropSubscription,
  enableSubscription,
  flushedLsn,
  publish,
  reserveSlot,
  subscribe,
  tablePath,
} from './replication'
import { replicationName, type ShardMove } from './shard-move'
import { type MoveFacts, type MoveStep, nextStep } from './shard-move-state'
import { missingStatements } from './shard-structure'
import { lockTables, renameSource, settleTarget, writingOrder } from './switch-shard'
import { awaitLsn, type Suspects, verifyRows } from './verify-rows'

interface DriverSettings {
  readonly host: MoveHost
  readonly log: MoveLog
  readonly driver: Driver
  readonly signal: AbortSignal
}

/** Facts of states in which the databases are not asked: what is done there needs none, and one of them may be gone. */
const noFacts: MoveFacts = {
  source: { isRenamed: false, hasPublication: false, hasSlot: false, isSlotLost: false },
  target: { lacksBeforeCopy: 0, subscription: 'none', copiedTables: 0, tables: 0, lacksAfterCopy: 0 },
  isVerified: false,
  isEpochCommitted: false,
}

/** Does the steps of one move, as long as it is the move's driver. What it remembers is lost with it; all else is stored, or can be looked at. */
export class MoveDriver {
  private suspects: Suspects | undefined
  private switchTries = 0
  private readonly bounds: MoveBounds
  private readonly confirm = (): Promise<void> => this.settings.log.renew(this.move.id, this.settings.driver)

  constructor(
    private move: ShardMove,
    private readonly settings: DriverSettings,
    private readonly options: { readonly abandonTarget?: boolean } = {},
  ) {
    this.bounds = boundsOf(settings.host)
  }

  get id(): string {
    return this.move.id
  }

  /** Reads the move as it is stored: a step that failed may have stored more than this driver was told of. */
  async refresh(): Promise<ShardMove> {
    this.move = await this.settings.log.read(this.move.id)
    return this.move
  }

  /** Does the next step. @returns false where there is none until somebody asks */
  async step(): Promise<boolean> {
    const { host, signal } = this.settings
    signal.throwIfAborted()
    const { state } = this.move
    const asksNodes = nextStep(state, noFacts) !== 'rest' && state !== 'cancelling'
    const facts = asksNodes
      ? await readMoveFacts(host, this.move, { isVerified: this.suspects !== undefined })
      : noFacts
    const step = nextStep(state, facts)
    if (step === 'rest') return false
    if (step === 'give-up') throw slotLost(this.move)
    if (step === 'advance') await this.advance()
    else await this.effect(step, facts)
    return true
  }

  private async effect(step: Effect, facts: MoveFacts): Promise<void> {
    await this.reach(`shard-move:before-${step}`)
    await this.effects[step](facts)
    await this.reach(`shard-move:after-${step}`)
  }

  private readonly effects: Readonly<Record<Effect, (facts: MoveFacts) => Promise<void>>> = {
    'make-tables': () => this.makeTables(),
    publish: () => this.atSource((send) => publish(send, this.move)),
    'reserve-slot': () => this.atSource((send) => reserveSlot(send, this.move)),
    subscribe: () => this.subscribe(),
    enable: () => this.atTarget(async (send) => void (await enableSubscription(send, this.move))),
    'await-copy': () => this.awaitCopy(),
    'make-indexes': () => this.makeIndexes(),
    'await-lag': () => this.awaitLag(),
    verify: () => this.verify(),
    switch: () => this.switch(),
    settle: () => this.settle(),
    'commit-epoch': () => this.commitEpoch(),
    'remove-replication': () => this.removeReplication(),
    'remove-target': () => this.removeTarget(),
  }

  private async makeTables(): Promise<void> {
    const [source, target] = await bothStructures(this.settings.host, this.move)
    const statements = missingStatements(source, target, 'before-copy')
    await this.atTarget(async (send) => {
      if (!this.move.memory.isTargetOwn) {
        if (target.length > 0) throw inTheWay(this.move)
        await this.note({ memory: { isTargetOwn: true } })
        await this.refresh()
      }
      await makeTables(send, statements)
    })
  }

  private async subscribe(): Promise<void> {
    const url = this.settings.host.replicationUrl(this.move.from)
    const memory = await this.atTarget((send) => subscribe(send, { move: this.move, url }))
    await this.reach('shard-move:subscribed')
    // Stored before a worker runs: from then on there may be slots that only these numbers name.
    await this.note({ memory })
    await this.advance()
  }

  private async awaitCopy(): Promise<void> {
    const { host, signal } = this.settings
    let look: CopyLook | undefined
    let last = { key: '', at: performance.now() }
    for (;;) {
      look = await lookAtCopy(host, this.move, look)
      const tables = Object.values(look.tables)
      await this.note({ progress: { tables: look.tables } })
      if (tables.every(({ state }) => state === 'copied')) {
        if (await this.isCopied()) return
      }
      const key = JSON.stringify(tables.map(({ state, bytes }) => [state, bytes]))
      if (key !== last.key) last = { key, at: performance.now() }
      else if (performance.now() - last.at > this.bounds.stallMs) throw stalled(this.move, 'the copy gets no further')
      await pause(this.bounds.lookEveryMs, signal)
    }
  }

  /** A table whose rows are all there has still to catch up with the others. */
  private async isCopied(): Promise<boolean> {
    const { target } = await readMoveFacts(this.settings.host, this.move, { isVerified: false })
    return target.copiedTables === target.tables
  }

  private async makeIndexes(): Promise<void> {
    const statements = missingStatements(...(await bothStructures(this.settings.host, this.move)), 'after-copy')
    for (const statement of statements) await this.atTarget((send) => makeBesideWorker(send, statement, this.bounds))
  }

  private async awaitLag(): Promise<void> {
    const { host, signal } = this.settings
    const tables = this.move.tables.map(tablePath)
    await this.atTarget(async (send) => void (await send(`ANALYZE ${tables.join(', ')}`)))
    let last = { lag: Number.POSITIVE_INFINITY, at: performance.now() }
    for (;;) {
      const { rows } = await host
        .node(this.move.from)
        .query(
          `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 AS lag FROM pg_replication_slots WHERE slot_name = $1`,
          [replicationName(this.move)],
        )
      const lag = Number(rows[0]?.['lag'])
      await this.note({ progress: { lagBytes: lag } })
      if (lag <= this.bounds.lagBytes) break
      if (lag < last.lag) last = { lag, at: performance.now() }
      else if (performance.now() - last.at > this.bounds.stallMs)
        throw stalled(this.move, 'the target does not catch up')
      await pause(this.bounds.lookEveryMs, signal)
    }
    await this.advance()
  }

  private async verify(): Promise<void> {
    const { host, signal } = this.settings
    const { bounds } = this
    let noted = 0
    this.suspects = await verifyRows(host, this.move, {
      bounds,
      signal,
      note: async (progress) => {
        if (performance.now() - noted < bounds.lookEveryMs) return
        noted = performance.now()
        await this.note({ progress })
      },
    })
  }

  private async switch(): Promise<void> {
    const { suspects } = this
    if (!suspects) throw new RangeError('A shard is switched when its rows were compared.')
    if (this.switchTries >= this.bounds.switchTries)
      throw stalled(this.move, `the switch was given up ${this.switchTries} times`)
    const isSwitched = await this.trySwitch(suspects)
    if (isSwitched) return
    this.switchTries += 1
    await this.note({ progress: { switchTries: this.switchTries } })
    await pause(this.bounds.switchEveryMs, this.settings.signal)
  }

  /** @returns false where a lock was not to be had, or the target was not there in time: writers go on meanwhile */
  private trySwitch(suspects: Suspects): Promise<boolean> {
    const source = this.settings.host.node(this.move.from)
    return onConnection(source, (beside) =>
      this.atTarget((target) =>
        this.atSource(async (locked) => {
          const { bounds } = this
          const sides = { source: beside, target }
          // What can be waited for without locks is waited for now.
          const lsn = await flushedLsn(beside)
          await awaitLsn(sides, this.move, {
            lsn,
            stallMs: bounds.stallMs,
            lookEveryMs: 20,
            signal: this.settings.signal,
          })
          const order = await writingOrder(beside, this.move)
          // Every other try the other way round: some applications write children first.
          const tables = this.switchTries % 2 === 0 ? order : [...order].reverse()
          const begun = performance.now()
          const outcome = await lockTables(locked, tables, bounds)
          if (outcome === 'absent') throw tablesGone(this.move)
          if (outcome === 'busy') return false
          await this.reach('shard-move:locked')
          const finals = await settled(
            settleTarget({ locked, ...sides }, this.move, { suspects, pauseMs: bounds.pauseMs }),
          )
          if (!finals) {
            await Promise.all([locked('ROLLBACK'), target('ROLLBACK')])
            return false
          }
          await this.rename(locked, finals)
          await this.note({ progress: { pauseMs: Math.round(performance.now() - begun) } })
          return true
        }),
      ),
    )
  }

  /** First it is stored that the source may be gone: who finds that stored looks for itself. */
  private async rename(locked: Send, finals: readonly string[]): Promise<void> {
    await this.reach('shard-move:before-switching')
    await this.advance({ finals })
    await this.reach('shard-move:after-switching')
    await renameSource(locked, this.move)
    await this.reach('shard-move:before-rename')
    await locked('COMMIT')
    await this.reach('shard-move:after-rename')
  }

  /**
   * Makes sure that no other session can still rename the source: this one has the locks that a rename needs, and the driver before it has
   * lost its session.
   */
  private async settle(): Promise<void> {
    const outcome = await this.atTarget(() =>
      this.atSource(async (send) => {
        const found = await lockTables(send, this.move.tables, this.bounds)
        if (found === 'locked') await send('ROLLBACK')
        return found
      }),
    )
    if (outcome === 'locked')
      this.move = await this.settings.log.advance(this.move, this.settings.driver, { event: 'back' })
    else if (outcome === 'busy') await pause(this.bounds.switchEveryMs, this.settings.signal)
  }

  private async commitEpoch(): Promise<void> {
    await this.confirm()
    await this.settings.host.commitEpoch(this.move)
    await this.reach('shard-move:epoch-committed')
    await this.note({ memory: { isEpochCommitted: true } })
    await this.refresh()
  }

  private async removeReplication(): Promise<void> {
    await this.atTarget(async (send) => {
      await dropSubscription(send, this.move)
      for (const statement of this.move.memory.finals ?? []) await send(statement)
    })
    await this.reach('shard-move:subscription-removed')
    await this.atSource((send) => dropSlots(send, this.move))
    await this.advance()
  }

  /** The source is freed of its slot first of all where the target is gone: a slot keeps WAL until the disk is full. */
  private async removeTarget(): Promise<void> {
    const atTarget = this.options.abandonTarget
      ? Promise.resolve()
      : this.atTarget(async (send) => {
          await dropSubscription(send, this.move)
          if (this.move.memory.isTargetOwn) await dropTarget(send, this.move)
        })
    const [removed] = await Promise.allSettled([atTarget])
    await this.reach('shard-move:target-removed')
    await this.atSource((send) => dropSlots(send, this.move))
    if (removed.status === 'rejected') throw removed.reason
    await this.advance()
  }

  /** Drops what the source has been. */
  async finish(): Promise<ShardMove> {
    await this.reach('shard-move:before-finish')
    await this.atSource((send) => dropSource(send, this.move))
    this.move = await this.settings.log.advance(this.move, this.settings.driver, { event: 'finish' })
    await this.reach('shard-move:after-finish')
    return this.move
  }

  private async advance(memory: ShardMove['memory'] = {}): Promise<void> {
    this.move = await this.settings.log.advance(this.move, this.settings.driver, { event: 'done', memory })
  }

  private note(noted: Parameters<MoveLog['note']>[2]): Promise<void> {
    return this.settings.log.note(this.move.id, this.settings.driver, noted)
  }

  private reach(point: ShardMoveControlPoint): Promise<void> {
    return this.settings.host.points.reach(point, this.move.shard)
  }

  private atSource<T>(work: (send: Send) => Promise<T>): Promise<T> {
    return asOnlyDriver(this.settings.host.node(this.move.from), { move: this.move, confirm: this.confirm }, work)
  }

  private atTarget<T>(work: (send: Send) => Promise<T>): Promise<T> {
    return asOnlyDriver(this.settings.host.node(this.move.to), { move: this.move, confirm: this.confirm }, work)
  }
}

type Effect = Exclude<MoveStep, 'advance' | 'give-up' | 'rest'>

/** undefined where the target was not there in time. */
async function settled<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof ShardedError && error.code === 'SHARD_MOVE_STALLED') return undefined
    throw error
  }
}

const detailsOf = ({ id, shard }: ShardMove) => ({ id, shard })

const stalled = (move: ShardMove, what: string): ShardedError =>
  new ShardedError('SHARD_MOVE_STALLED', `The move of ${move.shard} stands still: ${what}.`, {
    details: detailsOf(move),
  })

const slotLost = (move: ShardMove): ShardedError =>
  new ShardedError(
    'SHARD_MOVE_DIFFERS',
    `The slot or the subscription of the move of ${move.shard} is gone, or WAL that it needs was removed (max_slot_wal_keep_size).`,
    {
      details: detailsOf(move),
    },
  )

const tablesGone = (move: ShardMove): ShardedError =>
  new ShardedError('SHARD_MOVE_DIFFERS', `Tables of ${move.shard} are gone from its source.`, {
    details: detailsOf(move),
  })

const inTheWay = (move: ShardMove): ShardedError =>
  new ShardedError(
    'SHARD_MOVE_REFUSED',
    `The target of ${move.shard} has tables in its place that the move has not made.`,
    {
      details: { ...detailsOf(move), missing: [] },
      fix: 'Cancel the move, and drop them or move them away.',
    },
  )
