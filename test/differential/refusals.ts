import type { ErrorCode } from '../../src'
import type { Operation } from './operation'
import type { Outcome } from './outcome'

/**
 * Where the sharded side may say no to what one database does: the documented refusals, per operation. Any other error of
 * this package is a difference.
 */
const allowed: Readonly<Record<string, readonly ErrorCode[]>> = {
  // COUNT(DISTINCT …) of columns that several shards may share.
  count: ['SCATTER_UNSUPPORTED'],
  findAndCount: ['SCATTER_UNSUPPORTED'],
  // Of texts, which one database refuses as well, or answers with NaN.
  sum: ['SCATTER_UNSUPPORTED'],
  minimum: ['SCATTER_UNSUPPORTED'],
  save: ['KEY_MISSING', 'KEY_CHANGED', 'KEY_CONFLICT', 'DUPLICATE_PRIMARY_KEY'],
  remove: ['KEY_MISSING'],
  softRemove: ['KEY_MISSING'],
  insert: ['KEY_MISSING'],
  update: ['KEY_CHANGED'],
  upsert: ['UPSERT_WITHOUT_SHARD_KEY', 'KEY_MISSING'],
}

/**
 * SQL that TypeORM gets wrong on one database: it pages over joins with the names of columns that it did not select.
 * The scatter does not go that way, and answers.
 */
const oracleMistakes: readonly RegExp[] = [/^column distinctAlias\.\w+ does not exist$/]

export const isOracleMistake = ({ error }: Outcome): boolean =>
  error !== undefined && oracleMistakes.some((mistake) => mistake.test(error.message))

/** The most refusals among the operations of a run: a run that refuses everything proves nothing. */
export const mostRefusals = 0.03

export const isAllowedRefusal = (operation: Operation, code: string): boolean =>
  (allowed[operation.method] ?? []).some((one) => one === code)
