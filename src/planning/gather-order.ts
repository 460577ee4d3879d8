import type { TableLink } from '../routing/gather-analysis'

/** The most keys by which another table is asked for fewer rows. */
export const maxGatherKeys = 10_000

/** A table with fewer rows than this is read whole: to ask for keys saves nothing. */
export const fewRows = 100

/** A table to be read. */
export interface SizedTable {
  /** How many rows it is expected to give. */
  readonly rows: number
  /** All its rows are read, unless those before it leave fewer: where a foreign key leads to it, they leave out none of another. */
  readonly isWhole: boolean
  /** How many of its rows a value of a column is expected to find. */
  readonly rowsOfKey: (column: string) => number
}

/** A table to be read, and the tables that are read before it by whose values its rows are asked for. */
export interface OrderedTable {
  readonly table: number
  readonly links: readonly TableLink[]
  /** How many rows it is then expected to give. */
  readonly rows: number
}

/**
 * In which order the tables of a gather are read: small ones first, and then those whose rows the values of small ones leave few
 * of.
 */
export function gatherOrder(tables: readonly SizedTable[], links: readonly TableLink[]): readonly OrderedTable[] {
  const ordered: OrderedTable[] = []
  const expected = new Map<number, number>()
  const isTelling = new Set<number>()
  const left = new Set(tables.keys())
  while (left.size > 0) {
    const candidates = [...left].map((table): OrderedTable => {
      const all = tables[table]?.rows ?? 0
      const usable = links.filter(
        (link) =>
          link.table === table && isTelling.has(link.by) && (expected.get(link.by) ?? Infinity) <= maxGatherKeys,
      )
      const asked = all < fewRows ? [] : usable
      const found = asked.map(({ by, column }) => (expected.get(by) ?? all) * (tables[table]?.rowsOfKey(column) ?? 1))
      const rows = Math.min(all, ...found)
      return Object.freeze({ table, links: Object.freeze(asked), rows })
    })
    const next = candidates.reduce((best, one) => (one.rows < best.rows ? one : best))
    expected.set(next.table, next.rows)
    if (!tables[next.table]?.isWhole || next.links.length > 0) isTelling.add(next.table)
    left.delete(next.table)
    ordered.push(next)
  }
  return Object.freeze(ordered)
}
