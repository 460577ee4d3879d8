import type { PoolClient, QueryResult } from 'pg'
import type { Cancellation } from './cancellation'
import type { ConnectionSettings } from './connection-settings'
import { isRead } from './is-read'
import { type PlanProblem, stalePlan } from './named-plans'
import { internalsOf, PgQuery, type Socket, type TransactionState, type Wire } from './pg-internals'
import { descriptionOf, isCurrent, PreparedStatements, type StatementName } from './prepared-statements'
import type { Waiting } from './silence-watch'
import type { Statement } from './statement'

/** The session of a pooled client, as long as that is connected: what is known of it, and how statements are sent on it. */
export abstract class Session implements Waiting {
  waitsSince: number | undefined
  heardAt = 0
  /** Something of an ended statement may still arrive at the server: whoever comes next must not have the connection. */
  isDoubtful = false
  /** When the server last ended a statement, or a part of a stream: as `performance.now()` has it. */
  lastAnswered = 0
  /** The connection is gone. */
  hasEnded = false
  /** The server has taken the values of the present statement. What it refused before has not run. */
  isBound = false
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>
  /** Why it is gone, where either side said so. */
  endedBy: Error | undefined
  readonly messages: GatheredMessages
  /** Statements with a name on this connection. */
  protected readonly prepared: PreparedStatements
  protected readonly wire: Wire
  /** Of `NamedPlans`, when its names were given. */
  private generation = 0
  private state: TransactionState = 'I'
  private isReady = true
  private waiting: (() => void)[] = []
  private closing: string[] = []

  /** It must be made while the client is idle. */
  constructor(
    readonly client: PoolClient,
    protected readonly settings: ConnectionSettings,
  ) {
    const { plans } = settings
    this.prepared = new PreparedStatements(
      plans.maxPrepared,
      (name) => this.closeLater(name),
      (text) => plans.mayBeRewritten(text),
    )
    this.wire = internalsOf(client).connection
    this.messages = new GatheredMessages(this.wire)
    this.wire.on('readyForQuery', ({ status }) => {
      this.state = status
      this.isReady = true
      this.lastAnswered = performance.now()
      this.wake()
    })
    this.wire.on('bindComplete', () => {
      this.isBound = true
    })
    this.wire.on('portalSuspended', () => {
      this.lastAnswered = performance.now()
    })
    this.gone = new Promise((resolve) => {
      const end = (): void => {
        this.hasEnded = true
        resolve()
        this.wake()
      }
      this.wire.on('end', end)
      // Also keeps an error between two statements from ending the process; the next statement will tell.
      client.on('error', (error) => {
        this.endedBy ??= error
        end()
      })
    })
  }

  get inTransaction(): boolean {
    return this.state !== 'I'
  }

  get isTransactionFailed(): boolean {
    return this.state === 'E'
  }

  /** Nothing of this holder's is left behind for the next one: no transaction, and no statement that still runs. */
  get isClean(): boolean {
    return this.isReady && !this.isDoubtful && this.state === 'I'
  }

