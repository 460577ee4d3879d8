import { pushTo } from '../../collections/push-to'
import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { findKeys } from '../../lookups/lookup-sql'
import { textsIn } from '../../lookups/lookup-table'
import { knownTuples } from '../../routing/known-tuples'
import type { Predicate } from '../../routing/predicate'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalKey } from '../../values/canonical-key'
import { type LookupBinding, shardOfValues } from '../binding/lookups'
import { askShards } from '../runners/ask-shards'
import type { ShardAccess } from '../runners/shard-access'

/** SQLSTATEs of a lookup whose table is not there, or is of another declaration. */
const goneStates = new Set([undefinedTable, '42703'])

/** What a lookup leaves of an operation's shards: their indexes, sorted, and why. */
export interface LookupRoute {
  readonly shards: readonly number[]
  readonly reason: string
}

/** Values that one operation looks up; with more of them it asks all shards. */
const maxValues = 1_000

/** Shard keys that one lookup's shard may answer with; with more, all shards are asked: they may be most of them anyway. */
const maxKeys = 1_000

/**
 * Reads a complete lookup for the values that a condition leaves of its columns: the shards that hold rows with them.
 * In a transaction it is read there, with what that has written.
 *
 * @param predicateFor what the condition says of a lookup's columns, as if they were a shard key
 * @returns undefined where no lookup serves the condition
 */
export async function lookupRoute(
  access: ShardAccess,
  lookups: readonly LookupBinding[],
  predicateFor: (binding: LookupBinding) => Predicate | undefined,
): Promise<LookupRoute | undefined> {
  const served = lookups.flatMap((binding) => {
    const predicate = predicateFor(binding)
    const columns = binding.table.valueCount
    const tuples = predicate && knownTuples(predicate, { columns, most: maxValues })
    return tuples ? [{ binding, tuples }] : []
  })
  const [best] = served.sort(
    (a, b) => Number(b.binding.table.isUnique) - Number(a.binding.table.isUnique) || a.tuples.length - b.tuples.length,
  )
  return best && readLookup(access, best.binding, best.tuples)
}

async function readLookup(
  access: ShardAccess,
  binding: LookupBinding,
  tuples: readonly (readonly string[])[],
): Promise<LookupRoute | undefined> {
  const { table, source, lookup } = binding
  const byShard = new Map<Shard, (readonly string[])[]>()
  for (const tuple of tuples) pushTo(byShard, shardOfValues(binding, tuple), tuple)
  const answers = await askShards(
    access,
    [...byShard].map(([shard, own]) => findKeys(table, shard, { values: own, limit: maxKeys + 1 })),
  ).catch((error: unknown) => {
    if (!goneStates.has(sqlState(error) ?? '')) throw error
    access.runtime.lookups.setGone(table.name)
    // The transaction has failed with the statement: only its repetition can ask all shards.
    if (access.transaction) throw error
    return undefined
  })
  if (!answers) return undefined
  const owners = new Set<number>()
  let count = 0
  for (const rows of answers) {
    if (rows.length > maxKeys) return undefined
    for (const row of rows) {
      const owner = ownerOf(binding, textsIn(row['k']))
      if (owner === undefined) return undefined
      owners.add(owner)
      count += 1
    }
  }
  const shards = [...owners].sort((a, b) => a - b)
  const of = source.shards.length
  const what = lookup.columns.map(({ propertyPath }) => propertyPath).join(', ')
  return {
    shards,
    reason: `the lookup of ${lookup.entity.name} by ${what} finds ${count} value(s) of ${keyText(source.entity)}: ${shards.length} of ${of} shards`,
  }
}

function ownerOf({ source }: LookupBinding, texts: readonly string[]): number | undefined {
  const key = source.entity.keyColumns.map(({ type }, place) => canonicalKey(texts[place], type))
  return key.every((part) => part !== undefined) ? source.owners.shardOf(source.entity.fn.unitOf(key)) : undefined
}

/** The shards that are left of both; one of them, to give the empty answer, where none is. */
export function inBoth(shards: readonly number[], found: LookupRoute): readonly number[] {
  const looked = new Set(found.shards)
  const both = shards.filter((shard) => looked.has(shard))
  return both.length > 0 ? both : shards.slice(0, 1)
}
