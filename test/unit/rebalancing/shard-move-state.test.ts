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
  source: { isRenamed: false, hasPublication: false, hasSlot: false, isSlotLost: false },
  target: { lacksBeforeCopy: 3, subscription: 'none', copiedTables: 0, tables: 0, lacksAfterCopy: 4 },
  isVerified: false,
  isEpochCommitted: false,
}
const replicated: MoveFacts = {
  ...fresh,
  source: { isRenamed: false, hasPublication: true, hasSlot: true, isSlotLost: false },
  target: { lacksBeforeCopy: 0, subscription: 'enabled', copiedTables: 2, tables: 2, lacksAfterCopy: 0 },
}
const atSource = (facts: MoveFacts, source: Partial<MoveFacts['source']>): MoveFacts => ({
  ...facts,
  source: { ...facts.source, ...source },
})
const atTarget = (facts: MoveFacts, target: Partial<MoveFacts['target']>): MoveFacts => ({
  ...facts,
  target: { ...facts.target, ...target },
})

describe('the states of a move', () => {
  it('are those of the spec, which names all of them', () => {
    expect(tableOf('| state ').map(([state]) => state)).toEqual(moveStates)
    const wanted = moveStates.map((state) => [state, ...moveEvents.map((event) => moveTable[state][event] ?? '–')])
    expect(tableOf('| from ')).toEqual(wanted)
  })

  it('refuse an event that cannot come', () => {
    expect(() => nextMoveState('switching', 'cancel')).toThrow(RangeError)
    expect(moveStates.filter(isCancellable)).toEqual(['planned', 'copying', 'catching-up', 'verifying'])
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
    ['switching', atSource(replicated, { isRenamed: true }), 'commit-epoch'],
    ['switching', { ...atSource(replicated, { isRenamed: true }), isEpochCommitted: true }, 'remove-replication'],
    ['switched', replicated, 'rest'],
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
        isRenamed: fc.boolean(),
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
      }),
      isVerified: fc.boolean(),
      isEpochCommitted: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.constantFrom(...moveStates), facts, (state, found) => {
        const step = nextStep(state, found)
        if (step === 'switch')
          expect(found).toMatchObject({ isVerified: true, source: { hasSlot: true, isSlotLost: false } })
        if (step === 'commit-epoch' || step === 'remove-replication') expect(found.source.isRenamed).toBe(true)
        if (step === 'remove-replication') expect(found.isEpochCommitted).toBe(true)
        if (step === 'remove-target') expect(state).toBe('cancelling')
        if (step !== 'rest' && step !== 'advance' && step !== 'give-up')
          expect(shardMoveControlPoints).toEqual(
            expect.arrayContaining([`shard-move:before-${step}`, `shard-move:after-${step}`]),
          )
      }),
    )
  })
})
