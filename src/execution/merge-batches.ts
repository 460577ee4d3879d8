import { ShardedError } from '../errors/sharded-error'
import { compareRows, type RowComparator } from '../merging/comparator'
import { distinctValues } from '../merging/distinct-values'
import { outOfOrder, Tournament } from '../merging/merge-sorted'
import type { Row } from '../merging/row'
import type { OrderTerm } from '../query/order-term'
import type { BatchSource } from './cursor-group'
import { areSortedBy, testimonies } from './merge-in-order'
import { type AskDatabase, createRanker, type Ranker } from './rank-values'

/** One source, and what is held of it: a batch and the row before it. */
interface Held {
  readonly source: BatchSource
  readonly number: number
  rows: readonly Row[]
  /** The last row that went out: the next batch must not sort before it. */
  lead: Row | undefined
}

/**
 * Merges sorted sources batch by batch, holding one batch of each. As long as every source has a row in hand the least of
 * them goes out; then those that ran dry are asked for their next batch, all at once, and what only the database can order
 * is ranked among the rows in hand.
 *
 * @param ask sends a statement to a node, for the ranks
 * @param onRow called when a row has been taken
 * @throws ShardedError MERGE_ORDER where a source is not sorted by the terms, or was by another collation than they say.
 * What went out before was in order.
 * @example for await (const row of mergeBatches(group.sources, terms, ask)) …
 */
export async function* mergeBatches(
  sources: readonly BatchSource[],
  terms: readonly OrderTerm[],
  ask: AskDatabase,
  onRow?: () => void,
): AsyncGenerator<Row, void, undefined> {
  const rankers = terms.map(({ kind, form }) => (kind === 'ranked' ? createRanker(ask, form.rankBy) : undefined))
  let open: Held[] = sources.map((source, number) => ({ source, number, rows: [], lead: undefined }))
  for (;;) {
    await Promise.all(open.map(refill))
    open = open.filter(({ rows }) => rows.length > 0)
    if (open.length === 0) return
    for (const term of terms) checkWitness(open, term)
    const compare = await comparatorOf(open, terms, rankers)
    for (const { lead, rows, number } of open) {
      const [first] = rows
      if (lead && first && compare(lead, first) > 0) throw outOfOrder(number, 0)
    }
    yield* upToGap(
      open,
      new Tournament(
        compare,
        open.map(({ rows }) => rows[0]),
      ),
      onRow,
    )
  }
}

/** Gives rows in order until one source has none in hand. */
function* upToGap(
  open: readonly Held[],
  tournament: Tournament,
  onRow: (() => void) | undefined,
): Generator<Row, void, undefined> {
  const sent = open.map(() => 0)
  for (let { row } = tournament; row !== undefined; row = tournament.row) {
    const { source } = tournament
    const held = open[source]
    if (!held) break
    yield row
    onRow?.()
    held.lead = row
    const taken = (sent[source] ?? 0) + 1
    sent[source] = taken
    if (taken === held.rows.length) break
    tournament.advance(held.rows[taken])
  }
  for (const [index, held] of open.entries()) held.rows = held.rows.slice(sent[index])
}

async function refill(held: Held): Promise<void> {
  if (held.rows.length > 0) return
  const { done, value } = await held.source.next()
  held.rows = done ? [] : value
}

async function comparatorOf(
  open: readonly Held[],
  terms: readonly OrderTerm[],
  rankers: readonly (Ranker | undefined)[],
): Promise<RowComparator> {
  const inHand = open.map(({ lead, rows }) => ({ rows: lead ? [lead, ...rows] : rows }))
  const ranks = await Promise.all(
    terms.map(({ column }, index) => rankers[index]?.rank(distinctValues(inHand, column))),
  )
  return compareRows(terms, ranks)
}

/** @throws ShardedError MERGE_ORDER */
function checkWitness(open: readonly Held[], term: OrderTerm): void {
  if (areSortedBy(open, term)) return
  const found = [...testimonies(open, term)].map(String)
  throw new ShardedError('MERGE_ORDER', `${term.name} was sorted by ${found.join(' and ')}.`, {
    details: { order: term.name },
  })
}
