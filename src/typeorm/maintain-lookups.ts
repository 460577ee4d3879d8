import { pushTo } from '../collections/push-to'
import { ShardedError } from '../errors/sharded-error'
import { sqlState, undefinedTable } from '../execution/sql-state'
import { takeCaptured } from '../lookups/capture-sql'
import type { CapturedChange } from '../lookups/captured-change'
import { lookupWrites } from '../lookups/lookup-writes'
import type { Shard } from '../topology/shard'
import { applyLookupWrites } from './apply-lookup-writes'
import type { ShardAccess } from './shard-access'

/** The most shards whose notes one statement takes. */
const maxTaken = 128

/**
 * Brings lookups in line with what a write has changed, in the write's own transaction: takes what the triggers of its shards
 * have noted, and writes that to the lookups' shards. Without any note no other node is touched.
 *
 * To be called in a transaction, after the write and before its end. Whatever fails here fails the write.
 *
 * @throws QueryFailedError 23505 with the constraint of a `@GlobalUnique`; ShardedError LOOKUP_NOT_INSTALLED
 */
export async function maintainLookups(access: ShardAccess, written: readonly Shard[]): Promise<void> {
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
    return binding ? [{ binding, writes: lookupWrites(binding.table, own) }] : []
  })
  await applyLookupWrites(access, writes)
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
