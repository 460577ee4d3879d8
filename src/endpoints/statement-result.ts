/** What a server answers to a statement, as pg gives it. */
export type { QueryResult as StatementResult } from 'pg'
