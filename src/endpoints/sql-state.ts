import { DatabaseError } from 'pg'

/** SQLSTATE of a table that is not there. */
export const undefinedTable = '42P01'

/** Of any statement, after one of its transaction has failed. */
export const failedTransaction = '25P02'

/** Of a role that may create no table: no privilege, a read-only database, no schema to create tables in. */
const creationRefused: ReadonlySet<string> = new Set(['42501', '25006', '3F000'])

/** True where a server does not let its role create a table, which no repetition changes. */
export const refusesCreation = (error: unknown): boolean => creationRefused.has(sqlState(error) ?? '')

/**
 * The SQLSTATE of a server's error, also inside TypeORM's QueryFailedError, which takes over its fields; undefined for an
 * error without a code.
 */
export const sqlState = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Whether an error is a server's own answer to a statement, rather than of the connection or of this process. */
export const isServerRefusal = (error: unknown): error is DatabaseError => error instanceof DatabaseError

/** The error with which a server refuses any statement of a transaction in which another one has failed. */
export const transactionAborted = (): DatabaseError =>
  Object.assign(
    new DatabaseError('current transaction is aborted, commands ignored until end of transaction block', 0, 'error'),
    { severity: 'ERROR', code: failedTransaction },
  )
