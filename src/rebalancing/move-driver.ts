import { type CopyLook, lookAtCopy } from './copy-progress'
import { dropTarget, makeBesideWorker, makeTables } from './make-target'
import { inTheWay, slotLost, stalled, tablesGone } from './move-errors'
import { MoveSession, type SessionSettings } from './move-session'
import { onConnection, pause, type Send } from './on-node'
import { bothStructures, readMoveFacts } from './read-move-facts'
import {
  dropSlots,
  dropSubscription,
  enableSubscription,
  publish,
  reserveSlot,
  subscribe,
  tablePath,
} from './replication'
import { replicationName, type ShardMove, wayBack } from './shard-move'
import { asksNodes, type MoveFacts, type MoveStep, nextStep } from './shard-move-state'
import { missingStatements } from './shard-structure'
import { lockTables, settleTarget } from './switch-shard'
import { SwitchTries, settled } from './switch-tries'
import { type Suspects, verifyRows } from './verify-rows'
import { WayBackSteps } from './way-back-steps'

/** Facts of states in which the databases are not asked: what is done there needs none. */
const noFacts: MoveFacts = {
  source: { hasLeft: false, hasPublication: false, hasSlot: false, isSlotLost: false },
  target: { lacksBeforeCopy: 0, subscription: 'none', copiedTables: 0, tables: 0, lacksAfterCopy: 0, hasLeft: false },
  wayBack: { isWanted: false, hasSlot: false, isSlotLost: false, isPublishing: false, subscription: 'none' },
  isVerified: false,
  isEpochCommitted: false,
  isReturnCommitted: false,
}

/** Does the steps of one move, as long as it is the move's driver. What it remembers is lost with it; all else is stored, or can be looked at. */
export class MoveDriver {
  private suspects: Suspects | undefined
  private readonly session: MoveSession
  private readonly tries: SwitchTries
  private readonly way: WayBackSteps

  constructor(
    move: ShardMove,
    settings: SessionSettings,
    private readonly options: { readonly abandonTarget?: boolean } = {},
  ) {
    this.session = new MoveSession(move, settings)
    this.tries = new SwitchTries(this.session)
    this.way = new WayBackSteps(this.session, this.tries)
  }

  get id(): string {
    return this.session.move.id
  }

  /** Reads the move as it is stored: a step that failed may have stored more than this driver was told of. */
  refresh(): Promise<ShardMove> {
    return this.session.refresh()
  }

  /** Does the next step. @returns false where there is none until somebody asks */
  async step(): Promise<boolean> {
    const { host, move, signal } = this.session
    signal.throwIfAborted()
    const facts = asksNodes(move.state)
      ? await readMoveFacts(host, move, { isVerified: this.suspects !== undefined })
      : noFacts
    const step = nextStep(move.state, facts)
    if (step === 'rest') return false
    if (step === 'give-up') throw slotLost(move)
    if (step === 'advance') await this.session.advance()
    else await this.effect(step, facts)
    return true
  }

  private async effect(step: Effect, facts: MoveFacts): Promise<void> {
    await this.session.reach(`shard-move:before-${step}`)
    await this.effects[step](facts)
    await this.session.reach(`shard-move:after-${step}`)
  }

  private readonly effects: Readonly<Record<Effect, (facts: MoveFacts) => Promise<void>>> = {
    'make-tables': () => this.makeTables(),
    publish: () => this.session.atSource((send) => publish(send, this.session.move)),
    'reserve-slot': () => this.session.atSource((send) => reserveSlot(send, this.session.move)),
    subscribe: () => this.subscribe(),
    enable: () => this.session.atTarget(async (send) => void (await enableSubscription(send, this.session.move))),
    'await-copy': () => this.awaitCopy(),
    'make-indexes': () => this.makeIndexes(),
    'await-lag': () => this.awaitLag(),
    verify: () => this.verify(),
    switch: () => this.switch(),
    settle: () => this.settle(),
    'commit-epoch': () => this.commitEpoch(),
    'remove-replication': () => this.removeReplication(),
    'remove-target': () => this.removeTarget(),
    'reserve-way-back': () => this.way.reserve(),
    follow: () => this.way.follow(),
    finish: () => this.way.finish(),
    'verify-back': () => this.verifyBack(),
    'switch-back': () => this.switchBack(),
    'settle-back': () => this.way.settle(),
    'open-source': () => this.way.open(),
    'commit-return': () => this.way.commitReturn(),
    clear: () => this.way.clear({ abandonsTarget: this.options.abandonTarget === true }),
  }

