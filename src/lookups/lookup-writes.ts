import { type LookupEntry, type LookupTable, primaryKeyOfEntry, valuesOf } from './lookup-table'
import type { CapturedChange, WriteOrder } from './write-order'
import { type ComesSooner, comesSooner } from './write-order'

/** What a transaction does to one lookup: losses, then gains, then late losses. */
export interface LookupWrites {
  readonly losses: readonly LookupEntry[]
  readonly gains: readonly LookupEntry[]
  /**
   * Losses of values that another row gained before, in one database: there the unique constraint would have failed, and so
   * it does here.
   */
  readonly lateLosses: readonly LookupEntry[]
  /** Losses of values that another row gained, nobody knows whether before. */
  readonly unordered: readonly LookupEntry[]
}

interface Net {
  readonly entry: LookupEntry
  /** Gains less losses: a row that changed twice is where it ended. */
  balance: number
  /** The first of its changes. */
  readonly change: CapturedChange
  last: CapturedChange
}

/**
 * Makes of the captured changes of one lookup what is to be written. What was gained and lost again by later statements leaves no
 * trace, but of a value that has to be unique: another row may have it, which is a violation also for a moment.
 * Losses come first, so that a value may go from one row to another; but PostgreSQL looks at a unique constraint with each
 * row, so a value that was gained before it was lost (a swap, always) must be a violation here too.
 *
 * @param order of the rows on one database; without it only the statements of one shard have an order
 */
export function lookupWrites(table: LookupTable, changes: readonly CapturedChange[], order?: WriteOrder): LookupWrites {
  const nets = new Map<string, Net>()
  // The database gives them in no order.
  for (const change of [...changes].sort((a, b) => a.statement - b.statement)) {
    const text = JSON.stringify(change.entry)
    const known = nets.get(text) ?? { entry: change.entry, balance: 0, change, last: change }
    known.balance += change.isGain ? 1 : -1
    known.last = change
    nets.set(text, known)
  }
  const all = [...nets.values()]
  const gains = all.filter(({ balance }) => balance > 0)
  const losses = all.filter(({ balance }) => balance < 0)
  const isSooner = comesSooner(table, changes, order)
  const moments = table.isUnique ? momentsOf(table, { all, gains, isSooner }) : []
  const { late, unordered } = table.isUnique
    ? lateLosses(table, { gains: [...moments, ...gains], losses, isSooner })
    : none
  return Object.freeze({
    losses: losses.filter((one) => !late.has(one)).map(({ entry }) => entry),
    gains: [...gains, ...moments].map(({ entry }) => entry),
    lateLosses: [...late, ...moments].map(({ entry }) => entry),
    unordered: [...unordered].map(({ entry }) => entry),
  })
}

/** Entries that came by one statement and went by a later one, unless another row took the value after that. */
function momentsOf(
  table: LookupTable,
  { all, gains, isSooner }: Pick<Exchange, 'gains' | 'isSooner'> & { readonly all: readonly Net[] },
): readonly Net[] {
  const moments = all.filter(({ balance, change, last }) => balance === 0 && change.isGain && isLater(last, change))
  if (moments.length === 0) return moments
  const gainOf = new Map(gains.map((gain) => [valueText(table, gain), gain]))
  return moments.filter((moment) => {
    const rival = gainOf.get(valueText(table, moment))
    return !rival || isSooner(rival.change, moment.last, { isLast: true }) === true
  })
}

const valueText = (table: LookupTable, { entry }: Net): string => JSON.stringify(valuesOf(table, entry))

/** Two statements have an order on one shard. */
const isLater = (one: CapturedChange, other: CapturedChange): boolean =>
  one.source === other.source && one.statement > other.statement

interface LateLosses {
  readonly late: ReadonlySet<Net>
  readonly unordered: ReadonlySet<Net>
}

const none: LateLosses = Object.freeze({ late: new Set<Net>(), unordered: new Set<Net>() })

interface Exchange {
  readonly gains: readonly Net[]
  readonly losses: readonly Net[]
  readonly isSooner: ComesSooner
}

function lateLosses(table: LookupTable, { gains, losses, isSooner }: Exchange): LateLosses {
  if (losses.length === 0) return none
  const late = new Set<Net>()
  const unordered = new Set<Net>()
  const rowOf = ({ entry }: Net): string => JSON.stringify(primaryKeyOfEntry(table, entry))
  const lossOf = new Map(losses.map((loss) => [valueText(table, loss), loss]))
  const gainOf = new Map(gains.map((gain) => [rowOf(gain), gain]))
  /** The loss that must come before a row's gain: of the same value, by another row. */
  const before = (gain: Net): Net | undefined => {
    const loss = lossOf.get(valueText(table, gain))
    return loss && rowOf(loss) !== rowOf(gain) ? loss : undefined
  }
  for (const gain of gains) {
    const loss = before(gain)
    if (!loss) continue
    const sooner = isSooner(gain.change, loss.change)
    if (sooner === true || isCircle(gain, (one) => next(one))) late.add(loss)
    else if (sooner === 'unknown') unordered.add(loss)
  }
  return { late, unordered }

  function next(gain: Net): Net | undefined {
    const loss = before(gain)
    return loss && gainOf.get(rowOf(loss))
  }
}

/** Each row waits for at most one other: to follow them ends, or comes back. */
function isCircle(start: Net, next: (one: Net) => Net | undefined): boolean {
  const seen = new Set<Net>()
  for (let one = next(start); one && !seen.has(one); one = next(one)) {
    if (one === start) return true
    seen.add(one)
  }
  return false
}
