import { ShardedError } from '../../errors/sharded-error'
import { sourceEntries } from '../../lookups/lookup-sql'
import { type LookupEntry, primaryKeyOfEntry } from '../../lookups/lookup-table'
import type { Shard } from '../../topology/shard'
import type { LookupBinding } from '../binding/lookups'
import { askShard } from '../runners/ask-shards'
import { inTransaction } from '../runners/in-transaction'
import { ShardAccess } from '../runners/shard-access'
import { differenceOf, drainCaptured, enterEntries } from './enter-entries'
import { type BuildLookupsOptions, entriesIn, type LookupMaintenance, maxListed, pageRows } from './lookup-maintenance'
import type { LookupState } from './lookup-states'
import { loadReady } from './lookup-states'

/**
 * Enters the rows that were there before their lookups, and then has reads use these. Page by page of the primary key, each
 * in a transaction that keeps its rows from changing while they are entered; what changes before or after is noted by the
 * triggers. After a crash or an abort it goes on behind the last page that was saved; a page that is entered twice is
 * entered once.
 *
 * @throws ShardedError LOOKUP_DUPLICATES; the reason of the signal
 */
export async function buildLookups(maintenance: LookupMaintenance, options: BuildLookupsOptions): Promise<void> {
  const { runtime, states } = maintenance
  const { lookups } = runtime
  const refused: { readonly binding: LookupBinding; readonly entries: readonly LookupEntry[] }[] = []
  for (const binding of lookups.all) {
    const state = (await states.load([binding])).get(binding.table.name) ?? { isReady: false, progress: {} }
    if (state.isReady) continue
    const entered = await enterAll(maintenance, { binding, state }, options)
    const { duplicates } = await drainCaptured(maintenance, binding.source.shards, options.signal)
    const entries = [...entered, ...(duplicates.get(binding) ?? [])]
    // What was refused is looked for again, from the beginning.
    await states.save(binding, { isReady: entries.length === 0, progress: {} })
    if (entries.length > 0) refused.push({ binding, entries })
  }
  await loadReady(lookups, states)
  const [first] = refused
  if (!first) return
  throw new ShardedError(
    'LOOKUP_DUPLICATES',
    `${refused.map(({ binding, entries }) => `${entries.length} row(s) of ${binding.lookup.entity.name} have values of ${binding.lookup.columns.map(({ propertyPath }) => propertyPath).join(', ')} that other rows have`).join('; ')}.`,
    {
      details: {
        duplicates: refused.map(({ binding, entries }) => ({
          lookup: binding.table.name,
          entity: binding.lookup.entity.name,
          rows: entries.slice(0, maxListed).map((entry) => differenceOf(binding.table, entry)),
        })),
      },
    },
  )
}

/** @returns the entries whose values another row has */
async function enterAll(
  { runtime, states, openRunner }: LookupMaintenance,
  { binding, state }: { readonly binding: LookupBinding; readonly state: LookupState },
  { onProgress, signal }: BuildLookupsOptions,
): Promise<readonly LookupEntry[]> {
  const { shards } = binding.source
  const progress: Record<string, readonly string[] | null> = { ...state.progress }
  const refused: LookupEntry[] = []
  for (const shard of shards) {
    let rows = 0
    while (progress[shard.name] !== null) {
      signal?.throwIfAborted()
      const page = await inTransaction(new ShardAccess(runtime), openRunner, (inside) =>
        enterPage(inside, binding, { shard, after: progress[shard.name] ?? undefined }),
      )
      refused.push(...page.refused)
      rows += page.rows
      progress[shard.name] = page.last
      // Duplicates are not saved: a build that is gone on with after them begins anew.
      await states.save(binding, { isReady: false, progress: refused.length > 0 ? {} : progress })
      const shardsDone = shards.filter(({ name }) => progress[name] === null).length
      onProgress?.({ lookup: binding.table.name, shard: shard.name, rows, shardsDone, shards: shards.length })
    }
  }
  return refused
}

async function enterPage(
  inside: ShardAccess,
  binding: LookupBinding,
  { shard, after }: { readonly shard: Shard; readonly after: readonly string[] | undefined },
): Promise<{
  readonly refused: readonly LookupEntry[]
  readonly rows: number
  readonly last: readonly string[] | null
}> {
  const { table } = binding
  const entries = entriesIn(
    await askShard(inside, sourceEntries(table, shard, { after, limit: pageRows, isLocking: true })),
  )
  const refused = await enterEntries(inside, binding, entries)
  const last = entries.at(-1)
  const isEnd = entries.length < pageRows || !last
  return { refused, rows: entries.length, last: isEnd ? null : primaryKeyOfEntry(table, last) }
}
