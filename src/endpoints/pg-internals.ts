import { type ClientBase, Query, type QueryResult } from 'pg'

/** What a server says whenever it is ready: idle, in a transaction, in a transaction that has failed. */
export type TransactionState = 'I' | 'T' | 'E'

/** The socket of a connection, as far as messages are written to it. */
export interface Socket {
  readonly writable: boolean
  write(message: Buffer): boolean
}

/** pg's connection below a client. */
export interface Wire {
  parsedStatements?: Record<string, string>
  /** Statements that are on their way. */
  readonly submittedNamedStatements?: Record<string, string>
  readonly stream: Socket & {
    readonly remoteAddress?: string | undefined
    destroy(error?: Error): void
    pause(): void
    resume(): void
  }
  parse(statement: { readonly text: string }): void
  bind(portal: object): void
  execute(portal: object): void
  close(statement: { readonly type: 'S'; readonly name: string }): void
  on(event: 'readyForQuery', listener: (message: { readonly status: TransactionState }) => void): void
  on(event: 'end' | 'portalSuspended' | 'bindComplete', listener: () => void): void
}

/** Which session a client of pg speaks with, where, and on what. Of a pooler the session is not the server's. */
export interface ClientInternals {
  readonly host: string
  readonly port: number
  readonly processID: number | null
  readonly secretKey: number | null
  readonly ssl: boolean | { readonly key?: unknown }
  readonly sslNegotiation?: 'postgres' | 'direct'
  readonly connection: Wire
}

// Each client of pg has them; @types/pg leaves them out.
export const internalsOf = (client: ClientBase): ClientInternals => client as unknown as ClientInternals

/** What pg's query has besides what its types tell. */
export interface PgQuery {
  name?: string | undefined
  callback?: (error: Error | null | undefined, result: QueryResult) => void
  readonly _result: object
  /** Sends Parse where it is needed, Bind, Describe, Execute and Sync. */
  prepare(connection: Wire): void
  handleCommandComplete(message: object, connection: Wire): void
  handleError(error: Error, connection: Wire): void
  handleRowDescription(message: { readonly fields: readonly [] }): void
}

// Its types tell no more of it than what callers of pg need.
export const PgQuery = Query as unknown as new (text: string, values: readonly unknown[] | undefined) => Query & PgQuery
