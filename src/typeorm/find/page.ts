import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'

/**
 * Rows of one page at the most.
 *
 * @example
 * const page = await orders.findPage({ order: { id: 'ASC' }, take: Math.min(wanted, maxPageSize) })
 */
export const maxPageSize = 10_000

/** Where a page starts: at an end of the list, or at a cursor of the same entity and order. */
type PageStart =
  | {
      /** The page starts after this row: Relay's `first` and `after`. Null and undefined: at the start of the list. */
      readonly after?: string | null | undefined
      readonly before?: null | undefined
      readonly last?: false | undefined
    }
  | {
      /** The page ends before this row, in the order asked: Relay's `last` and `before`. */
      readonly before: string
      readonly after?: null | undefined
      readonly last?: boolean | undefined
    }
  | {
      /** The page is the last before `before`, or the last of the list. */
      readonly last: true
      readonly before?: string | null | undefined
      readonly after?: null | undefined
    }

/**
 * What `findPage` takes: find options, the size of the page and a cursor. A cursor stands for `skip`; a page is neither
 * locked nor cached.
 */
export type PageOptions<Entity> = Omit<FindManyOptions<Entity>, 'take' | 'skip' | 'lock' | 'cache'> &
  PageStart & {
    /** Rows of the page: 1 to 10,000. */
    readonly take: number
    readonly skip?: never
    readonly lock?: never
    readonly cache?: never
  }

/** A page as it was asked for, checked. */
export interface PageRequest {
  readonly take: number
  /** The page is filled from its end. */
  readonly backwards: boolean
  readonly cursor: string | undefined
  /** The find options without what makes it a page. */
  readonly find: FindManyOptions<ObjectLiteral>
}

/** @throws ShardedError PAGE_INVALID, CURSOR_INVALID for a cursor that is no text */
export function checkPageOptions(options: object): PageRequest {
  // Nothing is known of them: the caller's code may have no types.
  const { take, after, before, last, ...find } = options as Record<string, unknown>
  if (!Number.isSafeInteger(take) || Number(take) < 1 || Number(take) > maxPageSize)
    throw invalid(`take is ${describe(take)}, not a whole number from 1 to ${maxPageSize}`)
  for (const option of ['skip', 'lock', 'cache']) {
    if (find[option] !== undefined) throw invalid(`${option} is not an option of findPage`)
  }
  if (isGiven(after) && (isGiven(before) || last === true)) throw invalid('after goes with neither before nor last')
  const cursor = [after, before].find(isGiven)
  if (cursor !== undefined && typeof cursor !== 'string')
    throw new ShardedError('CURSOR_INVALID', `The cursor is ${describe(cursor)}, not a text.`, {})
  return Object.freeze({ take: Number(take), backwards: last === true || isGiven(before), cursor, find })
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null

const describe = (value: unknown): string => (typeof value === 'number' ? String(value) : typeof value)

const invalid = (text: string): ShardedError => new ShardedError('PAGE_INVALID', `findPage: ${text}.`, {})

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
