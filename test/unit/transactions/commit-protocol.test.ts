import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  nextState,
  type ProtocolState,
  protocolEvents,
  protocolStates,
  protocolTable,
} from '../../../src/transactions/commit-protocol'

const spec = readFileSync(join(__dirname, '../../../docs/spec/two-phase-commit.md'), 'utf8')
const ends: readonly ProtocolState[] = ['committed', 'aborted', 'split', 'unknown']

/** The rows of the spec's tables: the words of their cells. */
const rows = spec
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )

describe('the commit protocol', () => {
  it('has the table of the spec', () => {
    const written = rows.filter((cells) => cells.length === protocolEvents.length + 1)
    const ours = protocolStates.map((state) => [
      state,
      ...protocolEvents.map((event) => protocolTable[state][event] ?? '–'),
    ])
    expect(written).toEqual(ours)
  })

  it('has every state and event described, and recovery after a crash in each', () => {
    const described = rows.map(([first = '']) => first)
    for (const word of [...protocolStates, ...protocolEvents]) expect(described).toContain(word)
    const afterCrash = rows.filter((cells) => cells.length === 3).flatMap(([first = '']) => first.split(', '))
    for (const state of protocolStates) expect(afterCrash.filter((one) => one === state).length).toBeGreaterThan(1)
  })

  it('comes to an end from every state, whatever happens, without coming to one twice', () => {
    const walk = (state: ProtocolState, path: readonly ProtocolState[]): void => {
      expect(path).not.toContain(state)
      const next = protocolEvents.flatMap((event) => protocolTable[state][event] ?? [])
      if (next.length === 0) expect(ends).toContain(state)
      for (const one of next) walk(one, [...path, state])
    }
    walk('open', [])
  })

  it('never commits but by the decision, and never aborts after it', () => {
    const reach = (state: ProtocolState): ReadonlySet<ProtocolState> => {
      const next = protocolEvents.flatMap((event) => protocolTable[state][event] ?? [])
      return new Set([state, ...next.flatMap((one) => [...reach(one)])])
    }
    expect([...reach('finishing')].sort()).toEqual(['committed', 'finishing', 'split'])
    expect([...reach('undoing')].sort()).toEqual(['aborted', 'split', 'undoing'])
  })

  it('refuses an event that cannot come', () => {
    expect(() => nextState('committed', 'done')).toThrow('A commit that is committed cannot meet done.')
  })
})
