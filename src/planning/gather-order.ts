import type { TableLink } from '../routing/gather-analysis'

/** The most keys by which another table is asked for fewer rows. */
export const maxGatherKeys = 10_000

/** A table with fewer rows than this is read whole: to ask for keys saves nothing. */
const fewRows = 100

/** Rows that a key is taken to find. It decides only what is read first. */
const rowsOfKey = 30

/** A table to be read, and the tables that are read before it by whose values its rows are asked for. */
export interface OrderedTable {
  readonly table: number
  readonly links: readonly TableLink[]
}

/**
 * In which order the tables of a gather are read: small ones first, and then those whose rows the values of small ones leave few
 * of.
 *
 * @param rows how many rows each table is expected to give
 */
export function gatherOrder(rows: readonly number[], links: readonly TableLink[]): readonly OrderedTable[] {
  const ordered: OrderedTable[] = []
  const expected = new Map<number, number>()
  const left = new Set(rows.keys())
  while (left.size > 0) {
    const candidates = [...left].map((table) => {
      const all = rows[table] ?? 0
      const usable = links.filter(
        (link) => link.table === table && (expected.get(link.by) ?? Infinity) <= maxGatherKeys,
      )
      const asked = all < fewRows ? [] : usable
      const reduced = Math.min(all, ...asked.map(({ by }) => (expected.get(by) ?? all) * rowsOfKey))
      return { table, links: asked, rows: reduced }
    })
    const next = candidates.reduce((best, one) => (one.rows < best.rows ? one : best))
    expected.set(next.table, next.rows)
    left.delete(next.table)
    ordered.push(Object.freeze({ table: next.table, links: Object.freeze(next.links) }))
  }
  return Object.freeze(ordered)
}
