/**
 * What a move of a shard does next: the pure half of the machine of `docs/spec/shard-move.md`, which names every state and event, and
 * says what another process finds and does after a crash in each.
 */

export const moveStates = Object.freeze([
  'planned',
  'copying',
  'catching-up',
  'verifying',
  'switching',
  'switched',
  'finishing',
  'done',
  'reverting',
  'switching-back',
  'clearing',
  'reverted',
  'cancelling',
  'cancelled',
] as const)

/** Where a move is. `done`, `reverted` and `cancelled` are its ends. */
export type MoveState = (typeof moveStates)[number]

export const moveEvents = Object.freeze(['done', 'back', 'cancel', 'finish', 'revert'] as const)

/**
 * `done`: what the state stands for is done. `back`: a switch has ended, and the shard has not left its place. `cancel`, `finish` and
 * `revert`: somebody has asked for it.
 */
export type MoveEvent = (typeof moveEvents)[number]

type Row = Readonly<Record<MoveEvent, MoveState | undefined>>

const row = (to: Partial<Record<MoveEvent, MoveState>> = {}): Row =>
  Object.freeze({ done: undefined, back: undefined, cancel: undefined, finish: undefined, revert: undefined, ...to })

/** The total table; undefined: the event cannot come in this state. A test compares it with the one of the spec. */
export const moveTable: Readonly<Record<MoveState, Row>> = Object.freeze({
  planned: row({ done: 'copying', cancel: 'cancelling' }),
  copying: row({ done: 'catching-up', cancel: 'cancelling' }),
  'catching-up': row({ done: 'verifying', cancel: 'cancelling' }),
  verifying: row({ done: 'switching', cancel: 'cancelling' }),
  // Once it is stored, the shard may leave its place at any moment: who cancels must first know that it can no longer do so.
  switching: row({ done: 'switched', back: 'verifying' }),
  switched: row({ finish: 'finishing', revert: 'reverting' }),
  finishing: row({ done: 'done' }),
  done: row(),
  reverting: row({ done: 'switching-back', cancel: 'switched', finish: 'finishing' }),
  'switching-back': row({ done: 'clearing', back: 'reverting' }),
  clearing: row({ done: 'reverted' }),
  reverted: row(),
  cancelling: row({ done: 'cancelled' }),
  cancelled: row(),
})

/** @throws RangeError where the event cannot come in this state */
export function nextMoveState(state: MoveState, event: MoveEvent): MoveState {
  const next = moveTable[state][event]
  if (next === undefined) throw new RangeError(`A move that is ${state} cannot meet ${event}.`)
  return next
}

/** Whether a move may be cancelled. */
export const isCancellable = (state: MoveState): boolean => moveTable[state].cancel !== undefined

/** Whether a move has met its end: another one of the shard may begin. */
export const isOver = (state: MoveState): boolean => Object.values(moveTable[state]).every((next) => next === undefined)

/** Whether a move may be finished, or is about to be. */
export const canFinish = (state: MoveState): boolean => moveTable[state].finish !== undefined || state === 'finishing'

/** States of a move that goes back, when it has begun to. */
const goingBack: ReadonlySet<MoveState> = new Set(['reverting', 'switching-back', 'clearing'])

/** Whether a move may be reverted, or is about to be. */
export const canRevert = (state: MoveState): boolean => moveTable[state].revert !== undefined || goingBack.has(state)

/** Whether the shard may be between its places: it leaves one of them, or has left it. */
export const isBetweenPlaces = (state: MoveState): boolean => moveTable[state].back !== undefined

/** What two databases and the driver know of a move. All of it is looked at anew before each step. */
export interface MoveFacts {
  readonly source: {
    /** Nobody reads or writes its tables any more: they are renamed, or closed. */
    readonly hasLeft: boolean
    readonly hasPublication: boolean
    readonly hasSlot: boolean
    /** The server has removed WAL that the slot needs. */
    readonly isSlotLost: boolean
  }
  readonly target: {
    /** Statements that are missing before rows can be copied. */
    readonly lacksBeforeCopy: number
    readonly subscription: 'none' | 'disabled' | 'enabled'
    /** Tables whose rows are copied, of all that move. */
    readonly copiedTables: number
    readonly tables: number
    readonly lacksAfterCopy: number
    /** Its tables have left their place again: the shard has gone back. */
    readonly hasLeft: boolean
  }
  readonly wayBack: WayBackFacts
  /** The driver has seen every row alike on both sides, but for a few that it knows. */
  readonly isVerified: boolean
  /** The new place of the shard is in the catalog. */
  readonly isEpochCommitted: boolean
  /** The old place is in the catalog again. */
  readonly isReturnCommitted: boolean
}

