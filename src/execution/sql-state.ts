/** SQLSTATE of a table that is not there. */
export const undefinedTable = '42P01'

/** Of any statement, after one of its transaction has failed. */
export const failedTransaction = '25P02'

/**
 * The SQLSTATE of a server's error, also inside TypeORM's QueryFailedError, which takes over its fields; undefined for an
 * error without a code.
 */
export const sqlState = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