  private async makeTables(): Promise<void> {
    const [source, target] = await bothStructures(this.session.host, this.session.move)
    const statements = missingStatements(source, target, 'before-copy')
    await this.session.atTarget(async (send) => {
      if (!this.session.move.memory.isTargetOwn) {
        if (target.length > 0) throw inTheWay(this.session.move)
        await this.session.note({ memory: { isTargetOwn: true } })
        await this.session.refresh()
      }
      await makeTables(send, statements)
    })
  }

  private async subscribe(): Promise<void> {
    const url = this.session.host.replicationUrl(this.session.move.from)
    const memory = await this.session.atTarget((send) => subscribe(send, { move: this.session.move, url }))
    await this.session.reach('shard-move:subscribed')
    // Stored before a worker runs: from then on there may be slots that only these numbers name.
    await this.session.note({ memory })
    await this.session.advance()
  }

  private async awaitCopy(): Promise<void> {
    const { host, signal } = this.session
    let look: CopyLook | undefined
    let last = { key: '', at: performance.now() }
    for (;;) {
      look = await lookAtCopy(host, this.session.move, look)
      const tables = Object.values(look.tables)
      await this.session.note({ progress: { tables: look.tables } })
      if (tables.every(({ state }) => state === 'copied')) {
        if (await this.isCopied()) return
      }
      const key = JSON.stringify(tables.map(({ state, bytes }) => [state, bytes]))
      if (key !== last.key) last = { key, at: performance.now() }
      else if (performance.now() - last.at > this.session.bounds.stallMs)
        throw stalled(this.session.move, 'the copy gets no further')
      await pause(this.session.bounds.lookEveryMs, signal)
    }
  }

  /** A table whose rows are all there has still to catch up with the others. */
  private async isCopied(): Promise<boolean> {
    const { target } = await readMoveFacts(this.session.host, this.session.move, { isVerified: false })
    return target.copiedTables === target.tables
  }

  private async makeIndexes(): Promise<void> {
    const statements = missingStatements(...(await bothStructures(this.session.host, this.session.move)), 'after-copy')
    for (const statement of statements)
      await this.session.atTarget((send) => makeBesideWorker(send, statement, this.session.bounds))
  }

  private async awaitLag(): Promise<void> {
    const { host, signal } = this.session
    const tables = this.session.move.tables.map(tablePath)
    await this.session.atTarget(async (send) => void (await send(`ANALYZE ${tables.join(', ')}`)))
    let last = { lag: Number.POSITIVE_INFINITY, at: performance.now() }
    for (;;) {
      const { rows } = await host
        .node(this.session.move.from)
        .query(
          `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 AS lag FROM pg_replication_slots WHERE slot_name = $1`,
          [replicationName(this.session.move)],
        )
      const lag = Number(rows[0]?.['lag'])
      await this.session.note({ progress: { lagBytes: lag } })
      if (lag <= this.session.bounds.lagBytes) break
      if (lag < last.lag) last = { lag, at: performance.now() }
      else if (performance.now() - last.at > this.session.bounds.stallMs)
        throw stalled(this.session.move, 'the target does not catch up')
      await pause(this.session.bounds.lookEveryMs, signal)
    }
    await this.session.advance()
  }

  private async verify(): Promise<void> {
    const { host, move, bounds, signal } = this.session
    this.suspects = await verifyRows(host, move, { bounds, signal, note: this.noter() })
  }

  private async verifyBack(): Promise<void> {
    this.suspects = await this.way.verify(this.noter())
  }

  /** Stores how far a comparison is, now and then. */
  private noter(): Parameters<typeof verifyRows>[2]['note'] {
    let noted = 0
    return async (progress) => {
      if (performance.now() - noted < this.session.bounds.lookEveryMs) return
      noted = performance.now()
      await this.session.note({ progress })
    }
  }

