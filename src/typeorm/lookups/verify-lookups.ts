import { setTimeout as pause } from 'node:timers/promises'
import { pushTo } from '../../collections/push-to'
import { lookupEntries, rowKeyOf, sourceEntries } from '../../lookups/lookup-sql'
import { keyOfEntry, type LookupEntry, primaryKeyOfEntry } from '../../lookups/lookup-table'
import type { Shard } from '../../topology/shard'
import { canonicalKey } from '../../values/canonical-key'
import type { LookupBinding } from '../binding/lookups'
import { askShard } from '../runners/ask-shards'
import { inTransaction } from '../runners/in-transaction'
import { ShardAccess } from '../runners/shard-access'
import { currentEntries, differenceOf, entryText, missingEntries, reconcileEntries } from './enter-entries'
import { entriesIn, type LookupMaintenance, type LookupReport, maxListed, pageRows } from './lookup-maintenance'

/** A transaction over nodes commits on one after the other: what looks wrong is looked at again, so often and so much later. */
const looks = 4
const betweenLooksMs = 100

/** Entries that are wrong, of rows of one shard of the entity. */
interface Wrong {
  readonly shard: Shard
  readonly entries: readonly LookupEntry[]
}

type OnWrong = (wrong: Wrong) => Promise<readonly LookupEntry[]>

/** Compares lookups with the rows that they find, page by page in both directions, and changes nothing. */
export async function verifyLookups({ runtime }: LookupMaintenance): Promise<readonly LookupReport[]> {
  const access = new ShardAccess(runtime)
  const reports: LookupReport[] = []
  for (const binding of runtime.lookups.all) reports.push(await compare(access, binding, async () => []))
  return Object.freeze(reports)
}

/** Compares lookups with the rows that they find, and mends what differs, each page in a transaction of its own. */
export async function repairLookups({ runtime, openRunner }: LookupMaintenance): Promise<readonly LookupReport[]> {
  const access = new ShardAccess(runtime)
  const reports: LookupReport[] = []
  for (const binding of runtime.lookups.all) {
    const mend: OnWrong = async (wrong) => {
      return await inTransaction(access, openRunner, (inside) => reconcileEntries(inside, binding, wrong))
    }
    reports.push(await compare(access, binding, mend))
  }
  return Object.freeze(reports)
}

/** What dangles comes first: it may have the value of a row that is missing. */
async function compare(access: ShardAccess, binding: LookupBinding, onWrong: OnWrong): Promise<LookupReport> {
  const { table, lookup, source, shards } = binding
  const dangling: LookupEntry[] = []
  const missing: LookupEntry[] = []
  const duplicates: LookupEntry[] = []
  const take = async (list: LookupEntry[], wrong: Wrong): Promise<void> => {
    if (wrong.entries.length === 0) return
    keep(list, wrong.entries)
    keep(duplicates, await onWrong(wrong))
  }
  for (const shard of shards) {
    const pages = pagesOf(access, rowKeyOf.bind(undefined, table), (after) =>
      lookupEntries(table, shard, { after, limit: pageRows }),
    )
    for await (const page of pages) {
      for (const part of bySource(binding, page))
        await take(dangling, { ...part, entries: await danglingOf(access, binding, part) })
    }
  }
  let entries = 0
  for (const shard of source.shards) {
    const pages = pagesOf(access, primaryKeyOfEntry.bind(undefined, table), (after) =>
      sourceEntries(table, shard, { after, limit: pageRows, isLocking: false }),
    )
    for await (const page of pages) {
      entries += page.length
      await take(missing, { shard, entries: await missingOf(access, binding, { shard, entries: page }) })
    }
  }
  const listed = (list: readonly LookupEntry[]) => Object.freeze(list.map((entry) => differenceOf(table, entry)))
  return Object.freeze({
    lookup: table.name,
    entity: lookup.entity.name,
    properties: lookup.columns.map(({ propertyPath }) => propertyPath),
    entries,
    missing: listed(missing),
    dangling: listed(dangling),
    duplicates: listed(duplicates),
  })
}

function keep(list: LookupEntry[], more: readonly LookupEntry[]): void {
  list.push(...more.slice(0, Math.max(0, maxListed - list.length)))
}

async function* pagesOf(
  access: ShardAccess,
  keyOf: (entry: LookupEntry) => readonly string[],
  page: (after: readonly string[] | undefined) => Parameters<typeof askShard>[1],
): AsyncGenerator<readonly LookupEntry[], void, undefined> {
  for (let after: readonly string[] | undefined; ; ) {
    const entries = entriesIn(await askShard(access, page(after)))
    yield entries
    const last = entries.at(-1)
    if (!last || entries.length < pageRows) return
    after = keyOf(last)
  }
}

/** Entries by the shard of the entity that they lead to. */
function bySource({ table, source }: LookupBinding, entries: readonly LookupEntry[]): readonly Wrong[] {
  const parts = new Map<Shard, LookupEntry[]>()
  for (const entry of entries) {
    const key = keyOfEntry(table, entry).map(
      (text, place) => canonicalKey(text, source.entity.keyColumns[place]?.type ?? 'text') ?? text,
    )
    const shard = source.shards[source.owners.shardOf(source.entity.fn.unitOf(key)) ?? 0]
    if (shard) pushTo(parts, shard, entry)
  }
  return [...parts].map(([shard, own]) => ({ shard, entries: own }))
}

async function missingOf(access: ShardAccess, binding: LookupBinding, wrong: Wrong): Promise<readonly LookupEntry[]> {
  return settled(wrong.entries, async (entries) => {
    const missing = await missingEntries(access, binding, entries)
    if (missing.length === 0) return []
    const current = await currentEntries(access, binding, { shard: wrong.shard, entries: missing })
    return missing.filter((entry) => current.has(entryText(binding.table, entry)))
  })
}

async function danglingOf(access: ShardAccess, binding: LookupBinding, wrong: Wrong): Promise<readonly LookupEntry[]> {
  return settled(wrong.entries, async (entries) => {
    const current = await currentEntries(access, binding, { shard: wrong.shard, entries })
    const dangling = entries.filter((entry) => !current.has(entryText(binding.table, entry)))
    if (dangling.length === 0) return []
    const gone = new Set(await missingEntries(access, binding, dangling))
    return dangling.filter((entry) => !gone.has(entry))
  })
}

/** What is found wrong each time that it is looked at. */
async function settled(
  entries: readonly LookupEntry[],
  look: (entries: readonly LookupEntry[]) => Promise<readonly LookupEntry[]>,
): Promise<readonly LookupEntry[]> {
  let wrong = entries
  for (let time = 0; time < looks && wrong.length > 0; time++) {
    if (time > 0) await pause(betweenLooksMs)
    wrong = await look(wrong)
  }
  return wrong
}
