import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compareRows } from '../../../src/merging/comparator'
import { mergeAtAGlance } from '../../../src/merging/merge-at-a-glance'

const compare = compareRows([{ column: 'k', kind: 'integer', descending: false, nullsFirst: false }])

it('gives the page, or says that it cannot tell', () => {
  const reasons = { told: 0, tie: 0, short: 0 }
  fc.assert(
    fc.property(
      fc.array(fc.record({ k: fc.integer({ min: 0, max: 400 }), node: fc.integer({ min: 0, max: 2 }) }), {
        minLength: 3,
        maxLength: 40,
        size: 'max',
      }),
      fc.nat(6),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 10 }),
      (rows, offset, limit, asked) => {
        const sources = [0, 1, 2].map((node) => ({
          rows: rows
            .filter((row) => row.node === node)
            .sort(compare)
            .slice(0, asked),
        }))
        const page = mergeAtAGlance({ sources, compare, asked, offset, limit })
        const all = [...rows].sort(compare)
        const [seen, last] = [all.slice(0, offset + limit + 1), all[offset + limit - 1]]
        const isTied = seen.some((row, index) => index > 0 && row.k === seen[index - 1]?.k)
        const isShort = sources.some(({ rows: own }) => {
          const cut = own.length === asked ? own.at(-1) : undefined
          return cut && (!last || cut.k <= last.k)
        })
        if (page) {
          reasons.told++
          expect(isTied).toBe(false)
          expect(page).toEqual(all.slice(offset, offset + limit))
          return
        }
        if (isTied) reasons.tie++
        else reasons.short++
        expect(isTied || isShort).toBe(true)
      },
    ),
    { numRuns: 3000 },
  )
  expect(Math.min(...Object.values(reasons))).toBeGreaterThan(100)
})

it('refuses a source that is not sorted', () => {
  const sources = [{ rows: [{ k: 2 }, { k: 1 }] }]
  expect(() => mergeAtAGlance({ sources, compare, asked: 5, offset: 0, limit: 1 })).toThrow(
    expect.objectContaining({ code: 'MERGE_ORDER' }),
  )
})
