import { randomBytes } from 'node:crypto'
import { OperationEnded } from '../endpoints/cancellation'
import { isServerRefusal, sqlState } from '../endpoints/sql-state'
import { CommitOutcomeUnknownError, PartialCommitError, TransactionAbortedError } from '../errors/transaction-errors'
import { nextState, type ProtocolEvent, type ProtocolState } from './commit-protocol'
import type { ControlPoint } from './control-point'
import { type DecisionLog, keepDecisionMs } from './decision-log'
import { type Participant, shardsOf, within } from './participant'
import {
  askXid,
  asLogin,
  commitRefusal,
  formatPreparedId,
  type PreparedOutcome,
  preparedOutcome,
  resultsOf,
  xidIn,
} from './prepared-transaction'

/** How often a decision is asked for that may still come, before its outcome is called unknown. */
const maxQuestions = 5

/** SQLSTATE of a prepared transaction that is not there (any more): recovery has ended it. */
const undefinedObject = '42704'

/** What a two-phase commit needs besides its participants. */
export interface CommitContext {
  /** @throws RangeError for a node that is none of the data source's */
  log(node: string): DecisionLog
  /** Told of every control point, and waited for. */
  reach(point: ControlPoint, node?: string): Promise<void>
  warn(text: string): void
}

/**
 * Commits two or more participants that have written, all or none: `commit-protocol.ts` says what follows what, this does
 * it. The first is the decider. A participant that cannot be reached after the decision is finished by recovery.
 *
 * @throws CommitOutcomeUnknownError where the decider cannot be asked what it did; PartialCommitError where somebody else
 *   ended a prepared participant against the decision; else, with nothing committed, the error of the participant that
 *   refused, or TransactionAbortedError
 */
export async function commitTwoPhase(participants: readonly Participant[], context: CommitContext): Promise<void> {
  const [decider, ...others] = participants
  if (!decider) return
  const commit = new TwoPhaseCommit(decider, others, context)
  await commit.run()
}

class TwoPhaseCommit {
  private readonly transaction = randomBytes(16).toString('hex')
  private readonly log: DecisionLog
  /** Known to be prepared on its server, each with its transaction id there. */
  private readonly prepared = new Map<Participant, string>()
  /** Ended by somebody else, and not as it was decided, or nobody knows how. */
  private readonly astray = new Map<Participant, PreparedOutcome>()
  /** Its connection was lost: what its server made of the last statement is not known. */
  private readonly doubtful = new Set<Participant>()
  private isDecided = false
  private reason: unknown
  private readonly startedAt = performance.now()

  constructor(
    private readonly decider: Participant,
    private readonly others: readonly Participant[],
    private readonly context: CommitContext,
  ) {
    this.log = context.log(decider.node)
  }

  async run(): Promise<void> {
    await this.context.reach('commit:start')
    let state = nextState('open', 'commit')
    // Bounded: the table has no way back.
    for (let step = this.steps[state]; step; step = this.steps[state]) state = nextState(state, await step())
    if (state === 'committed') return
    if (state === 'unknown') throw this.unknown()
    if (state === 'split') throw this.split()
    throw this.reason
  }

  private readonly steps: Partial<Readonly<Record<ProtocolState, () => Promise<ProtocolEvent>>>> = {
    recording: () => this.attempt(this.decider, () => this.record()),
    preparing: async () =>
      worst(await Promise.all(this.others.map((one) => this.attempt(one, () => this.prepare(one))))),
    deciding: () => this.attempt(this.decider, () => this.decide()),
    resolving: () => this.resolve(),
    finishing: () => this.finish(),
    undoing: () => this.undo(),
  }

  private async record(): Promise<ProtocolEvent> {
    const participants = this.others.map(({ node }) => this.context.log(node).identity)
    await this.log.record((text) => within((cancellation) => this.decider.query(text, undefined, cancellation)), {
      transaction: this.transaction,
      participants,
    })
    await this.context.reach('commit:recorded', this.decider.node)
    return 'done'
  }

  private async prepare(participant: Participant): Promise<ProtocolEvent> {
    await this.context.reach('commit:before-prepare', participant.node)
    const text = `${asLogin} ${askXid} PREPARE TRANSACTION '${this.idOf(participant)}'`
    const results = resultsOf(await within((cancellation) => participant.query(text, undefined, cancellation)))
    // Where a statement had failed, the server rolls back and says so.
    if (results.at(-1)?.command !== 'PREPARE') throw new TransactionAbortedError(participant.node)
    this.prepared.set(participant, xidIn(results))
    await this.context.reach('commit:after-prepare', participant.node)
    return 'done'
  }

  private async decide(): Promise<ProtocolEvent> {
    await this.context.reach('commit:before-decision', this.decider.node)
    const isCommitted = await within((cancellation) => this.decider.commit(cancellation))
    if (!isCommitted) throw new TransactionAbortedError(this.decider.node)
    await this.context.reach('commit:after-decision', this.decider.node)
    return 'done'
  }

