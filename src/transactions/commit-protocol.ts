/**
 * What a two-phase commit does next: the pure half of the protocol of `docs/spec/two-phase-commit.md`, which names every
 * state and event, and says what recovery makes of a crash in each. One participant, the decider, is never prepared: it
 * holds the decision row, and its COMMIT is the decision (the last agent of Gray's two-phase commit, "Notes on Data Base
 * Operating Systems", 1978).
 */

export const protocolStates = Object.freeze([
  'open',
  'recording',
  'preparing',
  'deciding',
  'resolving',
  'finishing',
  'undoing',
  'committed',
  'aborted',
  'split',
  'unknown',
] as const)

/** Where a commit is; the last four are its ends. */
export type ProtocolState = (typeof protocolStates)[number]

export const protocolEvents = Object.freeze(['commit', 'done', 'failed', 'lost'] as const)

/**
 * What became of the step that the state stands for: `done` everywhere; `failed`, a server refused or found nothing;
 * `lost`, a connection broke, so that the server's answer is not known.
 */
export type ProtocolEvent = (typeof protocolEvents)[number]

type Row = Readonly<Record<ProtocolEvent, ProtocolState | undefined>>

const row = (commit?: ProtocolState, done?: ProtocolState, failed?: ProtocolState, lost?: ProtocolState): Row =>
  Object.freeze({ commit, done, failed, lost })

/** The total table; undefined: the event cannot come in this state. A test compares it with the one of the spec. */
export const protocolTable: Readonly<Record<ProtocolState, Row>> = Object.freeze({
  open: row('recording'),
  // The decision row is written before anybody is prepared: while its transaction lives, nobody else can decide.
  recording: row(undefined, 'preparing', 'undoing', 'undoing'),
  // Lost: whether it is prepared is not known, and does not matter: the decider has not committed.
  preparing: row(undefined, 'deciding', 'undoing', 'undoing'),
  deciding: row(undefined, 'finishing', 'undoing', 'resolving'),
  // Done: the decision row was found. Failed: it can never come.
  resolving: row(undefined, 'finishing', 'undoing', 'unknown'),
  // Whoever was not reached is finished, or undone, by recovery. Failed: somebody else ended a participant the other way.
  finishing: row(undefined, 'committed', 'split', 'committed'),
  undoing: row(undefined, 'aborted', 'split', 'aborted'),
  committed: row(),
  aborted: row(),
  split: row(),
  unknown: row(),
})

/** @throws RangeError where the event cannot come in this state */
export function nextState(state: ProtocolState, event: ProtocolEvent): ProtocolState {
  const next = protocolTable[state][event]
  if (next === undefined) throw new RangeError(`A commit that is ${state} cannot meet ${event}.`)
  return next
}
