import { QueryFailedError } from 'typeorm'
import { chunksOf } from '../../collections/chunks-of'
import { pushTo } from '../../collections/push-to'
import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import { takeCaptured } from '../../lookups/capture-sql'
import { deleteEntries, insertEntries, mergeEntries } from '../../lookups/lookup-sql'
import {
  compareEntries,
  compareShards,
  constraintOn,
  type LookupEntry,
  textsIn,
  valuesOf,
} from '../../lookups/lookup-table'
import { type LookupWrites, lookupWrites } from '../../lookups/lookup-writes'
import type { CapturedChange, WriteOrder } from '../../lookups/write-order'
import type { Shard } from '../../topology/shard'
import { type LookupBinding, shardOfEntry } from '../binding/lookups'
import { askShard } from '../runners/ask-shards'
import type { ShardAccess } from '../runners/shard-access'
import { keepApartKeys } from './keep-apart-keys'

/** The most shards whose notes one statement takes. */
const maxTaken = 128

/**
 * Brings lookups in line with what a write has changed, in the write's own transaction: takes what the triggers of its shards
 * have noted, and writes that to the lookups' shards. Without any note no other node is touched.
 *
 * To be called in a transaction, after the write and before its end. Whatever fails here fails the write.
 *
 * @param order of the write's rows on one database, where it has one
 * @throws QueryFailedError 23505 with the constraint of a `@GlobalUnique`, 23503 of a row that is referred to; ShardedError
 *   LOOKUP_NOT_INSTALLED, LOOKUP_ORDER_UNKNOWN
 */
export async function maintainLookups(
  access: ShardAccess,
  written: readonly Shard[],
  order?: WriteOrder,
): Promise<void> {
  const { lookups } = access.runtime
  const sources = [...new Set(written)].filter(({ group }) => lookups.maintains(group))
  if (sources.length === 0) return
  const names = [...new Set(sources.map(({ group }) => group))].flatMap((group) =>
    lookups.notedOf(group).map(({ name }) => name),
  )
  const changes = await captured(access, sources, names)
  if (changes.length === 0) return
  const byLookup = new Map<string, CapturedChange[]>()
  for (const change of changes) pushTo(byLookup, change.lookup, change)
  const writes = [...byLookup].flatMap(([name, own]) => {
    const binding = lookups.named(name)
    return binding ? [{ binding, writes: lookupWrites(binding.table, own, order) }] : []
  })
  for (const { binding, writes: made } of writes) refuseUnordered(binding, made)
  await applyLookupWrites(access, writes)
  await keepApartKeys(access, byLookup)
}

/** One database may have the value of a unique constraint go from row to row, or not: by an order that is not known here. */
function refuseUnordered({ table, lookup }: LookupBinding, { unordered }: LookupWrites): void {
  const [entry] = unordered
  if (!entry) return
  const columns = lookup.columns.map(({ propertyPath }) => propertyPath)
  throw new ShardedError(
    'LOOKUP_ORDER_UNKNOWN',
    `${lookup.entity.name}: an upsert hands (${valuesOf(table, entry).join(', ')}) of the @GlobalUnique (${columns.join(', ')}) from one row to another, and its rows do not give their primary keys.`,
    { details: { entity: lookup.entity.name, columns, values: valuesOf(table, entry) } },
  )
}

async function captured(
  access: ShardAccess,
  sources: readonly Shard[],
  names: readonly string[],
): Promise<readonly CapturedChange[]> {
  const byNode = new Map<string, Shard[]>()
  for (const shard of sources) pushTo(byNode, shard.node, shard)
  const chunks = [...byNode].flatMap(([node, shards]) =>
    [...chunksOf(shards, maxTaken)].map((some) => ({ node, shards: some })),
  )
  try {
    const answers = await access.query(
      chunks.map(({ node, shards }) => ({
        node,
        shards: shards.map(({ name }) => name),
        text: takeCaptured(shards),
        parameters: [names],
      })),
    )
    return answers.flatMap((rows, index) =>
      rows.map(
        (row): CapturedChange => ({
          lookup: String(row['lookup']),
          isGain: row['is_gain'] === true,
          event: String(row['event']),
          entry: textsIn(row['entry']),
          source: chunks[index]?.shards[Number(row['source'])]?.name ?? '',
          statement: Number(row['statement']),
        }),
      ),
    )
  } catch (error) {
    throw sqlState(error) === undefinedTable ? notInstalled(sources, error) : error
  }
}

const notInstalled = (sources: readonly Shard[], cause: unknown): ShardedError =>
  new ShardedError(
    'LOOKUP_NOT_INSTALLED',
    `The lookups of group ${sources[0]?.group} have no triggers on the shards of this write.`,
    { details: { group: sources[0]?.group, shards: sources.map(({ name }) => name) }, cause },
  )

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
 * Writes to the lookups' shards, in a transaction, in the one order of `compareShards`.
 *
 * @throws QueryFailedError 23505 with the constraint of a `@GlobalUnique`
 */
async function applyLookupWrites(
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
    for (const chunk of chunksOf(gains, maxEntries)) await add(access, part, chunk)
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
  for (const chunk of chunksOf(entries, maxEntries)) {
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
  const driverError: Error & { constraint?: string } = error.driverError
  if (driverError.constraint !== physical) return
  const named = { constraint: table.constraint, table: table.source.table }
  driverError.message = driverError.message.replace(`"${physical}"`, `"${table.constraint}"`)
  error.message = error.message.replace(`"${physical}"`, `"${table.constraint}"`)
  Object.assign(driverError, named)
  Object.assign(error, named)
}