/** What the old place follows the new one by. */
export interface WayBackFacts {
  readonly isWanted: boolean
  readonly hasSlot: boolean
  readonly isSlotLost: boolean
  /** The tables are in its publication: all that is written to the new place from then on is sent. */
  readonly isPublishing: boolean
  readonly subscription: 'none' | 'disabled' | 'enabled'
}

/** One thing that a driver does. */
export type MoveStep =
  | 'make-tables'
  | 'publish'
  | 'reserve-slot'
  | 'subscribe'
  | 'enable'
  | 'await-copy'
  | 'make-indexes'
  | 'await-lag'
  | 'reserve-way-back'
  | 'verify'
  | 'switch'
  | 'settle'
  | 'commit-epoch'
  | 'remove-replication'
  | 'follow'
  | 'finish'
  | 'verify-back'
  | 'switch-back'
  | 'settle-back'
  | 'open-source'
  | 'commit-return'
  | 'clear'
  | 'remove-target'
  /** The state is done: the next one is stored. */
  | 'advance'
  /** The slot is gone, or was lost: what was copied cannot be caught up any more. */
  | 'give-up'
  /** Nothing is to be done until somebody asks. */
  | 'rest'

/** What is to be done next. Each step looks itself at what is there: it may have been done by a driver that has died. */
export function nextStep(state: MoveState, facts: MoveFacts): MoveStep {
  switch (state) {
    case 'planned':
      return prepareStep(facts)
    case 'copying':
      return isBroken(facts) ? 'give-up' : copyStep(facts)
    case 'catching-up':
      return isBroken(facts) ? 'give-up' : 'await-lag'
    case 'verifying':
      if (isBroken(facts)) return 'give-up'
      if (lacksWayBack(facts)) return 'reserve-way-back'
      return facts.isVerified ? 'switch' : 'verify'
    case 'switching':
      return switchStep(facts)
    case 'switched':
      return mayFollow(facts) ? 'follow' : 'rest'
    case 'finishing':
      return 'finish'
    case 'reverting':
      if (isWayBackBroken(facts)) return 'give-up'
      return facts.isVerified ? 'switch-back' : 'verify-back'
    case 'switching-back':
      return switchBackStep(facts)
    case 'clearing':
      return 'clear'
    case 'cancelling':
      return 'remove-target'
    case 'done':
    case 'reverted':
    case 'cancelled':
      return 'rest'
  }
}

/** States in which the databases are not asked what is to be done next: one of them may be gone, or nothing is done. */
const unasked: ReadonlySet<MoveState> = new Set([
  'finishing',
  'done',
  'clearing',
  'reverted',
  'cancelling',
  'cancelled',
])

/** Whether the databases say what is to be done next. */
export const asksNodes = (state: MoveState): boolean => !unasked.has(state)

function prepareStep({ source, target }: MoveFacts): MoveStep {
  if (target.lacksBeforeCopy > 0) return 'make-tables'
  if (!source.hasPublication) return 'publish'
  // It stores the subscription's numbers too, and the next state with them: a driver may have died between the two.
  return source.hasSlot ? 'subscribe' : 'reserve-slot'
}

function copyStep({ target }: MoveFacts): MoveStep {
  if (target.subscription === 'disabled') return 'enable'
  if (target.copiedTables < target.tables) return 'await-copy'
  return target.lacksAfterCopy > 0 ? 'make-indexes' : 'advance'
}

function switchStep({ source, isEpochCommitted }: MoveFacts): MoveStep {
  if (!source.hasLeft) return 'settle'
  return isEpochCommitted ? 'remove-replication' : 'commit-epoch'
}

const isBroken = ({ source, target }: MoveFacts): boolean =>
  !source.hasSlot || source.isSlotLost || target.subscription === 'none'

/** A switch that was given up after its tables were published is not to be tried again with that slot: it sends what still arrives. */
const lacksWayBack = ({ wayBack: { isWanted, hasSlot, isSlotLost, isPublishing } }: MoveFacts): boolean =>
  isWanted && (!hasSlot || isSlotLost || isPublishing)

/** A slot that is lost is reported, and does not keep the move from being finished. */
const mayFollow = ({ wayBack: { isWanted, hasSlot, isSlotLost, subscription } }: MoveFacts): boolean =>
  isWanted && hasSlot && !isSlotLost && subscription !== 'enabled'

const isWayBackBroken = ({ wayBack: { hasSlot, isSlotLost, subscription } }: MoveFacts): boolean =>
  !hasSlot || isSlotLost || subscription === 'none'

function switchBackStep({ source, target, isReturnCommitted }: MoveFacts): MoveStep {
  if (!target.hasLeft) return 'settle-back'
  // Only when nobody can write to the new place any more.
  if (source.hasLeft) return 'open-source'
  return isReturnCommitted ? 'advance' : 'commit-return'
}
