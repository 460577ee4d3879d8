import { canonicalKey, canonicalTuple } from '../values/canonical-key'
import type { LookupEntry, LookupTable } from './lookup-table'

/**
 * The order in which one database comes to the rows of a write. Over shards there is none of the statements, and PostgreSQL
 * looks at a unique constraint with each row: whether a value may go from one row to another depends on it.
 */
export interface WriteOrder {
  /** As `save` does it: all inserts, then all updates, then all deletes. Else each row comes in its turn, whatever it is. */
  readonly isByKind: boolean
  /**
   * @param primaryKey its canonical texts, as `canonicalTuple` makes them one
   * @returns undefined for a row that is not known
   */
  placeOf(table: string, primaryKey: string): number | undefined
  /** As `placeOf`, of a row that is written more than once: where it is written last. */
  lastPlaceOf(table: string, primaryKey: string): number | undefined
}

/** Gives the rows their places, in the order given; not before one is asked for, which hardly ever happens. */
export function orderOfRows(
  isByKind: boolean,
  rows: () => Iterable<{ readonly table: string; readonly primaryKey: string }>,
): WriteOrder {
  let places: Map<string, Places> | undefined
  const numbered = (): Map<string, Places> => {
    const made = new Map<string, Places>()
    let place = 0
    for (const { table, primaryKey } of rows()) {
      const text = `${table}\0${primaryKey}`
      made.set(text, { first: made.get(text)?.first ?? place, last: place })
      place += 1
    }
    return made
  }
  const placesOf = (table: string, primaryKey: string): Places | undefined => {
    places ??= numbered()
    return places.get(`${table}\0${primaryKey}`)
  }
  return Object.freeze({
    isByKind,
    placeOf: (table: string, primaryKey: string) => placesOf(table, primaryKey)?.first,
    lastPlaceOf: (table: string, primaryKey: string) => placesOf(table, primaryKey)?.last,
  })
}

interface Places {
  readonly first: number
  readonly last: number
}

/** One change of a row that concerns a lookup, as a trigger noted it. */
export interface CapturedChange {
  readonly lookup: string
  /** The row has come to have the entry, or has it no more. */
  readonly isGain: boolean
  readonly entry: LookupEntry
  /** What was done to the row: `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`. */
  readonly event: string
  /** The shard of the row. */
  readonly source: string
  /** Of the shard's statements in the transaction; those of one statement have no order. */
  readonly statement: number
}

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
