import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Measure, meets } from '../../../bench/support/bench'
import { reportPage, textTable } from '../../../bench/support/report'
import { medianOf, spreadOf } from '../../../bench/support/statistics'

const root = join(__dirname, '../../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

const measure: Measure = {
  name: 'a read',
  unit: '× time',
  median: 1.2,
  min: 1,
  max: 1.5,
  rounds: 3,
  detail: '12 ms ÷ 10 ms',
  target: { atMost: 1.1 },
}

describe('the report of the benches', () => {
  it('is the page of the docs', () => {
    const page = reportPage(JSON.parse(read('bench/results/latest.json')), read('bench/notes.md'))
    expect(read('docs/benchmarks.md')).toBe(page)
  })

  it('says of each measure whether it reached its target', () => {
    expect(textTable([measure])).toContain('missed')
    expect(textTable([{ ...measure, median: 1.05 }])).toContain('met')
    expect(meets({ median: 1, target: { atLeast: 1 } })).toBe(true)
    expect(meets({ median: 0.99, target: { atLeast: 1 } })).toBe(false)
    expect(meets({ median: 0.99 })).toBe(true)
  })

  it('takes the middle of the rounds, and both ends', () => {
    expect(medianOf([3, 1, 2])).toBe(2)
    expect(medianOf([4, 1, 2, 3])).toBe(2.5)
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3, rounds: 3 })
  })
})
