import { pushTo } from '../../collections/push-to'
import { takeLeftBehind } from '../../lookups/capture-sql'
import { deleteEntries, findEntries, mergeEntries, sourceEntriesOf } from '../../lookups/lookup-sql'
import {
  compareEntries,
  compareShards,
  keyOfEntry,
  type LookupEntry,
  type LookupTable,
  primaryKeyOfEntry,
  textsIn,
  valuesOf,
} from '../../lookups/lookup-table'
import type { Shard } from '../../topology/shard'
import { canonicalKey } from '../../values/canonical-key'
import { type LookupBinding, shardOfEntry } from '../binding/lookups'
import { askShard } from '../runners/ask-shards'
import { inTransaction } from '../runners/in-transaction'
import { ShardAccess } from '../runners/shard-access'
import { entriesIn, type LookupDifference, type LookupMaintenance, pageRows } from './lookup-maintenance'

/** One text for equal entries, also where they were written in sessions with other settings. */
export const entryText = ({ columns }: LookupTable, entry: LookupEntry): string =>
  JSON.stringify(columns.map(({ type }, place) => canonicalKey(entry[place], type) ?? entry[place]))

export const differenceOf = (table: LookupTable, entry: LookupEntry): LookupDifference =>
  Object.freeze({
    values: valuesOf(table, entry),
    shardKey: keyOfEntry(table, entry),
    primaryKey: primaryKeyOfEntry(table, entry),
  })

/** Entries by the lookup's shards, in the order of `compareShards`. */
function byLookupShard(
  binding: LookupBinding,
  entries: readonly LookupEntry[],
): readonly (readonly [Shard, readonly LookupEntry[]])[] {
  const parts = new Map<Shard, LookupEntry[]>()
  for (const entry of entries) pushTo(parts, shardOfEntry(binding, entry), entry)
  return [...parts].sort(([a], [b]) => compareShards(a, b))
}

/** Which of the entries are not in the lookup as they are. */
export async function missingEntries(
  access: ShardAccess,
  binding: LookupBinding,
  entries: readonly LookupEntry[],
): Promise<readonly LookupEntry[]> {
  const missing: LookupEntry[] = []
  for (const [shard, own] of byLookupShard(binding, entries)) {
    const found = new Set((await askShard(access, findEntries(binding.table, shard, own))).map((row) => row['n']))
    missing.push(...own.filter((_, index) => !found.has(index)))
  }
  return missing
}

/**
 * Enters what rows ask for, in the transaction that keeps those rows from changing; waits for transactions that are about to.
 *
 * @returns the entries whose values another row has
 */
export async function enterEntries(
  access: ShardAccess,
  binding: LookupBinding,
  entries: readonly LookupEntry[],
): Promise<readonly LookupEntry[]> {
  if (entries.length === 0) return []
  for (const [shard, own] of byLookupShard(binding, entries)) {
    await askShard(access, mergeEntries(binding.table, shard, [...own].sort(compareEntries)))
  }
  return binding.table.isUnique ? missingEntries(access, binding, entries) : []
}

/**
 * Brings a lookup in line with the rows that some entries are of, whatever has become of those: keeps the rows from changing,
 * removes what they do not ask for, enters what they do. In a transaction.
 *
 * @param entries of rows of one shard of the entity
 * @returns the entries whose values another row has
 */
export async function reconcileEntries(
  access: ShardAccess,
  binding: LookupBinding,
  { shard, entries }: { readonly shard: Shard; readonly entries: readonly LookupEntry[] },
): Promise<readonly LookupEntry[]> {
  const { table } = binding
  const current = await currentEntries(access, binding, { shard, entries })
  const stale = entries.filter((entry) => !current.has(entryText(table, entry)))
  for (const [own, list] of byLookupShard(binding, stale)) await askShard(access, deleteEntries(table, own, list))
  return enterEntries(access, binding, [...current.values()])
}

/** What the rows ask for that some entries are of, by the text of the entry. */
export async function currentEntries(
  access: ShardAccess,
  { table }: LookupBinding,
  { shard, entries }: { readonly shard: Shard; readonly entries: readonly LookupEntry[] },
): Promise<ReadonlyMap<string, LookupEntry>> {
  const primaryKeys = entries.map((entry) => primaryKeyOfEntry(table, entry))
  const rows = await askShard(access, sourceEntriesOf(table, shard, primaryKeys))
  return new Map(entriesIn(rows).map((entry) => [entryText(table, entry), entry]))
}

/** Entries whose values another row has, by lookup. */
type Duplicates = ReadonlyMap<LookupBinding, readonly LookupEntry[]>

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
    if (binding) pushTo(byLookup, binding, textsIn(row['entry']))
  }
  for (const [binding, entries] of byLookup) {
    for (const entry of await reconcileEntries(inside, binding, { shard, entries })) pushTo(duplicates, binding, entry)
  }
  return rows.length
}
