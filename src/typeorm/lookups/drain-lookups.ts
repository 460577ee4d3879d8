import { pushTo } from '../../collections/push-to'
import { takeLeftBehind } from '../../lookups/capture-sql'
import type { LookupEntry } from '../../lookups/lookup-table'
import type { Shard } from '../../topology/shard'
import type { LookupBinding } from '../binding/lookup-binding'
import { askShard } from '../runners/ask-shards'
import { inTransaction } from '../runners/in-transaction'
import { ShardAccess } from '../runners/shard-access'
import { reconcileEntries } from './enter-entries'
import { type LookupMaintenance, pageRows } from './lookup-maintenance'

/** Entries whose values another row has, by lookup. */
export type Duplicates = ReadonlyMap<LookupBinding, readonly LookupEntry[]>

/**
 * Takes the notes that others left behind: programs that write past the data source. A note says only which row to look at:
 * what it was about may have changed since. Until there are no more; a crash leaves the notes of its page.
 */
export async function drainCaptured(
  maintenance: LookupMaintenance,
  shards: readonly Shard[],
  signal?: AbortSignal,
): Promise<{ readonly notes: number; readonly duplicates: Duplicates }> {
  const { runtime, openRunner } = maintenance
  const duplicates = new Map<LookupBinding, LookupEntry[]>()
  let notes = 0
  for (const shard of shards) {
    for (let taken = pageRows; taken === pageRows; notes += taken) {
      signal?.throwIfAborted()
      taken = await inTransaction(new ShardAccess(runtime), openRunner, (inside) =>
        drainPage(inside, shard, duplicates),
      )
    }
  }
  return { notes, duplicates }
}

async function drainPage(
  inside: ShardAccess,
  shard: Shard,
  duplicates: Map<LookupBinding, LookupEntry[]>,
): Promise<number> {
  const { lookups } = inside.runtime
  const parameters = [pageRows, lookups.namesOf(shard.group)]
  const rows = await askShard(inside, { shard, text: takeLeftBehind(shard), parameters })
  const byLookup = new Map<LookupBinding, LookupEntry[]>()
  for (const row of rows) {
    const binding = lookups.named(String(row['lookup']))
    if (binding) pushTo(byLookup, binding, row['entry'] as LookupEntry)
  }
  for (const [binding, entries] of byLookup) {
    for (const entry of await reconcileEntries(inside, binding, { shard, entries })) pushTo(duplicates, binding, entry)
  }
  return rows.length
}
