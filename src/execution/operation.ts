import { Cancellation } from '../endpoints/cancellation'
import { defaultDeadlineMs, defaultRowBudget } from '../model/limits'

/** What bounds one operation: the caller's, in `withLimits`. */
export interface ScatterLimits {
  /** Rows, of all shards together, that an answer may have. `Infinity`: no bound. */
  readonly rowBudget?: number
  /** Milliseconds from the start of the operation, waiting for connections included. `Infinity`: no deadline. */
  readonly deadlineMs?: number
  /** Ends the operation when it is aborted; the operation then throws the signal's reason, as `fetch` does. */
  readonly signal?: AbortSignal
}

/** What bounds a scatter of which the caller says nothing: the options `scatter` of the entity or data source. */
export interface DefaultLimits {
  readonly rowBudget: number
  readonly deadlineMs: number
  /** That the reader of a stream may leave it alone. */
  readonly streamIdleMs?: number | undefined
}

/** A bound of an operation. What the caller gave bounds each of its parts, the default what asks several shards at once. */
export interface Bound {
  readonly given: number | undefined
  readonly ofScatters: number
}

/**
 * What the application, or the data source on its own account, asks at once: made where the call enters, and passed down. All of its
 * statements, one after the other or at once, have the same deadline.
 */
export interface Operation<Transaction = unknown, Session = unknown> {
  /** Counts the operations of this process. */
  readonly id: number
  /** What entered: an operation of a manager, SQL, the load of a relation, or work on the data source's own account. */
  readonly kind: 'entity' | 'statement' | 'relation' | 'upkeep'
  /** The entity that it is about, where it is about one. */
  readonly entity: string | undefined
  /** Ends it when it is aborted. */
  readonly signal: AbortSignal | undefined
  /** Rows that it may bring here. */
  readonly budget: Bound
  /** Milliseconds from `startedAt`, which is on the clock of `performance.now()`. */
  readonly deadline: Bound & { readonly startedAt: number }
  /** The transaction that it is part of. Outside of any its connections are the pools'. */
  readonly transaction: Transaction | undefined
  /** Keeps connections outside of a transaction, which it then speaks on. */
  readonly session: Session | undefined
}

/** How an operation starts; `kind` is `upkeep` where nothing else is said. */
export interface OperationStart<Transaction = unknown, Session = unknown>
  extends Partial<Pick<Operation<Transaction, Session>, 'kind' | 'entity' | 'transaction' | 'session'>> {
  readonly defaults?: DefaultLimits
  /** The caller's limits. */
  readonly limits?: ScatterLimits | undefined
}

let started = 0

/** Starts an operation, whose deadline counts from here. */
export function startOperation<Transaction, Session>({
  kind = 'upkeep',
  entity,
  transaction,
  session,
  defaults,
  limits,
}: OperationStart<Transaction, Session>): Operation<Transaction, Session> {
  started += 1
  return Object.freeze({
    id: started,
    kind,
    entity,
    signal: limits?.signal,
    budget: { given: limits?.rowBudget, ofScatters: defaults?.rowBudget ?? defaultRowBudget },
    deadline: {
      given: limits?.deadlineMs,
      ofScatters: defaults?.deadlineMs ?? defaultDeadlineMs,
      startedAt: performance.now(),
    },
    transaction,
    session,
  })
}

/** The same operation as part of a transaction, or on the connections of a session. */
export const joining = <Transaction, Session>(
  operation: Operation,
  { transaction, session }: Pick<Operation<Transaction, Session>, 'transaction' | 'session'>,
): Operation<Transaction, Session> => Object.freeze(Object.assign({}, operation, { transaction, session }))

/** The same for work that is as long as what the caller gives it: only limits of the caller bound it. */
export function withoutDefaults<Transaction, Session>(
  operation: Operation<Transaction, Session>,
): Operation<Transaction, Session> {
  const never = Number.POSITIVE_INFINITY
  const { budget, deadline } = operation
  return Object.freeze({
    ...operation,
    budget: { ...budget, ofScatters: never },
    deadline: { ...deadline, ofScatters: never },
  })
}

/** Rows that a scatter of the operation may bring here. */
export const rowBudgetOf = ({ budget }: Operation): number => budget.given ?? budget.ofScatters

/** True where the caller gave limits. */
export const isLimited = ({ signal, budget, deadline }: Operation): boolean =>
  signal !== undefined || budget.given !== undefined || deadline.given !== undefined

/** For TypeORM's own operation on one shard; undefined where the caller gave no limits. */
export const shardCancellation = (operation: Operation): Cancellation | undefined =>
  isLimited(operation) ? streamCancellation(operation) : undefined

/** For rows that are read as they are needed: their number and time are their reader's. */
export const streamCancellation = (operation: Operation, own: ScatterLimits = {}): Cancellation =>
  cancellationOf(operation, own, { rows: undefined, milliseconds: Number.POSITIVE_INFINITY })

/** For statements to several shards, whose rows are held in memory. */
export const scatterCancellation = (operation: Operation, own: ScatterLimits = {}): Cancellation =>
  cancellationOf(operation, own, {
    rows: operation.budget.ofScatters,
    milliseconds: operation.deadline.ofScatters,
  })

function cancellationOf(
  { signal, budget, deadline }: Operation,
  own: ScatterLimits,
  defaults: { readonly rows: number | undefined; readonly milliseconds: number },
): Cancellation {
  const deadlineMs = own.deadlineMs ?? deadline.given ?? defaults.milliseconds
  return new Cancellation({
    signals: [signal, own.signal].filter((one) => one !== undefined),
    deadline: { at: deadline.startedAt + deadlineMs, deadlineMs },
    rowBudget: own.rowBudget ?? budget.given ?? defaults.rows,
  })
}
