import { setImmediate as nextTurn } from 'node:timers/promises'
import { type ObjectLiteral, QueryFailedError } from 'typeorm'
import type { Worker } from '../../endpoints/activity'
import { BoundClient } from '../../endpoints/bound-client'
import type { Cancellation } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import { isServerRefusal } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import type { Row } from '../../merging/row'
import { physicalName } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { clockDefaults } from '../binding/clock-defaults'
import { requireKey } from '../binding/entity-binding'
import { checkIdSlot, GivenIds, whenReserved } from '../binding/entity-ids'
import { shardOfKey } from '../binding/entity-shards'
import { primaryKeyText, storedKeys } from '../binding/primary-key-text'
import { fillKey, keyValues } from '../find/with-key'
import { checkHintedPlace, type OperationContext } from '../operations/operation-context'
import { unwrap } from '../runners/shard-access'
import { ShardQueryRunner } from '../runners/shard-query-runner'
import { generateKey } from '../writes/entity-graph'
import { InheritedKeys } from '../writes/inherited-keys'
import { type LoadChunk, LoadChunks } from './load-chunks'
import { type RowEncoder, rowEncoder } from './load-encoder'
import type { LoadedShard, LoadOptions, LoadReport } from './load-options'
import { LoadWorker } from './load-worker'
import { readUntil } from './read-until'

/** What became of the rows of one shard so far. */
interface Tally {
  given: number
  rows: number
  skipped: number
  row?: number
  failed?: { readonly error: unknown }
}

interface ReportedStage {
  readonly stage: 'loading' | 'end' | 'cut'
  /** What the shard took has been committed. */
  readonly isDurable: boolean
}

const columnsWithDefault = `SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = format('%I.%I', $1::text, $2::text)::regclass AND a.attnum > 0
  AND (a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL)`

/**
 * Rows that are encoded before the event loop gets a turn. An input that is at hand never waits by itself, and each COPY needs
 * two answers of its server to go on.
 */
const rowsInTurn = 64

/** Rows after which `pause` is called. */
export const rowsBetweenPauses = 20_000

/** The connection on which a shard is written. */
export type ConnectionOf = (shard: Shard) => Promise<NodeConnection>

interface RowLoadSettings {
  readonly options: LoadOptions
  readonly connectionOf: ConnectionOf
  readonly cancellation: Cancellation
  /** Those that rows may go to. */
  readonly shards: readonly Shard[]
  /** A shard that fails ends the load; else the others go on. */
  readonly endsAtOnce: boolean
  /** Answers a query on a shard as the transaction of the load does; undefined where each batch is its own. */
  readonly ask?: (shard: Shard, text: string) => Promise<Row | undefined>
  /** Called now and then while no COPY runs. What it throws ends the load. */
  readonly pause?: () => Promise<void>
}

/** Fills a row's key from the hint. @throws TypeError for what is no row */
function checkRow({ binding, hint }: OperationContext, row: unknown): asserts row is ObjectLiteral {
  if (row === null || typeof row !== 'object' || Array.isArray(row)) throw notARow(binding.entity.name, row)
  if (hint?.kind === 'key') fillKey(binding, row, keyValues(binding, hint.value))
}

/** A row may have the key of an object that it refers to; a row that is not in the input is not looked up. */
function keyOfRow({ binding, access }: OperationContext, row: ObjectLiteral, ids: GivenIds): readonly string[] {
  generateKey(binding, row, ids)
  new InheritedKeys({ source: access, onScatter: () => {} }).fill({ binding, entity: row }, ids)
  return requireKey(binding, row, 'load')
}

/**
 * The rows of one `load`: placed, encoded and gathered here, while each node takes one COPY after the other. At most some
 * chunks a node and one unfinished chunk a shard wait in memory; the input is read no further until a chunk is sent.
 */
export class RowLoad implements Worker {
  /** The row that was not to be sent, by its number in the input. */
  private rejected: number | undefined
  private count = 0
  private lastTaken = performance.now()
  private readonly tallies = new Map<Shard, Tally>()
  private readonly workers = new Map<string, LoadWorker>()
  /** The connections in use, and how to watch each no more. */
  private readonly watched = new Map<NodeConnection, () => void>()
  /** Shards of which a batch was not stored at all: what follows is not either. */
  private readonly caughtUp = new Set<Shard>()
  private readonly chunks: LoadChunks

