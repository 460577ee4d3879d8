import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isCancellable,
  type MoveFacts,
  type MoveState,
  moveEvents,
  moveStates,
  moveTable,
  nextMoveState,
  nextStep,
} from '../../../src/rebalancing/shard-move-state'
import { shardMoveControlPoints } from '../../../src/transactions/control-point'

const spec = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'spec', 'shard-move.md'), 'utf8')

/** The rows of the spec's table whose head begins so. */
function tableOf(head: string): readonly (readonly string[])[] {
  const lines = spec.split('\n')
  const from = lines.findIndex((line) => line.startsWith(head))
  const rows = lines.slice(from + 2)
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith('|')),
    )
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
}

const fresh: MoveFacts = {
  source: { hasLeft: false, hasPublication: false, hasSlot: false, isSlotLost: false },
  target: { lacksBeforeCopy: 3, subscription: 'none', copiedTables: 0, tables: 0, lacksAfterCopy: 4, hasLeft: false },
  wayBack: { isWanted: false, hasSlot: false, isSlotLost: false, isPublishing: false, subscription: 'none' },
  isVerified: false,
  isEpochCommitted: false,
  isReturnCommitted: false,
}
const replicated: MoveFacts = {
  ...fresh,
  source: { hasLeft: false, hasPublication: true, hasSlot: true, isSlotLost: false },
  target: {
    lacksBeforeCopy: 0,
    subscription: 'enabled',
    copiedTables: 2,
    tables: 2,
    lacksAfterCopy: 0,
    hasLeft: false,
  },
}
const atSource = (facts: MoveFacts, source: Partial<MoveFacts['source']>): MoveFacts => ({
  ...facts,
  source: { ...facts.source, ...source },
})
const atTarget = (facts: MoveFacts, target: Partial<MoveFacts['target']>): MoveFacts => ({
  ...facts,
  target: { ...facts.target, ...target },
})

const withWayBack = (facts: MoveFacts, wayBack: Partial<MoveFacts['wayBack']>): MoveFacts => ({
  ...facts,
  wayBack: { ...facts.wayBack, isWanted: true, hasSlot: true, ...wayBack },
})
const left = atSource(fresh, { hasLeft: true })
const followed = withWayBack(left, { isPublishing: true, subscription: 'enabled' })
const gone = atTarget(followed, { hasLeft: true })

describe('the states of a move', () => {
  it('are those of the spec, which names all of them', () => {
    expect(tableOf('| state ').map(([state]) => state)).toEqual(moveStates)
    const wanted = moveStates.map((state) => [state, ...moveEvents.map((event) => moveTable[state][event] ?? '–')])
    expect(tableOf('| from ')).toEqual(wanted)
  })

  it('refuse an event that cannot come', () => {
    expect(() => nextMoveState('switching', 'cancel')).toThrow(RangeError)
    expect(moveStates.filter(isCancellable)).toEqual(['planned', 'copying', 'catching-up', 'verifying', 'reverting'])
  })
})

