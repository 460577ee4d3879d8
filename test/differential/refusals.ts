import type { ErrorCode } from '../../src'
import type { Outcome } from './outcome'

/**
 * Where the sharded side may say no to what one database does: the documented refusals, per operation, and how many of a
 * hundred such operations may be refused. Any other error of this package is a difference.
 */
const allowed: Readonly<Record<string, { readonly codes: readonly ErrorCode[]; readonly percent: number }>> = {
  // A page at 10^18, in an order whose rows cannot be counted: they would all have to come here.
  'find.deep': { codes: ['PAGE_TOO_DEEP'], percent: 50 },
  'findAndCount.deep': { codes: ['PAGE_TOO_DEEP'], percent: 50 },
  save: {
    codes: ['KEY_MISSING', 'KEY_CHANGED', 'KEY_CONFLICT', 'DUPLICATE_PRIMARY_KEY', 'ID_OF_ANOTHER_SLOT'],
    percent: 12,
  },
  remove: { codes: ['KEY_MISSING'], percent: 25 },
  softRemove: { codes: ['KEY_MISSING'], percent: 1 },
  insert: { codes: ['KEY_MISSING', 'ID_OF_ANOTHER_SLOT'], percent: 5 },
  // Also one that asks a table for a value and moves rows to other shards.
  update: { codes: ['KEY_CHANGED', 'ID_CHANGED', 'STATEMENT_UNSUPPORTED'], percent: 10 },
  // ON CONFLICT about a `@GlobalUnique`.
  'sql.conflict': { codes: ['STATEMENT_UNSUPPORTED'], percent: 100 },
  // SKIP LOCKED beside a page of several shards, in a transaction.
  'sql.lock': { codes: ['STATEMENT_UNSUPPORTED'], percent: 15 },
  // A lock of rows of the unsharded table, beside shards.
  'sql.lockBeside': { codes: ['STATEMENT_UNSUPPORTED'], percent: 60 },
  // Places of rows in files, over several shards.
  'sql.system': { codes: ['STATEMENT_UNSUPPORTED'], percent: 100 },
  // A WITH that writes rows of several shards: most write those of one key.
  'sql.with': { codes: ['STATEMENT_UNSUPPORTED'], percent: 15 },
  upsert: { codes: ['UPSERT_WITHOUT_SHARD_KEY', 'KEY_MISSING', 'KEY_CHANGED', 'ID_OF_ANOTHER_SLOT'], percent: 15 },
}

/**
 * SQL that TypeORM gets wrong on one database: it pages over joins with the names of columns that it did not select.
 * The scatter does not go that way, and answers.
 */
const oracleMistakes: readonly RegExp[] = [
  /^column distinctAlias\.\w+ does not exist$/,
  /^column reference "\w+__\w+" is ambiguous$/,
]

export const isOracleMistake = ({ error }: Outcome): boolean =>
  error !== undefined && oracleMistakes.some((mistake) => mistake.test(error.message))

/** The most refusals among the operations of a run: a run that refuses everything proves nothing. */
export const mostRefusals = 0.015

/** Where fewer such operations were done, their share says nothing. */
const fewestOperations = 100

/** @param name of the operation that was refused */
export const isAllowedRefusal = (name: string, code: string): boolean =>
  (allowed[name]?.codes ?? []).some((one) => one === code)

/** Operations that were refused more often than they may be. */
export const refusedTooOften = (
  done: ReadonlyMap<string, number>,
  refusals: ReadonlyMap<string, number>,
): readonly string[] =>
  [...done]
    .map(([name, count]) => {
      const refused = [...refusals].filter(([key]) => key.startsWith(`${name} `))
      const sum = refused.reduce((total, [, times]) => total + times, 0)
      return { name, count, sum, percent: allowed[name]?.percent ?? 0 }
    })
    .filter(({ count, sum, percent }) => count >= fewestOperations && sum * 100 > count * percent)
    .map(({ name, count, sum }) => `${name}: ${sum} of ${count}`)
