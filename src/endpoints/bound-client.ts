import type { QueryResult, Submittable } from 'pg'
import type { Cancellation } from './cancellation'
import type { NodeConnection } from './node-connection'

/** Turns a statement with the placeholder schema into one of a shard. */
export type BindText = (text: string) => string

type QueryCallback = (error: unknown, result?: QueryResult) => void

/** A submittable of pg (a cursor, a query stream), whose text is bound before it is sent. */
interface BindableStream extends Submittable {
  readonly cursor?: { text: string }
}

/** What TypeORM takes for a client of pg: a node's connection that binds every statement to one shard. */
export class BoundClient {
  constructor(
    readonly connection: NodeConnection,
    private readonly bind: BindText,
    private readonly shard: string | undefined,
    readonly cancellation?: Cancellation,
  ) {}

  query(text: string | BindableStream, values?: readonly unknown[] | QueryCallback, callback?: QueryCallback): unknown {
    if (typeof text !== 'string') return this.submit(text)
    const done = typeof values === 'function' ? values : callback
    const parameters = typeof values === 'function' ? undefined : values
    const result = this.run(text, parameters)
    if (!done) return result
    result.then(
      (rows) => done(null, rows),
      (error: unknown) => done(error),
    )
    return undefined
  }

  /** As `query` of a text without a callback. */
  run(text: string, values: readonly unknown[] | undefined): Promise<QueryResult> {
    return this.send(this.bind(text), values)
  }

  on(event: 'error', listener: (error: Error) => void): this {
    this.connection.client.on(event, listener)
    return this
  }

  removeListener(event: 'error', listener: (error: Error) => void): this {
    this.connection.client.removeListener(event, listener)
    return this
  }

  /** The end of a transaction is not cancelled: a rollback is what follows a cancelled statement, and a commit is too late. */
  private send(text: string, parameters: readonly unknown[] | undefined): Promise<QueryResult> {
    const { connection, shard, cancellation } = this
    if (!cancellation || !/^(?:COMMIT|ROLLBACK)\b/.test(text))
      return connection.query(text, parameters, shard, cancellation)
    if (text.startsWith('COMMIT') && cancellation.isCancelled) return Promise.reject(cancellation.ended)
    return connection.query(text, parameters, shard)
  }

  private submit(stream: BindableStream): unknown {
    if (stream.cursor) stream.cursor.text = this.bind(stream.cursor.text)
    return this.connection.submit(stream)
  }
}

/** A client whose one statement is sent otherwise than it is told. */
export class StatementClient extends BoundClient {
  constructor(
    connection: NodeConnection,
    private readonly sent: () => Promise<QueryResult>,
  ) {
    super(connection, (text) => text, undefined)
  }

  override run(): Promise<QueryResult> {
    return this.sent()
  }
}