describe('the next step', () => {
  const cases: readonly (readonly [state: MoveState, facts: MoveFacts, step: string])[] = [
    ['planned', fresh, 'make-tables'],
    ['planned', atTarget(fresh, { lacksBeforeCopy: 0 }), 'publish'],
    ['planned', atSource(atTarget(fresh, { lacksBeforeCopy: 0 }), { hasPublication: true }), 'reserve-slot'],
    ['planned', atTarget(replicated, { subscription: 'none' }), 'subscribe'],
    // A driver has died after it had subscribed: the numbers are stored once more.
    ['planned', atTarget(replicated, { subscription: 'disabled' }), 'subscribe'],
    ['copying', atTarget(replicated, { subscription: 'disabled' }), 'enable'],
    ['copying', atTarget(replicated, { copiedTables: 1 }), 'await-copy'],
    ['copying', atTarget(replicated, { lacksAfterCopy: 1 }), 'make-indexes'],
    ['copying', replicated, 'advance'],
    ['copying', atSource(replicated, { hasSlot: false }), 'give-up'],
    ['catching-up', replicated, 'await-lag'],
    ['catching-up', atSource(replicated, { isSlotLost: true }), 'give-up'],
    ['verifying', replicated, 'verify'],
    ['verifying', { ...replicated, isVerified: true }, 'switch'],
    ['verifying', atTarget(replicated, { subscription: 'none' }), 'give-up'],
    ['switching', replicated, 'settle'],
    ['switching', atSource(replicated, { hasLeft: true }), 'commit-epoch'],
    ['switching', { ...atSource(replicated, { hasLeft: true }), isEpochCommitted: true }, 'remove-replication'],
    ['verifying', withWayBack(replicated, { hasSlot: false }), 'reserve-way-back'],
    ['verifying', withWayBack(replicated, { isSlotLost: true }), 'reserve-way-back'],
    // A switch was given up after the tables were published.
    ['verifying', { ...withWayBack(replicated, { isPublishing: true }), isVerified: true }, 'reserve-way-back'],
    ['verifying', { ...withWayBack(replicated, {}), isVerified: true }, 'switch'],
    ['switched', replicated, 'rest'],
    ['switched', withWayBack(left, { isPublishing: true }), 'follow'],
    ['switched', withWayBack(left, { subscription: 'disabled' }), 'follow'],
    ['switched', followed, 'rest'],
    ['switched', withWayBack(left, { isSlotLost: true }), 'rest'],
    ['finishing', fresh, 'finish'],
    ['reverting', followed, 'verify-back'],
    ['reverting', { ...followed, isVerified: true }, 'switch-back'],
    ['reverting', withWayBack(followed, { isSlotLost: true }), 'give-up'],
    ['reverting', withWayBack(followed, { subscription: 'none' }), 'give-up'],
    ['switching-back', followed, 'settle-back'],
    ['switching-back', gone, 'open-source'],
    ['switching-back', atSource(gone, { hasLeft: false }), 'commit-return'],
    ['switching-back', { ...atSource(gone, { hasLeft: false }), isReturnCommitted: true }, 'advance'],
    ['clearing', fresh, 'clear'],
    ['reverted', fresh, 'rest'],
    ['cancelling', fresh, 'remove-target'],
    ['done', fresh, 'rest'],
    ['cancelled', fresh, 'rest'],
  ]
  it.each(cases)('of a move that is %s (%#)', (state, facts, step) => {
    expect(nextStep(state, facts)).toBe(step)
  })

  it('never renames or forgets a source whose rows were not compared, and commits no epoch before the source is gone', () => {
    const facts = fc.record({
      source: fc.record({
        hasLeft: fc.boolean(),
        hasPublication: fc.boolean(),
        hasSlot: fc.boolean(),
        isSlotLost: fc.boolean(),
      }),
      target: fc.record({
        lacksBeforeCopy: fc.nat(2),
        subscription: fc.constantFrom('none' as const, 'disabled' as const, 'enabled' as const),
        copiedTables: fc.nat(2),
        tables: fc.nat(2),
        lacksAfterCopy: fc.nat(2),
        hasLeft: fc.boolean(),
      }),
      wayBack: fc.record({
        isWanted: fc.boolean(),
        hasSlot: fc.boolean(),
        isSlotLost: fc.boolean(),
        isPublishing: fc.boolean(),
        subscription: fc.constantFrom('none' as const, 'disabled' as const, 'enabled' as const),
      }),
      isVerified: fc.boolean(),
      isEpochCommitted: fc.boolean(),
      isReturnCommitted: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.constantFrom(...moveStates), facts, (state, found) => {
        const step = nextStep(state, found)
        if (step === 'switch')
          expect(found).toMatchObject({ isVerified: true, source: { hasSlot: true, isSlotLost: false } })
        if (step === 'commit-epoch' || step === 'remove-replication') expect(found.source.hasLeft).toBe(true)
        if (step === 'remove-replication') expect(found.isEpochCommitted).toBe(true)
        if (step === 'switch' && found.wayBack.isWanted)
          expect(found.wayBack).toMatchObject({ hasSlot: true, isSlotLost: false, isPublishing: false })
        if (step === 'switch-back')
          expect(found).toMatchObject({ isVerified: true, wayBack: { hasSlot: true, isSlotLost: false } })
        // Two places never take writes.
        if (step === 'open-source' || step === 'commit-return') expect(found.target.hasLeft).toBe(true)
        if (step === 'commit-return') expect(found.source.hasLeft).toBe(false)
        if (step === 'remove-target') expect(state).toBe('cancelling')
        if (step !== 'rest' && step !== 'advance' && step !== 'give-up')
          expect(shardMoveControlPoints).toEqual(
            expect.arrayContaining([`shard-move:before-${step}`, `shard-move:after-${step}`]),
          )
      }),
    )
  })
})
