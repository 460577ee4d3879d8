import { pushTo } from '../../collections/push-to'
import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import { takeCaptured } from '../../lookups/capture-sql'
import type { CapturedChange } from '../../lookups/captured-change'
import { valuesOf } from '../../lookups/lookup-table'
import { type LookupWrites, lookupWrites } from '../../lookups/lookup-writes'
import type { WriteOrder } from '../../lookups/write-order'
import type { Shard } from '../../topology/shard'
import type { LookupBinding } from '../binding/lookup-binding'
import type { ShardAccess } from '../runners/shard-access'
import { applyLookupWrites } from './apply-lookup-writes'

/** The most shards whose notes one statement takes. */
const maxTaken = 128

/**
 * Brings lookups in line with what a write has changed, in the write's own transaction: takes what the triggers of its shards
 * have noted, and writes that to the lookups' shards. Without any note no other node is touched.
 *
 * To be called in a transaction, after the write and before its end. Whatever fails here fails the write.
 *
 * @param order of the write's rows on one database, where it has one
 * @throws QueryFailedError 23505 with the constraint of a `@GlobalUnique`; ShardedError LOOKUP_NOT_INSTALLED, LOOKUP_ORDER_UNKNOWN
 */
export async function maintainLookups(
  access: ShardAccess,
  written: readonly Shard[],
  order?: WriteOrder,
): Promise<void> {
  const { lookups } = access.runtime
  const sources = [...new Set(written)].filter(({ group }) => lookups.maintains(group))
  if (sources.length === 0) return
  const names = [...new Set(sources.map(({ group }) => group))].flatMap((group) => lookups.namesOf(group))
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
  const chunks = [...byNode].flatMap(([node, shards]) => {
    const parts: { readonly node: string; readonly shards: readonly Shard[] }[] = []
    for (let from = 0; from < shards.length; from += maxTaken)
      parts.push({ node, shards: shards.slice(from, from + maxTaken) })
    return parts
  })
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
          entry: row['entry'] as readonly string[],
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
