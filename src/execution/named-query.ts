import { type PoolClient, Query, type QueryResult } from 'pg'
import type { StatementName } from './prepared-statements'
import { isCurrent } from './row-description'

/** What pg's query has besides what its types tell. */
interface PgQuery {
  name?: string | undefined
  callback?: (error: Error | null | undefined, result: QueryResult) => void
  readonly _result: object
  /** Sends Parse where it is needed, Bind, Describe, Execute and Sync. */
  prepare(connection: object): void
  handleRowDescription(message: { readonly fields: readonly [] }): void
}

const PgQuery = Query as unknown as new (text: string, values: readonly unknown[] | undefined) => Query & PgQuery

/** A client of pg, and its connection but for that `describe` sends nothing on it. */
export interface QuietClient {
  readonly client: PoolClient
  readonly quiet: object
}

/**
 * A query of pg that is given a callback, which spares pg's copy of the configuration and two promises a statement. The rows
 * of a named statement are described once a connection and not once an execution: that spares the server a message, and
 * pg the making of parsers, and of rows that have another hidden class in each result.
 */
export class NamedQuery extends PgQuery {
  constructor(
    text: string,
    values: readonly unknown[] | undefined,
    private readonly statement: StatementName | undefined,
    private readonly at: QuietClient,
  ) {
    super(text, values)
    this.name = statement?.name
  }

  override prepare(connection: object): void {
    const { statement, at } = this
    const known = statement?.description
    if (!known || !isCurrent(known, at.client)) {
      if (known) statement.description = undefined
      super.prepare(connection)
      return
    }
    this.handleRowDescription({ fields: [] })
    Object.assign(this._result, known.shape)
    super.prepare(at.quiet)
  }
}
