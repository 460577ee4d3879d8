import { ShardedError } from '../../errors/sharded-error'

/** How `load` writes. */
export interface LoadOptions {
  /**
   * Rows of a shard that become durable at a time, each batch for itself. Without it, all rows of the load are one
   * transaction over the shards.
   */
  readonly batch?: number
  /** Leaves out rows whose primary key is stored: what an earlier load of the same rows, in the same order, has done. */
  readonly resume?: boolean
  /** Ends the load when it is aborted: what runs is cancelled on the servers. */
  readonly signal?: AbortSignal
  /** Called after each batch of rows that a shard has taken; without `batch` these are not durable before the end. */
  readonly onProgress?: (report: LoadReport) => void
}

/** What `load` has done. */
export interface LoadReport {
  /** Rows that were read from the input. */
  readonly rows: number
  /** The shards that were given rows, in their order. */
  readonly shards: readonly LoadedShard[]
}

/** What a load did on one shard. */
export interface LoadedShard {
  readonly shard: string
  /** Rows of the input that the shard holds now by this load. */
  readonly rows: number
  /** Rows of the input that `resume` found stored. */
  readonly skipped: number
  /** `failed`: not all of the shard's rows are there, or none knows, since the load ended early. `loading`: in progress. */
  readonly state: 'loaded' | 'failed' | 'loading'
  /** The number, from 1, of the row of the input that the shard refused, where the server tells. */
  readonly row?: number
  readonly error?: unknown
}

/** Rows of a batch at the most: they wait in memory, those of all shards at once. */
export const maxLoadBatch = 100_000

/** @throws ShardedError OPTIONS_INVALID */
export function checkLoadOptions(options: LoadOptions, entity: string, inTransaction: boolean): LoadOptions {
  const { batch } = options
  if (batch === undefined) return options
  if (!Number.isInteger(batch) || batch < 1 || batch > maxLoadBatch)
    throw invalid(`${entity}.load: batch must be a whole number from 1 to ${maxLoadBatch}.`, entity)
  if (inTransaction) throw invalid(`${entity}.load: batches are durable by themselves, not in a transaction.`, entity)
  return options
}

const invalid = (text: string, entity: string): ShardedError =>
  new ShardedError('OPTIONS_INVALID', text, { details: { entity, option: 'batch' } })
