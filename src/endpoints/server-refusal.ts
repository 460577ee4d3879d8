import { DatabaseError } from 'pg'

/** Whether an error is a server's own answer to a statement, rather than of the connection or of this process. */
export const isServerRefusal = (error: unknown): error is DatabaseError => error instanceof DatabaseError