  constructor(
    private readonly context: OperationContext,
    private readonly settings: RowLoadSettings,
  ) {
    this.chunks = new LoadChunks(context.binding.shards.length, settings.options.batch)
  }

  /** Reads the input to its end and sends it all. @throws what ended it before; `settle` must follow then */
  async feed(rows: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
    try {
      await this.read(rows)
      for (const chunk of this.chunks.rest()) await this.push(chunk)
      await this.rest()
      this.settings.cancellation.throwIfCancelled()
    } finally {
      for (const off of this.watched.values()) off()
    }
  }

  private async read(rows: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
    const { cancellation } = this.settings
    const defaults = await this.defaults()
    const encode = rowEncoder(this.context.binding, defaults, await this.clocks(defaults))
    if (Symbol.iterator in rows) {
      for (const row of rows) {
        cancellation.throwIfCancelled()
        await this.take(row, encode)
      }
    } else {
      for await (const row of readUntil(rows, cancellation)) await this.take(row, encode)
    }
  }

  /** Milliseconds since the input gave a row: rows are gathered for a while before they are sent. */
  get idleMs(): number {
    return performance.now() - this.lastTaken
  }

  /** Ends what still runs, and waits until every connection is at rest. */
  async settle(error: unknown): Promise<void> {
    this.settings.cancellation.cancel(unwrap(error))
    await this.rest()
  }

  /**
   * What became of the rows: while they are `loading`, of an input that was read to its `end`, or of one that was `cut` short,
   * so that nobody knows what is missing.
   *
   * @param isDurable says of a shard whether what it took has been committed
   */
  report(stage: 'loading' | 'end' | 'cut', isDurable: (shard: Shard) => boolean = () => true): LoadReport {
    const { shards } = this.context.binding
    return Object.freeze({
      rows: this.count,
      shards: Object.freeze(
        shards.flatMap((shard): LoadedShard[] => {
          const tally = this.tallies.get(shard)
          return tally ? [loadedShard(shard, tally, { stage, isDurable: isDurable(shard) })] : []
        }),
      ),
    })
  }

  /** The first error of a shard. */
  get failure(): { readonly error: unknown } | undefined {
    return [...this.tallies.values()].find(({ failed }) => failed)?.failed
  }

  /** The error of a load that did not do all: its row is that of the cause, whatever else went wrong. */
  incomplete(cause: unknown, report: LoadReport): ShardedError {
    const { entity } = this.context.binding
    const own = unwrap(cause)
    const row = this.rejected ?? report.shards.find(({ error }) => error !== undefined && error === own)?.row
    const errors = [own, ...report.shards.map(({ error }) => error)]
    const isUnknown = errors.some((error) => error instanceof ShardedError && error.has('outcome-unknown'))
    const isNothing = !isUnknown && report.shards.every((shard) => shard.rows === 0)
    const where = row === undefined ? `after row ${this.count}` : `at row ${row}`
    const what = own instanceof Error ? own.message : String(own)
    return new ShardedError('LOAD_INCOMPLETE', `${entity.name}.load ended ${where}: ${what}`, {
      details: { entity: entity.name, report, ...(row !== undefined && { row }) },
      cause: own,
      labels: [...(isNothing ? (['no-writes'] as const) : []), ...(isUnknown ? (['outcome-unknown'] as const) : [])],
    })
  }

  /** A connection that is taken away, as `destroy()` does, ends the load: it may wait for its input, and send nothing that fails. */
  private async connectionOf(shard: Shard): Promise<NodeConnection> {
    const connection = await this.settings.connectionOf(shard)
    if (!this.watched.has(connection)) {
      const { cancellation } = this.settings
      const off = connection.onRetire(() => cancellation.cancel(connection.whyLost()))
      this.watched.set(connection, off)
    }
    return connection
  }

  /** The columns that have a default in the database, which knows it better than the entity; the shards' tables are alike. */
  private async defaults(): Promise<ReadonlyMap<string, string>> {
    const { cancellation, shards } = this.settings
    const [shard] = shards
    if (!shard) return new Map()
    const { schema, name } = physicalName(this.context.binding.metadata.tableName, shard)
    const connection = await this.connectionOf(shard)
    const { rows } = await connection.query(columnsWithDefault, [schema, name], shard.name, cancellation)
    return new Map(rows.map(({ attname, type }: { attname: string; type: string }) => [attname, type]))
  }

