import { canonicalKey, canonicalTuple } from '../values/canonical-key'
import type { CapturedChange } from './captured-change'
import type { LookupEntry, LookupTable } from './lookup-table'
import type { WriteOrder } from './write-order'

/**
 * Whether one database writes the row of a gain before that of a loss; `'unknown'` where it has an order and the rows' places in
 * it are not known.
 */
export type ComesSooner = (
  gain: CapturedChange,
  loss: CapturedChange,
  /** The row of the loss is written more than once, and this is where it is written last. */
  options?: { readonly isLast: boolean },
) => boolean | 'unknown'

/** Inserts, updates, deletes: `save` makes them in this order. */
type Kind = 0 | 1 | 2

/** Of what the statements of one write have changed. */
export function comesSooner(
  table: LookupTable,
  changes: readonly CapturedChange[],
  order: WriteOrder | undefined,
): ComesSooner {
  const rowText = ({ entry }: CapturedChange): string => canonicalRow(table, entry)
  let events: Map<string, Set<string>> | undefined
  /** A row that has moved was deleted and inserted: on one database it was updated. */
  const kindOf = (row: string): Kind => {
    events ??= eventsByRow(changes, rowText)
    const [only, another] = events.get(row) ?? []
    return another !== undefined || only === 'UPDATE' ? 1 : only === 'INSERT' ? 0 : 2
  }
  return (gain, loss, { isLast } = { isLast: false }) => {
    const [one, other] = [rowText(gain), rowText(loss)]
    const kinds = order?.isByKind ? kindOf(one) - kindOf(other) : 0
    if (kinds !== 0) return kinds < 0
    const place = order?.placeOf(table.source.table, one)
    const otherPlace = isLast
      ? order?.lastPlaceOf(table.source.table, other)
      : order?.placeOf(table.source.table, other)
    if (place !== undefined && otherPlace !== undefined) return place < otherPlace
    if (order && !order.isByKind) return 'unknown'
    return gain.source === loss.source && gain.statement < loss.statement
  }
}

function eventsByRow(
  changes: readonly CapturedChange[],
  rowText: (change: CapturedChange) => string,
): Map<string, Set<string>> {
  const events = new Map<string, Set<string>>()
  for (const change of changes) {
    const row = rowText(change)
    const known = events.get(row)
    if (known) known.add(change.event)
    else events.set(row, new Set([change.event]))
  }
  return events
}

const canonicalRow = (table: LookupTable, entry: LookupEntry): string =>
  canonicalTuple(
    table.primaryKey.map(
      (place) => canonicalKey(entry[place], table.columns[place]?.type ?? 'text') ?? entry[place] ?? '',
    ),
  )
