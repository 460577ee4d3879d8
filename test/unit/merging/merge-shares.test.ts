import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareRows } from '../../../src/merging/comparator'
import { mergeShares } from '../../../src/merging/merge-sorted'

const byKey = { column: 'k', kind: 'integer', descending: false, nullsFirst: false } as const
const compare = compareRows([byKey])
const compareTotal = compareRows([byKey, { ...byKey, column: 'id' }])

describe.each([
  { what: 'ties are settled', settle: compareTotal },
  { what: 'nothing settles ties', settle: undefined },
])('where $what', ({ settle }) => {
  it('gives the page, or says that it cannot tell', () => {
    const reasons = { told: 0, tie: 0, short: 0 }
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ k: fc.integer({ min: 0, max: settle ? 60 : 400 }), node: fc.integer({ min: 0, max: 2 }) }),
          {
            minLength: 3,
            maxLength: 40,
            size: 'max',
          },
        ),
        fc.nat(6),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 10 }),
        (given, offset, limit, asked) => {
          const rows = given.map((row, id) => ({ ...row, id: (id * 7) % 41 }))
          const sources = [0, 1, 2].map((node) => ({
            rows: rows
              .filter((row) => row.node === node)
              .sort(compare)
              .slice(0, asked),
          }))
          const page = mergeShares({ sources, compare, settle, asked, offset, limit })
          const all = [...rows].sort(settle ?? compare)
          const [seen, last] = [all.slice(0, offset + limit + 1), all[offset + limit - 1]]
          const isTied = !settle && seen.some((row, index) => index > 0 && row.k === seen[index - 1]?.k)
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
    expect(Math.min(reasons.told, reasons.short, ...(settle ? [] : [reasons.tie]))).toBeGreaterThan(100)
  })
})

it('refuses a source that is not sorted', () => {
  const sources = [{ rows: [{ k: 2 }, { k: 1 }] }]
  expect(() => mergeShares({ sources, compare, settle: undefined, asked: 5, offset: 0, limit: 1 })).toThrow(
    expect.objectContaining({ code: 'MERGE_ORDER' }),
  )
})
