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
  'done',
  'cancelling',
  'cancelled',
] as const)

/** Where a move is. `done` and `cancelled` are its ends. */
export type MoveState = (typeof moveStates)[number]

export const moveEvents = Object.freeze(['done', 'back', 'cancel', 'finish'] as const)

/**
 * `done`: what the state stands for is done. `back`: a switch has ended without the source being renamed. `cancel` and `finish`: somebody
 * has asked for it.
 */
export type MoveEvent = (typeof moveEvents)[number]

type Row = Readonly<Record<MoveEvent, MoveState | undefined>>

const row = (to: Partial<Record<MoveEvent, MoveState>> = {}): Row =>
  Object.freeze({ done: undefined, back: undefined, cancel: undefined, finish: undefined, ...to })

/** The total table; undefined: the event cannot come in this state. A test compares it with the one of the spec. */
export const moveTable: Readonly<Record<MoveState, Row>> = Object.freeze({
  planned: row({ done: 'copying', cancel: 'cancelling' }),
  copying: row({ done: 'catching-up', cancel: 'cancelling' }),
  'catching-up': row({ done: 'verifying', cancel: 'cancelling' }),
  verifying: row({ done: 'switching', cancel: 'cancelling' }),
  // Once it is stored, the source may be renamed at any moment: who cancels must first know that it can no longer be.
  switching: row({ done: 'switched', back: 'verifying' }),
  switched: row({ finish: 'done' }),
  done: row(),
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

/** What two databases and the driver know of a move. All of it is looked at anew before each step. */
export interface MoveFacts {
  readonly source: {
    /** Its tables have left their place. */
    readonly isRenamed: boolean
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
  }
  /** The driver has seen every row alike on both sides, but for a few that it knows. */
  readonly isVerified: boolean
  /** The new place of the shard is in the catalog. */
  readonly isEpochCommitted: boolean
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
  | 'verify'
  | 'switch'
  | 'settle'
  | 'commit-epoch'
  | 'remove-replication'
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
      return facts.isVerified ? 'switch' : 'verify'
    case 'switching':
      return switchStep(facts)
    case 'cancelling':
      return 'remove-target'
    case 'switched':
    case 'done':
    case 'cancelled':
      return 'rest'
  }
}

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
  if (!source.isRenamed) return 'settle'
  return isEpochCommitted ? 'remove-replication' : 'commit-epoch'
}

const isBroken = ({ source, target }: MoveFacts): boolean =>
  !source.hasSlot || source.isSlotLost || target.subscription === 'none'
