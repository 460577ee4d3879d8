import { type PoolClient, Query, type QueryResult } from 'pg'
import { isCurrent, type StatementName } from './prepared-statements'

/** What pg's query has besides what its types tell. */
interface PgQuery {
  name?: string | undefined
  callback?: (error: Error | null | undefined, result: QueryResult) => void
  readonly _result: object
  /** Sends Parse where it is needed, Bind, Describe, Execute and Sync. */
  prepare(connection: Wire): void
  handleCommandComplete(message: object, connection: Wire): void
  handleError(error: Error, connection: Wire): void
  handleRowDescription(message: { readonly fields: readonly [] }): void
}

const PgQuery = Query as unknown as new (text: string, values: readonly unknown[] | undefined) => Query & PgQuery

/** What pg's connection sends, and what it knows of statements that are on their way. */
export interface Wire extends Sender {
  readonly submittedNamedStatements?: Record<string, string>
  parse(statement: { readonly text: string }): void
  bind(portal: object): void
  execute(portal: object): void
  close(statement: { readonly type: 'S'; readonly name: string }): void
}

/** A client of pg, and how the messages of one statement go to its server. */
export interface MessageClient {
  readonly client: PoolClient
  readonly messages: GatheredMessages<Wire>
  /** The server has taken the values of the present statement. What it refused before has not run. */
  isBound: boolean
  /** Names that the server is to forget now. It takes a name that it does not know, too. */
  takeClosing(): readonly string[]
}

const withWitnesses = (values: readonly unknown[] | undefined, witnesses: number): readonly unknown[] | undefined =>
  witnesses === 0 ? values : [...(values ?? []), ...Array<null>(witnesses).fill(null)]

/**
 * A query of pg that is given a callback, which spares pg's copy of the configuration and two promises a statement. The rows
 * of a named statement are described once a connection and not once an execution: that spares the server a message, and
 * pg the making of parsers, and of rows that have another hidden class in each result. A `start` of the transaction goes before
 * it in the same message, where it goes by Parse, Bind and Execute.
 */
export class NamedQuery extends PgQuery {
  /** The start is on its way, and the server has not said yet what became of it. */
  private isStarting = false

  constructor(
    text: string,
    values: readonly unknown[] | undefined,
    private readonly statement: StatementName | undefined,
    private readonly at: MessageClient,
    private readonly start?: string,
  ) {
    super(statement?.text ?? text, statement ? withWitnesses(values, statement.witnesses) : values)
    this.name = statement?.name
  }

  override prepare(): void {
    const { start, at } = this
    const { sender } = at.messages
    try {
      // First: a name that is given again at once is parsed anew.
      for (const name of at.takeClosing()) sender.close({ type: 'S', name })
      if (start === undefined) {
        this.prepareOwn()
        return
      }
      sender.parse({ text: start })
      sender.bind({})
      sender.execute({})
      this.prepareOwn()
      this.isStarting = true
      // The first statement that the server says it has parsed is the start, and pg would take it for this one.
      this.name = undefined
    } finally {
      at.messages.flush()
    }
  }

  override handleCommandComplete(message: object, connection: Wire): void {
    if (this.isStarting) this.hasStarted()
    else super.handleCommandComplete(message, connection)
  }

  override handleError(error: Error, connection: Wire): void {
    if (this.isStarting) {
      this.hasStarted()
      // pg has done so for the name that it saw.
      if (this.name !== undefined) delete connection.submittedNamedStatements?.[this.name]
    }
    super.handleError(error, connection)
  }

  private hasStarted(): void {
    this.isStarting = false
    this.name = this.statement?.name
    this.at.isBound = false
  }

  private prepareOwn(): void {
    const { statement, at } = this
    const known = statement?.description
    if (!known || !isCurrent(known, at.client)) {
      if (known) statement.description = undefined
      super.prepare(at.messages.sender)
      return
    }
    this.handleRowDescription({ fields: [] })
    Object.assign(this._result, known.shape)
    super.prepare(at.messages.quiet)
  }
}

/** The socket of a connection, as far as messages are written to it. */
interface Socket {
  readonly writable: boolean
  write(message: Buffer): boolean
}

/** What pg sends messages by. */
export interface Sender {
  readonly stream: object
}

/** Bytes up to which messages are copied into one: to copy more costs more than a write. */
const maxCopied = 16_384

/**
 * Messages of one statement on their way to the server, which go to the socket in one write. pg writes each message, and
 * corks the socket meanwhile: for a find by key, four writes in JavaScript and a system call over four buffers take twice
 * as long as to copy some hundred bytes.
 *
 * @example
 * const gathered = new GatheredMessages(connection)
 * gathered.sender.bind({ statement: 'by_id', values: ['1'] })
 * gathered.sender.sync()
 * gathered.flush() // both in one write
 */
export class GatheredMessages<Wire extends Sender> {
  /** The connection, but for that what it sends is gathered. */
  readonly sender: Wire
  /** The same, and it asks for no description of rows. */
  readonly quiet: Wire
  private readonly messages: Buffer[] = []

  constructor(private readonly wire: Wire) {
    const { messages } = this
    const gathering: Socket = {
      get writable() {
        return (wire.stream as Socket).writable
      },
      write: (message) => messages.push(message) > 0,
    }
    this.sender = Object.create(wire, { stream: { value: gathering } })
    this.quiet = Object.create(this.sender, { describe: { value: () => undefined } })
  }

  /** Sends what was gathered. */
  flush(): void {
    const socket = this.wire.stream as Socket
    const messages = this.messages.splice(0)
    const bytes = messages.reduce((sum, { length }) => sum + length, 0)
    if (bytes <= maxCopied) socket.write(Buffer.concat(messages, bytes))
    else for (const message of messages) socket.write(message)
  }
}
