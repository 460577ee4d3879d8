/** What one shard is asked for: its rows from a place on, in the order of the find. */
export interface ShardWindow {
  readonly shard: number
  readonly offset: number
  readonly limit: number
}

/** Asks for the numbers of rows of some shards, all at once. */
export interface ShardCountQuestion {
  readonly kind: 'count'
  readonly shards: readonly number[]
}

/** Asks for rows, of all windows at once. */
export interface WindowQuestion {
  readonly kind: 'rows'
  readonly windows: readonly ShardWindow[]
}

export type VisitQuestion = ShardCountQuestion | WindowQuestion

/** How many rows each shard has, or gave for its window. */
export type VisitAnswer = ReadonlyMap<number, number>

export interface OrderedVisit {
  /** In the order of the page: all rows of one come before all rows of the next. */
  readonly shards: readonly number[]
  readonly offset: number
  readonly limit: number
  /** Offsets up to this are skipped here; shards are counted to skip more. */
  readonly reach: number
  /** The most shards in one question. */
  readonly maxWidth: number
}

export interface VisitOutcome {
  /** How many of the rows that came are before the page. */
  readonly skip: number
}

/** Shards that are counted first; each further time twice as many. */
const firstCountWidth = 4

/**
 * Visits shards whose rows follow each other until the page is full: the first shard alone, and the next ones only when
 * it is short. Each further round asks more shards, as many as the rows found so far let expect and at most twice as many
 * as before, so that sparse rows do not cost a round trip a shard. Whole shards before the page are skipped by counting.
 *
 * A generator that asks questions and is given the answers; the rows of all `rows` questions follow each other.
 *
 * @example
 * const visit = visitOrdered({ shards: [59, 58, 57], offset: 0, limit: 20, reach: 1_000, maxWidth: 64 })
 * visit.next().value // { kind: 'rows', windows: [{ shard: 59, offset: 0, limit: 20 }] }
 */
export function* visitOrdered(visit: OrderedVisit): Generator<VisitQuestion, VisitOutcome, VisitAnswer> {
  const { shards, reach } = visit
  if (visit.limit === 0) return { skip: 0 }
  const start =
    visit.offset > reach ? yield* skipShards(visit) : { index: 0, offset: 0, counts: new Map<number, number>() }
  const skip = visit.offset > reach ? 0 : visit.offset
  let wanted = visit.limit + skip
  let { index } = start
  let asked = 0
  let found = 0
  let width = widthByCounts(visit, start)
  while (index < shards.length && wanted > 0) {
    const windows = shards
      .slice(index, index + width)
      .map((shard, at) => ({ shard, offset: index === start.index && at === 0 ? start.offset : 0, limit: wanted }))
    const came = yield { kind: 'rows', windows }
    for (const { shard } of windows) found += came.get(shard) ?? 0
    wanted = visit.limit + skip - found
    index += windows.length
    asked += windows.length
    const expected = found === 0 ? Number.POSITIVE_INFINITY : Math.ceil((wanted * asked) / found)
    width = Math.max(1, Math.min(2 * width, expected, visit.maxWidth))
  }
  return { skip }
}

interface Start {
  readonly index: number
  /** Rows to skip of the shard at the index. */
  readonly offset: number
  readonly counts: ReadonlyMap<number, number>
}

/** Counts shards, batch after batch, up to the one that holds the first row of the page. */
function* skipShards({ shards, offset, maxWidth }: OrderedVisit): Generator<VisitQuestion, Start, VisitAnswer> {
  let before = 0
  let width = Math.min(firstCountWidth, maxWidth)
  for (let from = 0; from < shards.length; ) {
    const batch = shards.slice(from, from + width)
    const counts = yield { kind: 'count', shards: batch }
    for (const [at, shard] of batch.entries()) {
      const count = counts.get(shard) ?? 0
      if (before + count > offset) return { index: from + at, offset: offset - before, counts }
      before += count
    }
    from += batch.length
    width = Math.min(2 * width, maxWidth)
  }
  return { index: shards.length, offset: 0, counts: new Map() }
}

/** How many shards hold the page, as far as they were counted. */
function widthByCounts({ shards, limit, maxWidth }: OrderedVisit, { index, offset, counts }: Start): number {
  let available = -offset
  let width = 0
  while (width < maxWidth && available < limit) {
    const shard = shards[index + width]
    const count = shard === undefined ? undefined : counts.get(shard)
    if (count === undefined) break
    available += count
    width++
  }
  return Math.max(1, width)
}
