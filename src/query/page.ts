/** LIMIT and OFFSET of a read, in whole rows. */
export interface Page {
  readonly offset: number
  readonly limit: number | undefined
  /** `offset + limit`; undefined without a limit. */
  readonly end: number | undefined
}

/** OFFSET and LIMIT of a find, as they are given. */
export interface WrittenPage {
  readonly skip?: number | undefined
  readonly take?: number | undefined
}

/** The page of a find, in whole rows; see `isRefusedPage` for those that PostgreSQL refuses. */
export function pageOf({ skip, take }: WrittenPage): Page {
  const offset = pageNumber(skip ?? 0)
  const limit = limitNumber(take)
  return { offset, limit, end: limit === undefined ? undefined : offset + limit }
}

/** PostgreSQL refuses such a page, of any rows: one shard is enough to hear its error. */
export const isRefusedPage = ({ skip, take }: WrittenPage): boolean =>
  [skip, take].some((number) => number !== undefined && number !== null && !isPageNumber(Number(number)))

/** The first number past PostgreSQL's bigint, which LIMIT and OFFSET are. */
const bigintEnd = 2 ** 63

/**
 * A number of rows as PostgreSQL takes it in LIMIT and OFFSET: half is rounded up. Larger numbers than JavaScript counts by
 * are the largest that it does: no table has so many rows.
 *
 * @example pageNumber(2.5) // 3
 */
export const pageNumber = (number: number): number => Math.min(roundedHalfAway(number), Number.MAX_SAFE_INTEGER)

/** A LIMIT likewise; undefined for none, and for one that no table reaches: it is none, and no sum of it leaves bigint. */
export function limitNumber(number: number | undefined): number | undefined {
  const limit = number === undefined ? undefined : pageNumber(number)
  return limit === Number.MAX_SAFE_INTEGER ? undefined : limit
}

/** Whether PostgreSQL takes a number in LIMIT and OFFSET. */
export const isPageNumber = (number: number): boolean => roundedHalfAway(number) >= 0 && number < bigintEnd

/** As PostgreSQL rounds a numeric; never -0. */
const roundedHalfAway = (number: number): number => Math.sign(number) * Math.round(Math.abs(number)) + 0
