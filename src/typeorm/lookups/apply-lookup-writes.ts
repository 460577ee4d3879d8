import { QueryFailedError } from 'typeorm'
import { sqlState } from '../../endpoints/sql-state'
import { deleteEntries, insertEntries, mergeEntries } from '../../lookups/lookup-sql'
import { constraintOn, type LookupEntry } from '../../lookups/lookup-table'
import type { LookupWrites } from '../../lookups/lookup-writes'
import type { Shard } from '../../topology/shard'
import { type LookupBinding, shardOfEntry } from '../binding/lookup-binding'
import { askShard } from '../runners/ask-shards'
import type { ShardAccess } from '../runners/shard-access'
import { compareEntries, compareShards } from './lookup-order'

/** Entries in one statement. */
const maxEntries = 10_000

interface ShardPart {
  readonly binding: LookupBinding
  readonly shard: Shard
  readonly losses: LookupEntry[]
  readonly gains: LookupEntry[]
  readonly lateLosses: LookupEntry[]
}

/**
 * Writes to the lookups' shards, in a transaction, in the one order of `lookup-order.ts`.
 *
 * @throws QueryFailedError 23505 with the constraint of a `@GlobalUnique`
 */
export async function applyLookupWrites(
  access: ShardAccess,
  all: readonly { readonly binding: LookupBinding; readonly writes: LookupWrites }[],
): Promise<void> {
  const parts = all.flatMap(({ binding, writes }) => partsOf(binding, writes))
  parts.sort((a, b) => compareShards(a.shard, b.shard))
  await access.transaction?.openNodes([...new Set(parts.map(({ shard }) => shard.node))])
  const { points } = access.runtime.transactions
  for (const part of parts) {
    const { shard, losses, gains, lateLosses } = part
    await points.reach('lookup:captured', shard.node)
    await remove(access, part, losses)
    for (const chunk of chunks(gains)) await add(access, part, chunk)
    await remove(access, part, lateLosses)
    await points.reach('lookup:written', shard.node)
  }
}

function partsOf(binding: LookupBinding, writes: LookupWrites): readonly ShardPart[] {
  const parts = new Map<Shard, ShardPart>()
  const partOf = (entry: LookupEntry): ShardPart => {
    const shard = shardOfEntry(binding, entry)
    const part = parts.get(shard) ?? { binding, shard, losses: [], gains: [], lateLosses: [] }
    parts.set(shard, part)
    return part
  }
  for (const entry of writes.losses) partOf(entry).losses.push(entry)
  for (const entry of writes.gains) partOf(entry).gains.push(entry)
  for (const entry of writes.lateLosses) partOf(entry).lateLosses.push(entry)
  for (const { losses, gains, lateLosses } of parts.values())
    for (const list of [losses, gains, lateLosses]) list.sort(compareEntries)
  return [...parts.values()]
}

/**
 * Removes entries. One that is not there may be of a transaction whose row is committed and whose entry is about to be: over
 * several nodes these are two moments. To insert it waits for that one; then both are removed.
 */
async function remove(
  access: ShardAccess,
  { binding: { table }, shard }: ShardPart,
  entries: readonly LookupEntry[],
): Promise<void> {
  for (const chunk of chunks(entries)) {
    const removed = new Set((await askShard(access, deleteEntries(table, shard, chunk))).map((row) => row['n']))
    const missing = chunk.filter((_, index) => !removed.has(index))
    if (missing.length === 0) continue
    await askShard(access, mergeEntries(table, shard, missing))
    await askShard(access, deleteEntries(table, shard, missing))
  }
}

async function add(access: ShardAccess, { binding, shard }: ShardPart, entries: readonly LookupEntry[]): Promise<void> {
  try {
    await askShard(access, insertEntries(binding.table, shard, entries))
  } catch (error) {
    if (error instanceof QueryFailedError && sqlState(error) === '23505') nameConstraint(error, binding, shard)
    throw error
  }
}

/** The violation is of the entity's table, by the name that its constraint has there. */
function nameConstraint(error: QueryFailedError, { table }: LookupBinding, shard: Shard): void {
  const physical = constraintOn(table, shard)
  const driverError = error.driverError as Error & { constraint?: string }
  if (driverError.constraint !== physical) return
  const named = { constraint: table.constraint, table: table.source.table }
  driverError.message = driverError.message.replace(`"${physical}"`, `"${table.constraint}"`)
  error.message = error.message.replace(`"${physical}"`, `"${table.constraint}"`)
  Object.assign(driverError, named)
  Object.assign(error, named)
}

function* chunks(entries: readonly LookupEntry[]): Generator<readonly LookupEntry[]> {
  for (let from = 0; from < entries.length; from += maxEntries) yield entries.slice(from, from + maxEntries)
}
