import { ShardedError } from '../errors/sharded-error'
import type { Ranks } from '../merging/comparator'
import type { Row } from '../merging/row'

/** Sends one statement to any of the nodes asked and gives its rows. */
export type AskDatabase = (text: string, parameters: readonly unknown[]) => Promise<readonly Row[]>

/** The most values in one statement that ranks. */
export const maxRankedValues = 1_000_000

/** The most text in one statement that ranks, in UTF-16 units: PostgreSQL takes a gigabyte of UTF-8 at most. */
export const maxRankedLength = 128 * 2 ** 20

/**
 * Lets the database rank texts: equal ones (by a nondeterministic collation, `1.0` and `1.00`) share a rank.
 *
 * @param rankBy SQL over `v`, as a `SortForm` has it
 * @param values distinct
 * @throws ShardedError SCATTER_UNSUPPORTED where there are too many values for one statement; MERGE_ORDER where the
 * database gives a value no rank
 * @example await rankValues(ask, 'v COLLATE "sv-x-icu"', ['ö', 'z']) // Map { 'z' → 1, 'ö' → 2 }
 */
export async function rankValues(ask: AskDatabase, rankBy: string, values: readonly string[]): Promise<Ranks> {
  if (values.length === 0) return new Map()
  checkSize(values)
  const rows = await ask(
    `SELECT i::int4 AS i, (dense_rank() OVER (ORDER BY ${rankBy}))::int4 AS r FROM unnest($1::text[]) WITH ORDINALITY AS t(v, i)`,
    [values],
  )
  const ranks = new Map<string, number>()
  for (const row of rows) {
    const value = values[Number(row['i']) - 1]
    if (value !== undefined) ranks.set(value, Number(row['r']))
  }
  if (ranks.size === values.length) return ranks
  throw new ShardedError('MERGE_ORDER', `The database ranked ${ranks.size} of ${values.length} values by ${rankBy}.`, {
    details: { rankBy },
  })
}

function checkSize(values: readonly string[]): void {
  let length = 0
  for (const value of values) length += value.length
  if (values.length <= maxRankedValues && length <= maxRankedLength) return
  throw new ShardedError(
    'SCATTER_UNSUPPORTED',
    `${values.length} distinct values of ${length} letters are too many for the database to rank in one statement.`,
    { details: { values: values.length, maxRankedValues, length, maxRankedLength } },
  )
}

/** The most values that a ranker keeps for the next batch. */
export const maxKeptValues = 10_000

/**
 * Ranks batch after batch of one stream. Values are kept as long as they are few, so that a column of few values costs one
 * statement in all; ranks of different batches must not be compared with each other.
 *
 * @example
 * const ranker = createRanker(ask, form.rankBy)
 * for await (const batch of batches) merge(batch, await ranker.rank(distinct(batch)))
 */
export interface Ranker {
  /** Ranks that hold all of these distinct values, and perhaps more. */
  rank(values: readonly string[]): Promise<Ranks>
}

/** @param keep how many values are kept at most; 0 keeps none */
export function createRanker(ask: AskDatabase, rankBy: string, keep: number = maxKeptValues): Ranker {
  let kept: Ranks = new Map()
  return Object.freeze({
    rank: async (values: readonly string[]): Promise<Ranks> => {
      const known = kept
      const unknown = values.filter((value) => !known.has(value))
      if (unknown.length === 0) return known
      const both = known.size + unknown.length <= keep
      const ranks = await rankValues(ask, rankBy, both ? [...known.keys(), ...unknown] : values)
      kept = ranks.size <= keep ? ranks : new Map()
      return ranks
    },
  })
}
