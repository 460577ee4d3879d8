/** One row of a page and the cursor of its place, as Relay's connections have it. */
export interface PageEdge<Entity> {
  readonly node: Entity
  readonly cursor: string
}

/** Relay's `PageInfo`. */
export interface PageInfo {
  readonly startCursor: string | null
  readonly endCursor: string | null
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
}

/** What a page is made of. */
export interface PageParts<Entity> {
  readonly rows: readonly Entity[]
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  /** The cursors of the ends: of rows that were read, even where they gave no entity. Null where none were. */
  readonly startCursor: string | null
  readonly endCursor: string | null
  /** The cursor of row i. */
  readonly cursorOf: (index: number) => string
}

/**
 * A page of rows with the cursors of its ends. `rows`, `endCursor` and `hasNextPage` are all that a list needs; `edges` and
 * `pageInfo` make it a Relay connection. Frozen; the rows are the entities that the find gave.
 *
 * @example
 * const page = await orders.findPage({ order: { createdAt: 'DESC' }, take: 20 })
 * const next = await orders.findPage({ order: { createdAt: 'DESC' }, take: 20, after: page.endCursor })
 */
export class Page<Entity> implements PageInfo {
  readonly rows: readonly Entity[]
  /** Where the page starts: the cursor of the first row that was read for it. Null where there was none. */
  readonly startCursor: string | null
  /** Where the page ends, and the next one starts: the cursor of the last row that was read. Null where there was none. */
  readonly endCursor: string | null
  /** Rows follow: seen when paging forwards; for a page before a cursor, true. */
  readonly hasNextPage: boolean
  /** Rows go before: seen when paging backwards; for a page after a cursor, true. */
  readonly hasPreviousPage: boolean
  readonly #cursorOf: (index: number) => string

  constructor({ rows, startCursor, endCursor, hasNextPage, hasPreviousPage, cursorOf }: PageParts<Entity>) {
    this.rows = Object.freeze([...rows])
    this.startCursor = startCursor
    this.endCursor = endCursor
    this.hasNextPage = hasNextPage
    this.hasPreviousPage = hasPreviousPage
    this.#cursorOf = cursorOf
    Object.freeze(this)
  }

  /** Each row with its cursor; the cursors are signed when this is read. */
  get edges(): readonly PageEdge<Entity>[] {
    return Object.freeze(this.rows.map((node, index) => Object.freeze({ node, cursor: this.#cursorOf(index) })))
  }

  get pageInfo(): PageInfo {
    const { startCursor, endCursor, hasNextPage, hasPreviousPage } = this
    return Object.freeze({ startCursor, endCursor, hasNextPage, hasPreviousPage })
  }
}
