import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compareRows } from '../../../src/merging/comparator'
import { mergeLateTies } from '../../../src/merging/merge-late-ties'
import type { Row } from '../../../src/merging/row'

const term = (column: string) => ({ column, kind: 'integer', descending: false, nullsFirst: false }) as const
const compare = compareRows([term('k')])
const compareTotal = compareRows([term('k'), term('id')])

/** What a node sends: its first rows by `k`, ties as they happen to lie. */
const sourceOf = (rows: readonly Row[], count: number) => ({
  rows: rows
    .map((row, place) => ({ row, place }))
    .sort((a, b) => compare(a.row, b.row) || a.place - b.place)
    .slice(0, count)
    .map(({ row }) => row),
})

it('gives the page of the total order, or says that a cut went through a tie', () => {
  let told = 0
  let cut = 0
  fc.assert(
    fc.property(
      fc.array(fc.record({ k: fc.integer({ min: 0, max: 5 }), node: fc.integer({ min: 0, max: 2 }) }), {
        minLength: 8,
        maxLength: 30,
        size: 'max',
      }),
      fc.integer({ min: 0, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(1000),
      (made, offset, limit, salt) => {
        const rows = made.map(({ k, node }, index) => ({ k, node, id: (index * 7919 + salt) % 1009 }))
        const sources = [0, 1, 2].map((node) =>
          sourceOf(
            rows.filter((row) => row.node === node),
            offset + limit + 1,
          ),
        )
        const page = mergeLateTies({ sources, compare, compareTotal, offset, limit })
        const expected = [...rows].sort(compareTotal)
        if (page) {
          told++
          expect(page).toEqual(expected.slice(offset, offset + limit))
          return
        }
        cut++
        const last = expected[offset + limit - 1]
        const next = expected[offset + limit]
        expect(last && next && compare(last, next)).toBe(0)
      },
    ),
    { numRuns: 2000 },
  )
  expect(told).toBeGreaterThan(200)
  expect(cut).toBeGreaterThan(20)
})

it('refuses a source that is not sorted', () => {
  const sources = [
    {
      rows: [
        { k: 2, id: 1 },
        { k: 1, id: 2 },
      ],
    },
  ]
  expect(() => mergeLateTies({ sources, compare, compareTotal, offset: 0, limit: 1 })).toThrow(
    expect.objectContaining({ code: 'MERGE_ORDER' }),
  )
})
