import { Cancellation } from '../endpoints/cancellation'
import { defaultDeadlineMs, defaultRowBudget } from '../model/limits'
import type { ScatterLimits } from './scatter-limits'

/** What bounds a scatter of which the caller says nothing: the options `scatter` of the entity or data source. */
export interface DefaultLimits {
  readonly rowBudget: number
  readonly deadlineMs: number
  /** That the reader of a stream may leave it alone. */
  readonly streamIdleMs?: number | undefined
}

/**
 * The limits of one operation, whose deadline counts from here: all of its statements, one after the other or at once,
 * have the same one. What the caller gave bounds every part of it; the defaults bound what asks several shards at once.
 */
export class OperationLimits {
  constructor(
    private readonly defaults: DefaultLimits = { rowBudget: defaultRowBudget, deadlineMs: defaultDeadlineMs },
    private readonly given: ScatterLimits = {},
    private readonly startedAt = performance.now(),
  ) {}

  /** For work that is as long as what the caller gives it: only limits of his own bound it. */
  get ofCaller(): OperationLimits {
    const { given, startedAt } = this
    const never = Number.POSITIVE_INFINITY
    return new OperationLimits({ rowBudget: never, deadlineMs: never }, given, startedAt)
  }

  /** Rows that a scatter may bring here. */
  get rowBudget(): number {
    return this.given.rowBudget ?? this.defaults.rowBudget
  }

  /** For statements to several shards, whose rows are held in memory. */
  scatterCancellation(own: ScatterLimits = {}): Cancellation {
    return this.cancellation(own, this.defaults)
  }

  /** For rows that are read as they are needed: their number and time are their reader's. */
  streamCancellation(own: ScatterLimits = {}): Cancellation {
    return this.cancellation(own)
  }

  /** For TypeORM's own operation on one shard; undefined where the caller gave no limits. */
  shardCancellation(): Cancellation | undefined {
    return this.isGiven ? this.cancellation({}) : undefined
  }

  /** The caller gave limits. */
  get isGiven(): boolean {
    const { signal, deadlineMs, rowBudget } = this.given
    return signal !== undefined || deadlineMs !== undefined || rowBudget !== undefined
  }

  private cancellation(own: ScatterLimits, defaults?: DefaultLimits): Cancellation {
    const { given, startedAt } = this
    const deadlineMs = own.deadlineMs ?? given.deadlineMs ?? defaults?.deadlineMs ?? Number.POSITIVE_INFINITY
    return new Cancellation({
      signals: [given.signal, own.signal].filter((signal) => signal !== undefined),
      deadline: { at: startedAt + deadlineMs, deadlineMs },
      rowBudget: own.rowBudget ?? given.rowBudget ?? defaults?.rowBudget,
    })
  }
}
