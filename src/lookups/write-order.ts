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
