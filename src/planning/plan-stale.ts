import { ShardedError } from '../errors/sharded-error'

/** The error of a statement whose tables were altered since it was planned, or differ from shard to shard. */
export const planStale = (text: string, cause: unknown): ShardedError =>
  new ShardedError(
    'PLAN_STALE',
    `The tables of a statement are no longer what it was planned for, or not the same on all shards: ${String(cause)}.`,
    { details: { statement: text.slice(0, 500) }, cause },
  )