  /** The values of defaults that are one for all rows of the transaction, as its nodes' clocks differ. */
  private async clocks(types: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
    const { ask, shards } = this.settings
    const [shard] = shards
    if (!ask || !shard || shards.every(({ node }) => node === shard.node)) return new Map()
    const { metadata } = this.context.binding
    const texts = [...(await clockDefaults(metadata))].filter(([name]) => types.has(name))
    if (texts.length === 0) return new Map()
    const values = texts.map(
      ([name, text], index) => `CAST(CAST(${text} AS ${types.get(name)}) AS text) AS "v${index}"`,
    )
    const row = (await ask(shard, `SELECT ${values.join(', ')}`)) ?? {}
    return new Map(
      texts.flatMap(([name], index) => (row[`v${index}`] == null ? [] : [[name, String(row[`v${index}`])]])),
    )
  }

  private async take(row: unknown, encode: RowEncoder): Promise<void> {
    this.lastTaken = performance.now()
    if (this.context.binding.id) await this.giveId(row)
    for (const chunk of this.gather(row, encode)) await this.push(chunk)
    if (this.count % rowsInTurn === 0) await nextTurn()
    if (this.settings.pause && this.count % rowsBetweenPauses === 0) {
      await this.rest()
      this.settings.cancellation.throwIfCancelled()
      await this.settings.pause()
    }
  }

  private gather(row: unknown, encode: RowEncoder): readonly LoadChunk[] {
    this.count += 1
    try {
      const placed = this.place(row)
      const keeps = this.settings.options.resume === true
      return this.chunks.add(placed.shard, encode(placed.row), {
        number: this.count,
        row: keeps ? placed.row : undefined,
      })
    } catch (error) {
      this.rejected = this.count
      throw error
    }
  }

  private place(row: unknown): { readonly shard: Shard; readonly row: ObjectLiteral } {
    const { context } = this
    const { binding } = context
    checkRow(context, row)
    if (this.settings.options.resume && !binding.metadata.hasAllPrimaryKeys(row)) throw withoutId(binding.entity.name)
    const key = keyOfRow(context, row, new GivenIds())
    const shard = shardOfKey(binding, key)
    checkHintedPlace(context, shard)
    checkIdSlot(binding, row, key)
    const tally = this.tallies.get(shard)
    if (tally) tally.given += 1
    else this.tallies.set(shard, { given: 1, rows: 0, skipped: 0 })
    return { shard, row }
  }

  /** The id of the next row, where it has none: before `place`, since it may have to be reserved first. */
  private async giveId(row: unknown): Promise<void> {
    if (this.settings.options.resume) return
    try {
      const { context } = this
      checkRow(context, row)
      const ids = new GivenIds()
      await ids.give(context.binding, row, await whenReserved(() => keyOfRow(context, row, ids)))
    } catch (error) {
      this.count += 1
      this.rejected = this.count
      throw error
    }
  }

  private async push(chunk: LoadChunk): Promise<void> {
    const { node } = chunk.shard
    const worker = this.workers.get(node) ?? new LoadWorker()
    this.workers.set(node, worker)
    await worker.push(() => this.send(chunk))
  }

  private async rest(): Promise<void> {
    await Promise.all([...this.workers.values()].map((worker) => worker.rest()))
  }

  /** Never fails: what goes wrong is kept by its shard. */
  private async send(chunk: LoadChunk): Promise<void> {
    const { cancellation, options, endsAtOnce } = this.settings
    const tally = this.tallies.get(chunk.shard)
    // Rows after one that failed would leave a gap, which no count of rows shows.
    if (!tally || tally.failed || cancellation.isCancelled) return
    let places: readonly number[] | undefined
    try {
      const connection = await this.connectionOf(chunk.shard)
      places = options.resume ? await this.placesLeft(connection, chunk) : undefined
      tally.skipped += places ? chunk.numbers.length - places.length : 0
      tally.rows += await this.copy(connection, chunk, places)
    } catch (error) {
      const own = unwrap(error)
      // The error that ended the load came from another shard, or from the caller: no row of this chunk caused it.
      if (cancellation.isCancelled && own === cancellation.ended.reason) return
      tally.failed = { error: own }
      const table = physicalName(this.context.binding.metadata.tableName, chunk.shard).name
      const row = refusedRow(own, chunk, { table, places })
      if (row !== undefined) tally.row = row
      if (endsAtOnce) cancellation.cancel(own)
      return
    }
    try {
      options.onProgress?.(this.report('loading'))
    } catch (error) {
      cancellation.cancel(error)
    }
  }

