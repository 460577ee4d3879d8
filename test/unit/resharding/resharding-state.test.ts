import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { moveStates } from '../../../src/rebalancing/shard-move-state'
import { nextReshardingStep, type ReshardingFacts } from '../../../src/resharding/resharding-state'

const spec = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'spec', 'resharding.md'), 'utf8')

const fresh: ReshardingFacts = {
  lacksBefore: 3,
  isCapturing: false,
  copiedTables: 0,
  tables: 4,
  lacksAfter: 2,
  notes: 9,
  maxNotes: 5,
  isVerified: false,
  renamedSources: 0,
  sources: 2,
  lacksLast: 6,
  isEpochCommitted: false,
}

/** What is done in a state, from its beginning on, as each step brings what it is for. */
const runs: Readonly<Record<string, readonly Partial<ReshardingFacts>[]>> = {
  planned: [{}, { lacksBefore: 0 }, { isCapturing: true }],
  copying: [{}, { copiedTables: 4 }, { lacksAfter: 0 }],
  'catching-up': [{}, { notes: 5 }],
  verifying: [{}, { isVerified: true }],
  switching: [{}, { renamedSources: 1 }, { renamedSources: 2 }, { lacksLast: 0 }, { isEpochCommitted: true }],
  switched: [{}],
  finishing: [{}],
  cancelling: [{}],
}

describe('the steps of a resharding', () => {
  it.each(Object.entries(runs))('of the state %s are those of the spec', (state, changes) => {
    let facts = fresh
    const found = changes.map((change) => {
      facts = { ...facts, ...change }
      return nextReshardingStep(state as (typeof moveStates)[number], facts)
    })
    const line = spec.split('\n').find((one) => one.startsWith(`| \`${state}\``)) ?? ''
    const said = [...(line.split('|')[2] ?? '').matchAll(/`([a-z-]+)`/g)].map(([, step]) => step)
    expect(found.filter((step) => step !== 'advance' && step !== 'rest')).toEqual(said)
  })

  it.each(moveStates.filter((state) => runs[state] === undefined))('of the state %s are none', (state) => {
    expect(nextReshardingStep(state, fresh)).toBe('rest')
  })
})