  /** Resolves when the server takes the next statement, or when the connection has ended. */
  ready(): Promise<void> {
    if (this.isReady || this.hasEnded) return Promise.resolve()
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  /** Names that the server is to forget now. It takes a name that it does not know, too. */
  takeClosing(): readonly string[] {
    if (this.closing.length === 0) return this.closing
    const { closing } = this
    this.closing = []
    return closing
  }

  /** Breaks the connection; the running statement fails. */
  destroy(reason?: Error): void {
    this.endedBy ??= reason
    this.wire.stream.destroy()
  }

  /** The prepared statement as which a text is to be sent; undefined: none. */
  nameOf(text: string, values: readonly unknown[] | undefined): StatementName | undefined {
    const { generation, maxPrepared } = this.settings.plans
    if (this.generation !== generation) {
      this.generation = generation
      this.prepared.clear()
    }
    return maxPrepared === 0 ? undefined : this.prepared.nameFor(text, values?.length ?? 0)
  }

  /** Sends a statement, and has the server end it on cancellation. */
  async sendCancellable(statement: Statement, cancellation: Cancellation): Promise<QueryResult> {
    const running = this.send(statement)
    let cancelling: Promise<void> | undefined
    const off = cancellation.onCancel(() => {
      cancelling = this.cancel(running, statement.text)
    })
    try {
      return await running
    } finally {
      off()
      // A request that is still under way would hit the next statement.
      await cancelling
    }
  }

  /** Sends a statement: by name where it is worth preparing, as text, or as a COPY. */
  send(statement: Statement): Promise<QueryResult> {
    const { text, rows, values, named, cancellation, start } = statement
    // What goes as text, or a COPY, cannot have the start of its transaction in its own message.
    if (start !== undefined && (rows || (!named && !values?.length)))
      return this.sendText(start).then(() => this.send({ ...statement, start: undefined }))
    if (rows) return this.copy(text, rows)
    return new Promise((resolve, reject) => {
      const query = new NamedQuery(text, values, named, this, start)
      let isWithin = true
      let hasFailed = false
      query.callback = (error, result) => {
        if (error) {
          hasFailed = true
          const problem = named && stalePlan(error, this.isBound)
          if (problem) resolve(this.sendAgain(statement, problem, error))
          else reject(error)
          return
        }
        if (hasFailed) {
          // pg could not send a value: it closed the statement on the server, and keeps its name as one that is parsed.
          if (named) this.forgetParsed(named.name)
          return
        }
        if (named) named.description ??= descriptionOf(result, this.client)
        if (isWithin) resolve(result)
        else reject(cancellation?.ended)
      }
      // What a write returns is not counted: it has taken effect.
      if (cancellation?.countsRows && onlyReads(text, named)) {
        // What comes after the budget is spent is let go, until the server has heard of it.
        query.on('row', (_row: unknown, result?: { rows: unknown[] }) => {
          if (cancellation.countRows()) return
          isWithin = false
          if (result) result.rows.length = 0
        })
      }
      this.sent()
      this.client.query(query)
    })
  }

  /** Asks the server to end the running statement, until that has ended; bounded by closing the connection. */
  protected abstract cancel(running: Promise<unknown>, text: string): Promise<void>

  protected abstract copy(text: string, rows: Buffer): Promise<QueryResult>

  /** A named statement has not run. It is sent again if nothing else has run in its transaction, which the server has aborted. */
  protected abstract sendAgain(statement: Statement, problem: PlanProblem, error: Error): Promise<QueryResult>

  protected sendText(text: string): Promise<QueryResult> {
    this.sent()
    return this.client.query(text)
  }

  /** A statement is about to be sent. */
  protected sent(): void {
    this.isReady = false
    this.isBound = false
  }

  /** Forgets that pg has parsed a statement of this name: it never does so by itself. */
  private forgetParsed(name: string): void {
    delete this.wire.parsedStatements?.[name]
  }

  /** A name is used no more: the server hears of it with the next statement that goes by Parse or Bind. */
  private closeLater(name: string): void {
    this.forgetParsed(name)
    this.closing.push(name)
  }

  private wake(): void {
    const { waiting } = this
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}

/** Read once of a text that is named: a statement over many shards has thousands of letters. */
function onlyReads(text: string, named: StatementName | undefined): boolean {
  if (!named) return isRead(text)
  named.isRead ??= isRead(text)
  return named.isRead
}

const withWitnesses = (values: readonly unknown[] | undefined, witnesses: number): readonly unknown[] | undefined =>
  witnesses === 0 ? values : [...(values ?? []), ...Array<null>(witnesses).fill(null)]

/**
 * A query of pg that is given a callback, which spares pg's copy of the configuration and two promises a statement. The rows
 * of a named statement are described once a connection and not once an execution: that spares the server a message, and
 * pg the making of parsers, and of rows that have another hidden class in each result. A `start` of the transaction goes before
 * it in the same message, where it goes by Parse, Bind and Execute.
 */
class NamedQuery extends PgQuery {
  /** The start is on its way, and the server has not said yet what became of it. */
  private isStarting = false

  constructor(
    text: string,
    values: readonly unknown[] | undefined,
    private readonly statement: StatementName | undefined,
    private readonly at: Session,
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
class GatheredMessages {
  /** The connection, but for that what it sends is gathered. */
  readonly sender: Wire
  /** The same, and it asks for no description of rows. */
  readonly quiet: Wire
  private readonly messages: Buffer[] = []

  constructor(private readonly wire: Wire) {
    const { messages } = this
    const gathering: Socket = {
      get writable() {
        return wire.stream.writable
      },
      write: (message) => messages.push(message) > 0,
    }
    this.sender = Object.create(wire, { stream: { value: gathering } })
    this.quiet = Object.create(this.sender, { describe: { value: () => undefined } })
  }

  /** Sends what was gathered. */
  flush(): void {
    const { stream } = this.wire
    const messages = this.messages.splice(0)
    const bytes = messages.reduce((sum, { length }) => sum + length, 0)
    if (bytes <= maxCopied) stream.write(Buffer.concat(messages, bytes))
    else for (const message of messages) stream.write(message)
  }
}