  private async copy(connection: NodeConnection, chunk: LoadChunk, places?: readonly number[]): Promise<number> {
    if (places?.length === 0) return 0
    const { metadata } = this.context.binding
    const { driver } = metadata.dataSource
    const { bind } = this.context.access.runtime.handle(chunk.shard)
    const table = metadata.tablePath.split('.').map((part) => driver.escape(part))
    const names = chunk.columns.map(({ databaseName }) => driver.escape(databaseName))
    const text = bind(`COPY ${table.join('.')} (${names.join(', ')}) FROM STDIN`)
    try {
      return await connection.copy(text, chunk.lines(places), chunk.shard.name, this.settings.cancellation)
    } catch (error) {
      throw error instanceof Error ? new QueryFailedError(text, [], error) : error
    }
  }

  /** The places in the chunk whose rows are not stored. */
  private async placesLeft(connection: NodeConnection, chunk: LoadChunk): Promise<readonly number[] | undefined> {
    if (this.caughtUp.has(chunk.shard)) return undefined
    const { access, binding } = this.context
    const { dataSource, bind } = access.runtime.handle(chunk.shard)
    const client = new BoundClient(connection, bind, chunk.shard.name, this.settings.cancellation)
    const runner = new ShardQueryRunner(dataSource, { client, hasOwnWords: false })
    const stored = await storedKeys(runner.manager, binding.metadata, chunk.rows).finally(() => runner.release())
    if (stored.size === 0) this.caughtUp.add(chunk.shard)
    return [...chunk.rows.entries()].flatMap(([place, row]) =>
      stored.has(primaryKeyText(binding.metadata, row)) ? [] : [place],
    )
  }
}

function loadedShard({ name }: Shard, tally: Tally, { stage, isDurable }: ReportedStage): LoadedShard {
  const { given, skipped, failed, row } = tally
  const rows = isDurable ? tally.rows : 0
  const isWhole = stage === 'end' && rows + skipped === given
  const stageState = isWhole ? 'loaded' : 'failed'
  return Object.freeze({
    shard: name,
    rows,
    skipped,
    state: stage === 'loading' && !failed ? 'loading' : stageState,
    ...(row !== undefined && { row }),
    ...(failed && { error: failed.error }),
  })
}

/** The line of a COPY in the context of an error; its value follows, which may be any text. */
const lineOf = (context: string, table: string): number | undefined => {
  const start = `COPY ${table}, line `
  const line = context.split('\n').find((one) => one.startsWith(start))
  return line === undefined ? undefined : Number.parseInt(line.slice(start.length), 10)
}

/** The number in the input of the row that COPY was at, which its error names by the line. */
function refusedRow(
  error: unknown,
  { numbers }: LoadChunk,
  { table, places }: { readonly table: string; readonly places: readonly number[] | undefined },
): number | undefined {
  const driverError: unknown = error instanceof QueryFailedError ? error.driverError : undefined
  const line = lineOf(isServerRefusal(driverError) ? (driverError.where ?? '') : '', table)
  if (line === undefined) return undefined
  const index = line - 1
  return numbers[places ? (places[index] ?? -1) : index]
}

const notARow = (entity: string, row: unknown): ShardedError =>
  new ShardedError(
    'LOAD_ROW_INVALID',
    `${entity}.load: a row is an object, not ${row === null ? 'null' : typeof row}.`,
    { details: { entity, type: row === null ? 'null' : typeof row } },
  )

const withoutId = (entity: string): ShardedError =>
  new ShardedError(
    'LOAD_ROW_INVALID',
    `${entity}.load: a row without its primary key cannot be told from one that is stored.`,
    { details: { entity } },
  )
