import type { Row } from '../merging/row'
import type { NodeStatement } from '../planning/scatter-statement'
import { atMost } from './at-most'
import { Cancellation } from './cancellation'

/** Rows of one batch of a cursor: what is held of a source at once, and once more where the next is read ahead. */
export const defaultBatchRows = 1_000

/** A batch that is read ahead has so long to come when nobody wants it any more; then the server is asked to end it. */
const closingGraceMs = 20

/** The end of a transaction that has only read is over at once, unless the node does not answer. */
const endingMs = 5_000

/** The connection of a node, as its cursors need it. */
export interface CursorHost {
  /** Sends a statement for some shards. @throws as NodeConnection.query does */
  send(
    statement: Pick<NodeStatement, 'shards' | 'text' | 'parameters'>,
    cancellation?: Cancellation,
  ): Promise<readonly Row[]>
  /** Gives the connection back; `broken` closes it. */
  release(broken: boolean): void
}

export interface NodeCursorsSettings {
  /** The cursors stand in a transaction of the caller, who ends it. Otherwise they have one of their own on each node. */
  readonly inTransaction: boolean
  readonly open: (node: string, cancellation: Cancellation) => Promise<CursorHost>
  readonly batchRows?: number | undefined
}

interface Cursor {
  readonly statement: NodeStatement
  /** Set once it is declared. */
  name: string | undefined
  running: Promise<readonly Row[]> | undefined
  isAhead: boolean
  isDone: boolean
}

/** Names are one connection's; a counter for all keeps the groups of one transaction apart. */
let named = 0

/** The cursors of one node, on one connection and in one transaction. */
export class NodeCursors {
  isOver = false
  private readonly cursors: readonly Cursor[]
  private readonly batchRows: number
  /** Of this node only: cursors that nobody wants any more are ended here while those of other nodes are read on. */
  private readonly cancellation = new Cancellation()
  private host: CursorHost | undefined
  private hasBegun = false
  private closing: Promise<void> | undefined
  /** Never rejected. */
  private lastClosed: Promise<unknown> = Promise.resolve()

  constructor(
    readonly node: string,
    statements: readonly NodeStatement[],
    private readonly settings: NodeCursorsSettings,
    private readonly onError: (error: unknown) => void,
  ) {
    this.batchRows = settings.batchRows ?? defaultBatchRows
    this.cursors = statements.map((statement) => ({
      statement,
      name: undefined,
      running: undefined,
      isAhead: false,
      isDone: false,
    }))
  }

  get isOpen(): boolean {
    return this.host !== undefined
  }

  /** Takes the connection. */
  async open(cancellation: Cancellation): Promise<void> {
    this.host = await this.settings.open(this.node, cancellation)
  }

  /** Declares the cursors, all of them at once: each sees the rows as they are now, however late it is read. */
  async declare(): Promise<void> {
    if (!this.settings.inTransaction) {
      this.hasBegun = true
      await this.send('BEGIN')
    }
    for (const cursor of this.cursors) {
      const { shards, text, parameters } = cursor.statement
      const name = `ts_cursor_${++named}`
      await this.send(`DECLARE "${name}" NO SCROLL CURSOR FOR ${text}`, parameters, shards)
      cursor.name = name
    }
  }

  /** The next batch of a statement; empty at its end. */
  async next(statement: NodeStatement): Promise<readonly Row[]> {
    const cursor = this.cursorOf(statement)
    if (cursor.isDone) return []
    const rows = await (cursor.isAhead && cursor.running ? cursor.running : this.fetch(cursor))
    cursor.isAhead = false
    if (rows.length < this.batchRows) await this.end(statement)
    else if (!this.settings.inTransaction && !cursor.isDone) {
      // In the caller's transaction nothing is read ahead: to stop it would be to abort that.
      cursor.isAhead = true
      this.fetch(cursor).catch(this.onError)
    }
    return rows
  }

  /** Closes one cursor, and with the last the transaction and the connection. */
  async end(statement: NodeStatement): Promise<void> {
    const cursor = this.cursorOf(statement)
    if (cursor.isDone) return
    cursor.isDone = true
    if (this.cursors.every((one) => one.isDone)) return this.close()
    try {
      await this.closeDeclared([cursor])
    } catch (error) {
      if (this.settings.inTransaction || !this.closing) throw error
      // It has ended with all others: their transaction is over.
      await this.closing
    }
  }

  /** Ends what runs. In the caller's transaction, the server then aborts that on this node. */
  cancel(): void {
    this.cancellation.cancel(new Error('The stream was closed.'))
  }

  /** Closes all. @throws what ended the transaction otherwise than it should, where all rows had been read */
  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async closeOnce(): Promise<void> {
    const isRead = this.cursors.every((cursor) => cursor.isDone)
    for (const cursor of this.cursors) cursor.isDone = true
    const running = Promise.allSettled([...this.cursors.map((cursor) => cursor.running), this.lastClosed])
    if (!this.settings.inTransaction) {
      await atMost(closingGraceMs, running)
      this.cancel()
    }
    await running
    try {
      if (this.settings.inTransaction) await this.closeDeclared(this.cursors)
      // By this name a COMMIT that is not acknowledged leaves nothing in doubt: the transaction has only read.
      else if (this.hasBegun) await this.endTransaction()
      this.host?.release(false)
    } catch (error) {
      this.host?.release(true)
      if (isRead) throw error
    } finally {
      this.isOver = true
    }
  }

  /** Whatever ended the cursors does not end this, and it does not wait for a node without end. */
  private async endTransaction(): Promise<void> {
    const cancellation = new Cancellation({ deadline: { at: performance.now() + endingMs, deadlineMs: endingMs } })
    try {
      await this.host?.send({ shards: this.anyShards, text: 'END', parameters: [] }, cancellation)
    } finally {
      cancellation.close()
    }
  }

  /** One after the other: to close a cursor twice would abort the caller's transaction. */
  private closeDeclared(cursors: readonly Cursor[]): Promise<void> {
    const closed = this.lastClosed.then(() => this.closeThoseLeft(cursors))
    this.lastClosed = closed.catch(() => undefined)
    return closed
  }

  /** Only cursors that are still there: to close one that a rollback has closed would abort the caller's transaction. */
  private async closeThoseLeft(cursors: readonly Cursor[]): Promise<void> {
    await Promise.allSettled(cursors.map((cursor) => cursor.running))
    const names = cursors.flatMap(({ name }) => name ?? [])
    if (names.length === 0 || this.cancellation.isCancelled) return
    const found = await this.send('SELECT name FROM pg_cursors WHERE name = ANY($1)', [names])
    for (const { name } of found) await this.send(`CLOSE "${String(name)}"`)
    for (const cursor of cursors) cursor.name = undefined
  }

  private fetch(cursor: Cursor): Promise<readonly Row[]> {
    cursor.running = this.send(`FETCH FORWARD ${this.batchRows} FROM "${cursor.name}"`, [], cursor.statement.shards)
    return cursor.running
  }

  private send(text: string, parameters: readonly unknown[] = [], shards?: readonly string[]): Promise<readonly Row[]> {
    if (!this.host) throw new RangeError(`The cursors of node ${this.node} are not open.`)
    return this.host.send({ shards: shards ?? this.anyShards, text, parameters }, this.cancellation)
  }

  private get anyShards(): readonly string[] {
    return this.cursors.flatMap(({ statement }) => statement.shards)
  }

  private cursorOf(statement: NodeStatement): Cursor {
    const cursor = this.cursors.find((one) => one.statement === statement)
    if (!cursor) throw new RangeError(`The statement is not of node ${this.node}.`)
    return cursor
  }
}
