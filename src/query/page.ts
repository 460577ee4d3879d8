/** LIMIT and OFFSET of a read, in whole rows. */
export interface Page {
  readonly offset: number
  readonly limit: number | undefined
  /** `offset + limit`; undefined without a limit. */
  readonly end: number | undefined
}
