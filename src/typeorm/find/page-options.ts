import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'

/** Rows of one page at the most. */
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
