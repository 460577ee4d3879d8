import { ShardedError } from '../errors/sharded-error'

/** How the rows of a page are found, from the cheapest way up. */
export type PageStrategy =
  /** One shard: its own statement, unchanged. */
  | 'pass-through'
  /** The shards follow each other in the order: they are visited one after the other, and skipped by their counts. */
  | 'ordered-shards'
  /** All shards stand on one node: its statement merges and skips by itself. */
  | 'one-node'
  /** Every node sends the rows up to the end of the page; they are merged, and skipped, here. */
  | 'merge'
  /** The start of the page is found by counting; keys follow from there, then the rows of the page. */
  | 'pivot-counting'
  /** Every node sends the keys up to the end of the page; then the rows of the page are fetched. */
  | 'keys-first'

export interface PageStrategyChoice {
  readonly strategy: PageStrategy
  readonly reason: string
}

export interface PageFacts {
  /** Statements that a scatter over the shards takes. */
  readonly statements: number
  readonly offset: number
  readonly limit: number | undefined
  readonly isOrdered: boolean
  /** Says how the shards follow each other in the order of the page; undefined: they do not. */
  readonly shardOrder: string | undefined
  /** Why the start of the page cannot be found by counting; undefined: it can. */
  readonly notCountable: string | undefined
  /** Each node can be asked for its share of the rows up to the end of the page. */
  readonly hasShares: boolean
  /** Rows as they are merged are not what the page is made of: entities are loaded by their keys anyway. */
  readonly hasKeysOnly: boolean
}

/**
 * From this offset on, keys are fetched first and then the rows of the page, if those are fewer than the rows before
 * them, and no node can be asked for its share of the rows. Below, the second round trip costs more than whole rows do.
 */
export const keysFirstOffset = 1_000

/**
 * From this offset on, the start of the page is found by counting. Measured over 16 shards on two nodes of a busy machine, by an index, as time ÷
 * that of one database: at offset 1,000 counting takes 3.8, whole rows in shares 2.8, keys first 8.5; at 1,900 3.0, 3.4 and 10;
 * at 2,000 2.6 to 3.6, 2.9 and 10. Without an index each round of counting is a sequential scan, and so is sending keys.
 */
export const pivotOffset = 2_000

/**
 * Rows before the page that the search for its start leaves to the merge: merging them costs less than another round.
 * A fiftieth of the offset, since one round finds the start to about the square root of it, and without an index each
 * round is a scan; at least 1,000, which are merged in milliseconds; at most 10,000, so that memory has a bound.
 */
export const pivotReach = (offset: number): number => Math.min(10_000, Math.max(1_000, Math.floor(offset / 50)))

/** Rounds of the search; each halves, or nearly so, what is left: rows that others write meanwhile are why there is a bound. */
export const maxPivotRounds = 32

/** Shards that are asked at once at most, where they are visited one after the other. */
export const maxVisitWidth = 64

/** Chooses the strategy of a page of several shards. Pure: `explain` shows what it says. */
export function choosePageStrategy(facts: PageFacts): PageStrategyChoice {
  const { offset, limit } = facts
  if (limit === undefined || limit === 0) return choice('merge', 'there is no limit that would leave rows out')
  if (facts.shardOrder !== undefined) return choice('ordered-shards', facts.shardOrder)
  if (facts.statements === 1) return choice('one-node', 'one node merges all of the shards')
  if (!facts.isOrdered && offset >= keysFirstOffset)
    return choice('ordered-shards', 'without an order the shards follow each other')
  if (offset >= pivotOffset && facts.notCountable === undefined)
    return choice('pivot-counting', `the offset is ${pivotOffset} or more`)
  if (facts.hasShares && offset >= keysFirstOffset)
    return choice('merge', `the offset is less than ${pivotOffset}, and each node sends its share of the rows`)
  if (offset >= keysFirstOffset && !facts.hasKeysOnly && limit < offset) {
    const why = offset >= pivotOffset ? `, and ${facts.notCountable}` : ''
    return choice('keys-first', `the offset is ${keysFirstOffset} or more${why}`)
  }
  return choice('merge', offset === 0 ? 'the page is the first one' : `the offset is less than ${keysFirstOffset}`)
}

const choice = (strategy: PageStrategy, reason: string): PageStrategyChoice => Object.freeze({ strategy, reason })

/** The strategy of every find of one shard. */
export const passThrough: PageStrategyChoice = choice('pass-through', 'there is one shard')

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