  /** The decider's answer to COMMIT was lost: its log has it. */
  private async resolve(): Promise<ProtocolEvent> {
    for (let question = 0; question < maxQuestions; question++) {
      try {
        const decided = await this.log.hasDecided(this.transaction)
        if (decided === undefined) continue
        if (decided) return 'done'
        // Later, recovery of another process may have ended the participants and deleted the row.
        if (performance.now() - this.startedAt > keepDecisionMs / 2) return 'lost'
        this.reason = new TransactionAbortedError(this.decider.node, { cause: this.reason, retryable: true })
        return 'failed'
      } catch (error) {
        this.context.warn(`Node ${this.decider.node} cannot be asked for the outcome of a commit yet. ${String(error)}`)
        await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** question))
      }
    }
    return 'lost'
  }

  private async finish(): Promise<ProtocolEvent> {
    this.isDecided = true
    const events = await Promise.all(this.others.map((one) => this.end(one, 'COMMIT')))
    const event = worst(events)
    if (event === 'done') {
      await this.context.reach('commit:before-forget', this.decider.node)
      this.log.forget(this.transaction)
    }
    return event
  }

  private async undo(): Promise<ProtocolEvent> {
    await this.context.reach('commit:before-undo')
    // A connection in doubt is closed by its holder, which ends a transaction that is still open there.
    const open = [this.decider, ...this.others].filter((one) => one.isOpen && !this.doubtful.has(one))
    const rollbacks = open.map((one) =>
      within((cancellation) => one.rollback(cancellation)).then(
        (): ProtocolEvent => 'done',
        (): ProtocolEvent => 'lost',
      ),
    )
    const prepared = this.others.filter((one) => this.prepared.has(one) || this.doubtful.has(one))
    const events = await Promise.all([...rollbacks, ...prepared.map((one) => this.end(one, 'ROLLBACK'))])
    await this.context.reach('commit:after-undo')
    return worst(events)
  }

  /** Ends a participant that is prepared, or may be; on another connection where its own is gone. */
  private async end(participant: Participant, verb: 'COMMIT' | 'ROLLBACK'): Promise<ProtocolEvent> {
    const { node } = participant
    const text = `${verb} PREPARED '${this.idOf(participant)}'`
    if (verb === 'COMMIT') await this.context.reach('commit:before-finish', node)
    const log = this.context.log(node)
    // PREPARE TRANSACTION gave the participant's server back to a pooler: others may hold all of them, and wait for its locks.
    const isHeld = this.prepared.has(participant) && !log.isDirect
    const ways = [
      ...(isHeld ? [() => within((cancellation) => participant.query(text, undefined, cancellation))] : []),
      () => log.query(text),
    ]
    for (const way of ways) {
      try {
        await way()
        if (verb === 'COMMIT') await this.context.reach('commit:after-finish', node)
        return 'done'
      } catch (error) {
        if (sqlState(error) === undefinedObject) return this.endedBefore(participant, verb)
        this.context.warn(`Node ${node} has not ended a prepared transaction yet; recovery will. ${String(error)}`)
      }
    }
    return 'lost'
  }

  /** It is not there any more. Recovery was faster, or, of a participant in doubt, it had not been prepared; or somebody ended it by hand. */
  private async endedBefore(participant: Participant, verb: 'COMMIT' | 'ROLLBACK'): Promise<ProtocolEvent> {
    const xid = this.prepared.get(participant)
    if (xid === undefined) return 'done'
    const outcome = await preparedOutcome(this.context.log(participant.node), xid)
    if (outcome === (verb === 'COMMIT' ? 'committed' : 'aborted')) return 'done'
    this.astray.set(participant, outcome)
    return 'failed'
  }

  private idOf({ node }: Participant): string {
    const { transaction } = this
    return formatPreparedId({ decider: this.log.identity, transaction, participant: this.context.log(node).identity })
  }

  /** Turns the error of a step into its event; the first one is the commit's own. */
  private async attempt(participant: Participant, step: () => Promise<ProtocolEvent>): Promise<ProtocolEvent> {
    try {
      return await step()
    } catch (thrown) {
      const error = thrown instanceof OperationEnded ? thrown.reason : thrown
      this.reason ??= commitRefusal(error, participant.node)
      // Only what the server itself refused, and lived on, is known not to have happened.
      if (error instanceof TransactionAbortedError) return 'failed'
      if (isServerRefusal(error) && !participant.hasEnded) return 'failed'
      this.doubtful.add(participant)
      return 'lost'
    }
  }

  /** Prepared transactions were ended by hand against the decision: some participants have committed and others have not. */
  private split(): PartialCommitError {
    const all = [this.decider, ...this.others]
    const decision: PreparedOutcome = this.isDecided ? 'committed' : 'aborted'
    const outcomeOf = (one: Participant): PreparedOutcome => this.astray.get(one) ?? decision
    const those = (outcome: PreparedOutcome) => shardsOf(all.filter((one) => outcomeOf(one) === outcome))
    return new PartialCommitError(
      { committed: those('committed'), failed: those('aborted'), unknown: those('unknown') },
      this.reason ?? new Error('Somebody else ended a prepared transaction, and not as it was decided.'),
    )
  }

  private unknown(): CommitOutcomeUnknownError {
    const { decider, others, transaction, reason } = this
    const shards = shardsOf([decider, ...others])
    return new CommitOutcomeUnknownError(
      `Node ${decider.node} did not acknowledge COMMIT of a transaction over ${shards.join(', ')}; it is committed on all of them or on none.`,
      { details: { node: decider.node, shards, transaction }, cause: reason },
    )
  }
}

/** What all answers together say. */
function worst(events: readonly ProtocolEvent[]): ProtocolEvent {
  if (events.includes('failed')) return 'failed'
  return events.includes('lost') ? 'lost' : 'done'
}
