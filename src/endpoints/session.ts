import type { PoolClient } from 'pg'
import { GatheredMessages, type MessageClient, type Wire as MessageWire } from './named-query'
import type { PreparedStatements } from './prepared-statements'

/** What a server says whenever it is ready: idle, in a transaction, in a transaction that has failed. */
type TransactionState = 'I' | 'T' | 'E'

/** pg's connection below a client; its types leave out what it emits. */
interface Wire extends MessageWire {
  parsedStatements?: Record<string, string>
  readonly stream: { destroy(): void; pause(): void; resume(): void }
  on(event: 'readyForQuery', listener: (message: { readonly status: TransactionState }) => void): void
  on(event: 'end' | 'portalSuspended' | 'bindComplete', listener: () => void): void
}

const sessions = new WeakMap<PoolClient, Session>()

/** What is known of the session of a pooled client, as long as that is connected. */
export class Session implements MessageClient {
  /** Statements with a name on this connection. */
  prepared: PreparedStatements | undefined
  /** Of `NamedPlans`, when its names were given. */
  generation = 0
  /** Something of an ended statement may still arrive at the server: whoever comes next must not have the connection. */
  isDoubtful = false
  /** When the server last ended a statement, or a part of a stream: as `performance.now()` has it. */
  lastAnswered = 0
  private state: TransactionState = 'I'
  private isReady = true
  /** The connection is gone. */
  hasEnded = false
  isBound = false
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>
  /** Why it is gone, where either side said so. */
  endedBy: Error | undefined
  readonly messages: GatheredMessages<Wire>
  private readonly wire: Wire
  private waiting: (() => void)[] = []
  private closing: string[] = []

  private constructor(readonly client: PoolClient) {
    // Each client of pg has it; @types/pg leaves it out.
    this.wire = (client as unknown as { readonly connection: Wire }).connection
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
    let isGone: () => void = () => undefined
    this.gone = new Promise((resolve) => {
      isGone = resolve
    })
    const end = (): void => {
      this.hasEnded = true
      isGone()
      this.wake()
    }
    this.wire.on('end', end)
    // Also keeps an error between two statements from ending the process; the next statement will tell.
    client.on('error', (error) => {
      this.endedBy ??= error
      end()
    })
  }

  /** The session of a client; the first call must come while it is idle. */
  static of(client: PoolClient): Session {
    const known = sessions.get(client)
    if (known) return known
    const session = new Session(client)
    sessions.set(client, session)
    return session
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

  /** A statement is about to be sent. */
  sent(): void {
    this.isReady = false
    this.isBound = false
  }

  /** Resolves when the server takes the next statement, or when the connection has ended. */
  ready(): Promise<void> {
    if (this.isReady || this.hasEnded) return Promise.resolve()
    return new Promise((resolve) => this.waiting.push(resolve))
  }

  /** Forgets that pg has parsed a statement of this name: it never does so by itself. */
  forgetParsed(name: string): void {
    delete this.wire.parsedStatements?.[name]
  }

  /** A name is used no more: the server hears of it with the next statement that goes by Parse or Bind. */
  closeLater(name: string): void {
    this.forgetParsed(name)
    this.closing.push(name)
  }

  takeClosing(): readonly string[] {
    if (this.closing.length === 0) return this.closing
    const { closing } = this
    this.closing = []
    return closing
  }

  /** Reads nothing more from the server until `work` has ended: a flood of rows would keep all else from being heard. */
  async unread(work: Promise<void>): Promise<void> {
    const { stream } = this.wire
    stream.pause()
    try {
      await work
    } finally {
      stream.resume()
    }
  }

  /** Breaks the connection; the running statement fails. */
  destroy(reason?: Error): void {
    this.endedBy ??= reason
    this.wire.stream.destroy()
  }

  private wake(): void {
    const { waiting } = this
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}
