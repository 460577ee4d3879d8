import { ShardedError } from '../errors/sharded-error'
import { compareRows, type Ranks } from '../merging/comparator'
import { distinctValues } from '../merging/distinct-values'
import { mergeSorted } from '../merging/merge-sorted'
import type { Row } from '../merging/row'
import type { OrderTerm } from './scatter-order'

/** Sends one statement to any node and gives its rows. */
export type AskDatabase = (text: string, parameters: readonly unknown[]) => Promise<readonly Row[]>

interface Page {
  readonly offset: number
  readonly limit: number | undefined
}

/**
 * Merges the answers of several statements in order. Texts whose order only the database knows are ranked by it first.
 * Every source is checked to be sorted as it is merged; where code points turn out not to be the order of the database,
 * it ranks the texts too, so that a wrong order is never returned.
 *
 * @throws ShardedError MERGE_ORDER
 */
export async function mergeInOrder(
  sources: readonly (readonly Row[])[],
  terms: readonly OrderTerm[],
  page: Page,
  ask: AskDatabase,
): Promise<readonly Row[]> {
  const filled = sources.filter((rows) => rows.length > 0).map((rows) => ({ rows }))
  const [only] = filled
  const end = page.limit === undefined ? undefined : page.offset + page.limit
  if (filled.length <= 1) return only?.rows.slice(page.offset, end) ?? []
  const merge = async (ranked: readonly OrderTerm[]) => {
    const ranks = await Promise.all(ranked.map((term) => ranksOf(filled, term, ask)))
    const compare = compareRows(
      ranked.map((term) => term.merge),
      ranks,
    )
    return mergeSorted({ sources: filled, compare, offset: page.offset, limit: page.limit, verify: 'all' })
  }
  try {
    return await merge(terms)
  } catch (error) {
    const canRank = terms.some((term) => term.merge.kind === 'codepoints' && term.rankBy !== undefined)
    if (!(error instanceof ShardedError) || error.code !== 'MERGE_ORDER' || !canRank) throw error
    return merge(
      terms.map((term) =>
        term.merge.kind === 'codepoints' && term.rankBy ? { ...term, merge: { ...term.merge, kind: 'ranked' } } : term,
      ),
    )
  }
}

async function ranksOf(
  sources: readonly { readonly rows: readonly Row[] }[],
  { merge, rankBy }: OrderTerm,
  ask: AskDatabase,
): Promise<Ranks | undefined> {
  if (merge.kind !== 'ranked') return undefined
  const values = distinctValues(sources, merge.column)
  const rows = await ask(
    `SELECT v, dense_rank() OVER (ORDER BY ${rankBy ?? 'v'}) AS r FROM unnest($1::text[]) AS t(v)`,
    [values],
  )
  return new Map(rows.map((row) => [String(row['v']), Number(row['r'])]))
}
