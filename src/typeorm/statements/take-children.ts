import { childrenText } from '../../planning/carried-rows'
import type { Shard } from '../../topology/shard'
import { canonicalKey } from '../../values/canonical-key'
import type { KeyType } from '../../values/key-type'
import type { GroupTables } from '../binding/child-links'
import { addressesOf, carriedRow, checkSize, type MovingRow, maxMovedRows, type RowMover } from './row-mover'

/** The shard key of what moves, as texts. */
export interface MovedKey {
  readonly before: readonly (string | null)[]
  readonly after: readonly (string | null)[]
}

/** The rows of one table that move with a row; parents' tables come before their children's. */
export interface TakenTable {
  readonly table: string
  readonly rows: readonly MovingRow[]
}

/**
 * Reads and locks the children of a row, and their children, with the new shard key in place of the old one. Rows are
 * taken once, so circles end.
 *
 * @throws ShardedError MOVE_TOO_LARGE
 */
export async function takeChildren(
  mover: RowMover,
  { links, keyColumns, keyTypes }: GroupTables,
  root: { readonly table: string; readonly row: MovingRow & { readonly from: Shard }; readonly key: MovedKey },
): Promise<readonly TakenTable[]> {
  const shard = root.row.from
  const taken = new Map<string, Map<string, MovingRow>>()
  const queue: TakenTable[] = [{ table: root.table, rows: [root.row] }]
  const seen = new Set([addressText(root.row)])
  for (let next = queue.shift(); next; next = queue.shift()) {
    for (const link of links.filter(({ parent }) => parent === next.table)) {
      const columns = await mover.columns(shard, link.table)
      const found = await mover.query(shard, childrenText(link, columns), [...addressesOf(next.rows), maxMovedRows + 1])
      checkSize(root.table, seen.size + found.length)
      const parts = keyColumns.get(link.table)
      const rows = found
        .map((row) => carriedRow(row, columns.length))
        .filter((row) => !seen.has(addressText(row)))
        .map((row) => {
          const values = row.values.map((value, index) => {
            const part = parts?.get(columns[index]?.name ?? '')
            if (part === undefined) return value
            return isEqual(value, root.key.before[part], keyTypes[part]) ? (root.key.after[part] ?? null) : value
          })
          return { ...row, values }
        })
      if (rows.length === 0) continue
      for (const row of rows) seen.add(addressText(row))
      const own = taken.get(link.table) ?? new Map<string, MovingRow>()
      taken.set(link.table, own)
      for (const row of rows) own.set(addressText(row), row)
      queue.push({ table: link.table, rows })
    }
  }
  return parentsFirst([...taken.keys()], links).map((table) => ({
    table,
    rows: [...(taken.get(table)?.values() ?? [])],
  }))
}

/** Equal numbers may have two texts: a `numeric` keeps the zeros of 1.00, and a float the sign of -0. */
function isEqual(a: string | null, b: string | null | undefined, type: KeyType | undefined): boolean {
  if (a === b) return true
  if (typeof a !== 'string' || typeof b !== 'string' || (type !== 'numeric' && type !== 'float')) return false
  return canonicalKey(a, type) === canonicalKey(b, type)
}

const addressText = ({ oid, tid }: MovingRow): string => `${oid} ${tid}`

/** Tables so that what is referred to comes first; of a circle of tables, the first. */
function parentsFirst(tables: readonly string[], links: GroupTables['links']): readonly string[] {
  const left = new Set(tables)
  const ordered: string[] = []
  while (left.size > 0) {
    const isFree = (table: string) =>
      !links.some((link) => link.table === table && link.parent !== table && left.has(link.parent))
    const next = [...left].find(isFree) ?? [...left][0] ?? ''
    left.delete(next)
    ordered.push(next)
  }
  return ordered
}
