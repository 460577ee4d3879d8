import type { ErrorCode } from '../../src'
import type { Operation } from './operation'

/**
 * Where the sharded side may say no to what one database does: the documented refusals, per operation. Any other error of
 * this package is a difference.
 */
const allowed: Readonly<Record<string, readonly ErrorCode[]>> = {
  count: ['SCATTER_UNSUPPORTED'],
  sum: ['SCATTER_UNSUPPORTED'],
  save: ['KEY_MISSING', 'KEY_CHANGED', 'KEY_CONFLICT', 'DUPLICATE_PRIMARY_KEY'],
  insert: ['KEY_MISSING'],
  update: ['KEY_CHANGED'],
  upsert: ['UPSERT_WITHOUT_SHARD_KEY'],
}

/** The most refusals among the operations of a run: a run that refuses everything proves nothing. */
export const mostRefusals = 0.03

export const isAllowedRefusal = (operation: Operation, code: string): boolean =>
  (allowed[operation.method] ?? []).some((one) => one === code)
