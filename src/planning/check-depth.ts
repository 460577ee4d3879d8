import { ShardedError } from '../errors/sharded-error'

export interface PageDepth {
  /** Whom the error names. */
  readonly entity: string
  readonly offset: number
  /** Undefined or 0: none. All rows come here then, wherever the page begins. */
  readonly limit: number | undefined
  /** Statements that each may give all rows up to the end of the page. */
  readonly statements: number
  /** `scatter.rowBudget`: rows that may come to this process; infinite where there is no bound. */
  readonly rowBudget: number
}

/**
 * Refuses a page whose rows before it would all have to come here to be left out, where those may be more than the row
 * budget: at plan time, before anything is sent. The strategies that count what is before a page are never refused.
 *
 * @throws ShardedError PAGE_TOO_DEEP
 */
export function checkDepth({ entity, offset, limit, statements, rowBudget }: PageDepth): void {
  if (!limit || offset === 0) return
  const rows = statements * (offset + limit)
  if (rows <= rowBudget) return
  throw new ShardedError(
    'PAGE_TOO_DEEP',
    `${entity}: a page of ${limit} rows at offset ${offset} may fetch ${rows} rows into the application; the row budget is ${rowBudget}.`,
    { details: { entity, offset, limit, rows, option: 'scatter.rowBudget' } },
  )
}