  private async switch(): Promise<void> {
    const suspects = this.compared()
    // Writers wait for it: it is not looked first what else there is.
    if (await this.tries.next(() => this.trySwitch(suspects))) await this.effect('commit-epoch', noFacts)
  }

  private async switchBack(): Promise<void> {
    const suspects = this.compared()
    if (await this.tries.next(() => this.way.switch(suspects))) await this.effect('commit-return', noFacts)
  }

  private compared(): Suspects {
    if (this.suspects) return this.suspects
    throw new RangeError('A shard is switched when its rows were compared.')
  }

  /** @returns false where a lock was not to be had, or the target was not there in time: writers go on meanwhile */
  private trySwitch(suspects: Suspects): Promise<boolean> {
    const { session } = this
    return onConnection(session.host.node(session.move.from), (beside) =>
      session.atTarget((target) =>
        session.atSource(async (locked) => {
          const { bounds, move } = session
          const sides = { source: beside, target }
          const tables = await this.tries.prepare(sides, move, [locked, target])
          const begun = performance.now()
          const outcome = await lockTables(locked, tables, bounds)
          if (outcome === 'absent') throw tablesGone(move)
          if (outcome === 'busy') return false
          await session.reach('shard-move:locked')
          const settling = settleTarget({ locked, ...sides }, move, { suspects, pauseMs: bounds.pauseMs })
          const left = await settled(settling, [locked, target])
          if (!left) return false
          await this.commitLeave(locked, left)
          await session.note({ progress: { pauseMs: Math.round(performance.now() - begun) } })
          return true
        }),
      ),
    )
  }

  /** First it is stored that the source may be gone: who finds that stored looks for itself. */
  private async commitLeave(locked: Send, memory: ShardMove['memory']): Promise<void> {
    await this.session.reach('shard-move:before-switching')
    await this.session.advance(memory)
    await this.session.reach('shard-move:after-switching')
    await this.session.reach('shard-move:before-rename')
    await locked('COMMIT')
    await this.session.reach('shard-move:after-rename')
  }

  /**
   * Makes sure that no other session can still rename the source: this one has the locks that a rename needs, and the driver before it has
   * lost its session.
   */
  private async settle(): Promise<void> {
    const outcome = await this.session.atTarget(() =>
      this.session.atSource(async (send) => {
        const found = await lockTables(send, this.session.move.tables, this.session.bounds)
        if (found === 'locked') await send('ROLLBACK')
        return found
      }),
    )
    if (outcome === 'locked') await this.session.advance({}, 'back')
    else if (outcome === 'busy') await pause(this.session.bounds.switchEveryMs, this.session.signal)
  }

  private async commitEpoch(): Promise<void> {
    await this.session.confirm()
    await this.session.host.commitEpoch(this.session.move)
    await this.session.reach('shard-move:epoch-committed')
    await this.session.note({ memory: { isEpochCommitted: true } })
    await this.session.refresh()
  }

  private async removeReplication(): Promise<void> {
    await this.session.atTarget(async (send) => {
      await dropSubscription(send, this.session.move)
      for (const statement of this.session.move.memory.finals ?? []) await send(statement)
    })
    await this.session.reach('shard-move:subscription-removed')
    await this.session.atSource((send) => dropSlots(send, this.session.move))
    await this.session.advance()
  }

  /** The source is freed of its slot first of all where the target is gone: a slot keeps WAL until the disk is full. */
  private async removeTarget(): Promise<void> {
    const atTarget = this.options.abandonTarget
      ? Promise.resolve()
      : this.session.atTarget(async (send) => {
          await dropSubscription(send, this.session.move)
          if (this.session.move.memory.isReversible) await dropSlots(send, wayBack(this.session.move))
          if (this.session.move.memory.isTargetOwn) await dropTarget(send, this.session.move)
        })
    const [removed] = await Promise.allSettled([atTarget])
    await this.session.reach('shard-move:target-removed')
    await this.session.atSource((send) => dropSlots(send, this.session.move))
    if (removed.status === 'rejected') throw removed.reason
    await this.session.advance()
  }
}

type Effect = Exclude<MoveStep, 'advance' | 'give-up' | 'rest'>
