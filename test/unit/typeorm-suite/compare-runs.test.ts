import { describe, expect, it } from 'vitest'
import { compareRuns } from '../../typeorm-suite/compare-runs'
import { testRun } from '../../typeorm-suite/test-run'

const lines = (...list: readonly object[]): string => list.map((line) => `${JSON.stringify(line)}\n`).join('')
const file = 'test/functional/a.test.js'
const error = { name: 'Error', message: 'no' }

describe('a run of TypeORM’s tests', () => {
  it('numbers tests of one title, and gives those that a failed hook kept from running the hook’s error', () => {
    const run = testRun(
      lines(
        { file, title: 'reads', state: 'planned' },
        { file, title: 'reads', state: 'planned' },
        { file, title: 'writes', state: 'planned' },
        { file, title: 'reads', state: 'passed' },
        { file, title: 'reads', state: 'failed', error },
        { file, title: '"after each" hook', state: 'hook failed', error: { ...error, message: 'hook' } },
        { state: 'ended' },
      ),
      'log',
    )
    expect([...run.outcomes]).toEqual([
      ['functional/a.test.ts › reads', { state: 'passed' }],
      ['functional/a.test.ts › reads (2)', { state: 'failed', error }],
      ['functional/a.test.ts › writes', { state: 'not run', error: { ...error, message: 'hook' } }],
    ])
    expect(run.isCut).toBe(false)
  })

  it('is cut where the process ended before its tests', () => {
    const run = testRun(lines({ file, title: 'reads', state: 'planned' }), 'out of memory')
    expect(run).toMatchObject({ isCut: true, log: 'out of memory' })
    expect([...run.outcomes.values()]).toEqual([{ state: 'not run' }])
  })
})

describe('the comparison of a plain and a sharded run', () => {
  it('counts what passes plain, and tells what fails sharded, known or not, from what passes again', () => {
    const plain = new Map([
      ['a', { state: 'passed' }],
      ['b', { state: 'passed' }],
      ['c', { state: 'passed' }],
      ['d', { state: 'failed', error }],
      ['e', { state: 'passed' }],
      ['f', { state: 'passed' }],
    ] as const)
    const sharded = new Map([
      ['a', { state: 'passed' }],
      ['b', { state: 'failed', error }],
      ['c', { state: 'failed', error }],
      ['d', { state: 'failed', error }],
      ['f', { state: 'passed' }],
    ] as const)
    const comparison = compareRuns(
      plain,
      sharded,
      new Map([
        ['c', 'asserts an internal'],
        ['f', 'mended since'],
        ['g', 'not run'],
      ]),
    )
    expect(comparison).toEqual({
      plainPassed: 5,
      shardedPassed: 2,
      unexpected: [
        { test: 'b', error },
        { test: 'e', error: undefined },
      ],
      known: ['c'],
      outdated: ['f'],
    })
  })
})
