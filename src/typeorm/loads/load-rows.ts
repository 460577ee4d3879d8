import type { Cancellation } from '../../endpoints/cancellation'
import type { Lease } from '../../endpoints/connection-pool'
import { ShardedError } from '../../errors/sharded-error'
import { streamCancellation } from '../../execution/operation'
import type { Row } from '../../merging/row'
import type { Shard } from '../../topology/shard'
import { maintainLookups } from '../lookups/maintain-lookups'
import { hintedShard, type OperationContext, shardOfHint } from '../operations/operation-context'
import { checkLoadOptions, type LoadOptions, type LoadReport } from './load-options'
import { RowLoad } from './row-load'

type Rows = AsyncIterable<unknown> | Iterable<unknown>

interface Load {
  readonly context: OperationContext
  readonly rows: Rows
  readonly options: LoadOptions
  readonly cancellation: Cancellation
  /** Those that rows may go to. */
  readonly shards: readonly Shard[]
  /** In the order of their names, as everywhere: two loads never wait for each other's connections. */
  readonly nodes: readonly string[]
}

/**
 * Streams rows to their shards by COPY, all nodes at once. All rows are one transaction, or each batch is its own.
 *
 * @throws ShardedError LOAD_INCOMPLETE with the report in its details, OPTIONS_INVALID
 */
export async function loadRows(context: OperationContext, rows: Rows, given: LoadOptions = {}): Promise<LoadReport> {
  const { access, binding } = context
  const { name } = binding.entity
  if (!isIterable(rows))
    throw new ShardedError('OPTIONS_INVALID', `${name}.load takes an iterable of rows, or an async one.`, {
      details: { entity: name, option: 'rows' },
    })
  const options = checkLoadOptions(given, name, access.transaction !== undefined)
  if (options.batch !== undefined && access.runtime.lookups.ofGroup(binding.entity.group).length > 0) {
    throw new ShardedError(
      'OPTIONS_INVALID',
      `${name}.load with batch commits rows without their lookups (@GlobalUnique, @LookupIndex): leave batch out.`,
      { details: { entity: name, option: 'batch' } },
    )
  }
  const cancellation = streamCancellation(access.operation, options.signal ? { signal: options.signal } : {})
  const shards = shardsOf(context)
  const nodes = [...new Set(shards.map(({ node }) => node))].sort()
  try {
    const load = { context, rows, options, cancellation, shards, nodes }
    return await (options.batch === undefined ? loadAtOnce(load) : loadInBatches(load))
  } finally {
    cancellation.close()
  }
}

/** One transaction over the shards, committed as every write is; inside one of the caller's, a savepoint of that. */
async function loadAtOnce({ context, rows, options, cancellation, shards, nodes }: Load): Promise<LoadReport> {
  const { access } = context
  const runner = access.transaction ?? context.openRunner()
  const enterRows = () => maintainLookups(access.within(runner).withoutDefaults(), shards)
  const load = new RowLoad(context, {
    options,
    cancellation,
    shards,
    endsAtOnce: true,
    connectionOf: (shard) => runner.connectionFor(shard),
    ask: async (shard, text) => {
      const { records } = await access.within(runner).run(shard, { text, parameters: [] })
      const [row]: Row[] = records
      return row
    },
    // The notes of the triggers are held in memory here, for a bounded number of rows at a time.
    ...(access.runtime.lookups.ofGroup(context.binding.entity.group).length > 0 && { pause: enterRows }),
  })
  try {
    await runner.startTransaction()
    runner.activity.add(load)
    try {
      cancellation.throwIfCancelled()
      // Not raced with the cancellation: a node that opened after the rollback would stay open.
      await runner.openNodes(nodes)
      await load.feed(rows)
      if (!load.failure) await enterRows()
    } catch (error) {
      await load.settle(error)
      await runner.rollbackTransaction().catch(() => undefined)
      throw load.incomplete(
        error,
        load.report('cut', () => false),
      )
    }
    try {
      await runner.commitTransaction()
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined)
      throw load.incomplete(error, load.report('end', committedBy(error)))
    }
    return load.report('end')
  } finally {
    runner.activity.leave(load)
    if (!access.transaction) await runner.release()
  }
}

/** Each batch is durable by itself. A node that fails, or a batch that is refused, ends its shards' part only. */
async function loadInBatches({ context, rows, options, cancellation, shards, nodes }: Load): Promise<LoadReport> {
  const { runtime } = context.access
  const leases = new Map<string, Promise<Lease>>()
  const load = new RowLoad(context, {
    options,
    cancellation,
    shards,
    endsAtOnce: false,
    connectionOf: async ({ node }) => (await (leases.get(node) ?? Promise.reject(new RangeError(node)))).connection,
  })
  try {
    for (const node of nodes) {
      const lease = runtime.pool(node).acquire(undefined, cancellation)
      leases.set(node, lease)
      // Writing its shards will fail with that error.
      await lease.catch(() => undefined)
    }
    await load.feed(rows)
  } catch (error) {
    await load.settle(error)
    throw load.incomplete(error, load.report('cut'))
  } finally {
    for (const lease of leases.values()) await lease.then((one) => one.release()).catch(() => undefined)
  }
  const report = load.report('end')
  if (load.failure) throw load.incomplete(load.failure.error, report)
  return report
}

/** Which shards a failed commit has committed. */
function committedBy(error: unknown): (shard: Shard) => boolean {
  const committed = error instanceof ShardedError ? error.details['committed'] : undefined
  return ({ name }) => Array.isArray(committed) && committed.includes(name)
}

/** The shards that rows may go to. */
function shardsOf({ binding, hint }: OperationContext): readonly Shard[] {
  if (hint?.kind === 'shard') return [hintedShard(binding, hint.shard)]
  return hint?.kind === 'key' ? [shardOfHint(binding, hint.value)] : binding.shards
}

const isIterable = (rows: unknown): rows is Rows =>
  rows !== null && typeof rows === 'object' && (Symbol.iterator in rows || Symbol.asyncIterator in rows)
