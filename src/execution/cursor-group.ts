import { pushTo } from '../collections/push-to'
import type { Worker } from '../endpoints/activity'
import type { Cancellation } from '../endpoints/cancellation'
import { NodeCursors, type NodeCursorsSettings } from '../endpoints/node-cursors'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { NodeStatement } from '../planning/scatter-statement'

/** An hour: longer than a reader takes for one row, shorter than a lost one may hold a snapshot. */
export const defaultStreamIdleMs = 3_600_000

/** Idle readers are looked for so often within their bound. */
const idleLooks = 4

export interface CursorGroupSettings extends NodeCursorsSettings {
  readonly statements: readonly NodeStatement[]
  /** Made when the first row is asked for; closed with the group. */
  readonly cancellation: () => Cancellation
  /** Takes what must be had before any connection; the result gives it back. */
  readonly enter: (cancellation: Cancellation, reader: Worker) => Promise<() => void>
  /** Milliseconds that the reader may leave the group alone. */
  readonly idleMs: number
  /** What a statement's error is to the reader. */
  readonly unwrap: (error: unknown) => unknown
}

/** The batches of one statement, none of them empty. `return()` closes its cursor. */
export interface BatchSource extends AsyncIterableIterator<readonly Row[], undefined> {
  return(): Promise<IteratorReturnResult<undefined>>
}

/**
 * The rows of several statements, read batch by batch as they are asked for: one connection a node, on which each
 * statement is a cursor (`DECLARE`, `FETCH`), so that any number of them may be read in turn, between other statements too.
 * Portals of the extended protocol would take a connection each.
 *
 * Nothing is opened before the first row is asked for. Each node's connection goes back when the last of its cursors has
 * ended. When one fails, or the limits are reached, all are closed at once, and every source throws that error. Whoever
 * makes a group calls `close` in a `finally`, also where every source was closed: some may never have been begun.
 */
export class CursorGroup implements Worker {
  /** One a statement, in their order; each may be read once. */
  readonly sources: readonly BatchSource[]
  private readonly nodes: readonly NodeCursors[]
  private cancellation: Cancellation | undefined
  private opening: Promise<void> | undefined
  private leave: (() => void) | undefined
  private closing: Promise<void> | undefined
  private reads = 0
  private lastRead = performance.now()
  private idleTimer: NodeJS.Timeout | undefined

  constructor(private readonly settings: CursorGroupSettings) {
    const byNode = new Map<string, NodeStatement[]>()
    for (const statement of settings.statements) pushTo(byNode, statement.node, statement)
    // In one order everywhere: two groups, or a group and a transaction, never wait for each other's connections.
    const names = [...byNode.keys()].sort()
    this.nodes = names.map(
      (node) => new NodeCursors(node, byNode.get(node) ?? [], settings, (error) => void this.fail(error)),
    )
    this.sources = Object.freeze(settings.statements.map((statement) => this.source(statement)))
  }

  /** The reader has taken a row of a batch. */
  touch(): void {
    this.lastRead = performance.now()
  }

  /** Milliseconds since the reader took a row; 0 while it waits for one. */
  get idleMs(): number {
    return this.reads > 0 ? 0 : performance.now() - this.lastRead
  }

  /** Closes every cursor and gives every connection back; what still runs is cancelled. Safe to call twice. */
  close(): Promise<void> {
    this.closing ??= Promise.resolve().then(() => this.closeAll())
    return this.closing
  }

  private source(statement: NodeStatement): BatchSource {
    const source: BatchSource = {
      next: async () => {
        const value = await this.next(statement)
        return value.length > 0 ? { value, done: false } : { value: undefined, done: true }
      },
      return: async () => {
        await this.end(statement)
        return { value: undefined, done: true }
      },
      [Symbol.asyncIterator]: () => source,
    }
    return Object.freeze(source)
  }

  /** The next batch of a statement; empty at its end. */
  private async next(statement: NodeStatement): Promise<readonly Row[]> {
    this.reads += 1
    try {
      this.cancellation?.throwIfCancelled()
      if (this.closing) return []
      this.opening ??= this.openAll()
      await this.opening
      this.cancellation?.throwIfCancelled()
      const rows = await this.nodeOf(statement).next(statement)
      if (this.cancellation?.countsRows && !this.cancellation.countRows(rows.length))
        this.cancellation.throwIfCancelled()
      await this.closeIfOver()
      return rows
    } catch (error) {
      if (this.closing && !this.cancellation?.isCancelled) return []
      await this.fail(error)
      throw this.settings.unwrap(this.cancellation?.ended ?? error)
    } finally {
      this.reads -= 1
      this.touch()
    }
  }

  /** A reader that went away without a word keeps a connection and a snapshot: it is told when it comes back. */
  private watchIdle(): void {
    const { idleMs } = this.settings
    if (idleMs === Number.POSITIVE_INFINITY) return
    this.idleTimer = setInterval(() => {
      if (this.idleMs < idleMs) return
      void this.fail(
        new ShardedError('STREAM_IDLE', `Nobody has read the stream for ${idleMs} ms.`, {
          details: { streamIdleMs: idleMs },
        }),
      )
    }, idleMs / idleLooks).unref()
  }

  private async end(statement: NodeStatement): Promise<void> {
    if (!this.opening || this.closing) return this.closing
    await this.opening.catch(() => undefined)
    await this.nodeOf(statement).end(statement)
    await this.closeIfOver()
  }

  private async closeIfOver(): Promise<void> {
    if (this.nodes.every((node) => node.isOver)) await this.close()
  }

  private nodeOf({ node }: NodeStatement): NodeCursors {
    const found = this.nodes.find((one) => one.node === node)
    if (!found) throw new RangeError(`No cursor is of node ${node}.`)
    return found
  }

  private async openAll(): Promise<void> {
    const cancellation = this.settings.cancellation()
    this.cancellation = cancellation
    // Also while nobody asks for rows: an abort does not wait for the reader.
    cancellation.onCancel(() => void this.close())
    cancellation.throwIfCancelled()
    this.leave = await this.settings.enter(cancellation, this)
    this.watchIdle()
    for (const node of this.nodes) await node.open(cancellation)
    await Promise.all(
      this.nodes.map((node) =>
        node.declare().catch((error: unknown) => {
          void this.fail(error)
          throw error
        }),
      ),
    )
  }

  /** Ends the group with its first error. */
  private fail(error: unknown): Promise<void> {
    this.cancellation?.cancel(this.settings.unwrap(error))
    return this.close()
  }

  private async closeAll(): Promise<void> {
    clearInterval(this.idleTimer)
    if (!this.opening) return
    const isFailed = this.cancellation?.isCancelled === true
    for (const node of this.nodes) {
      if (isFailed) node.cancel()
      else if (!node.isOpen) this.cancellation?.cancel(new Error('The stream was closed.'))
    }
    await this.opening.catch(() => undefined)
    clearInterval(this.idleTimer)
    // What failed in closing was thrown to the reader of the last row, or has no reader.
    await Promise.allSettled(this.nodes.map((node) => node.close()))
    this.leave?.()
    this.cancellation?.close()
  }
}
