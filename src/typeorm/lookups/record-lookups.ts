import { tableOn } from '../../planning/bind-shard-names'
import type { LookupBinding } from '../binding/lookup-binding'
import type { Lookups } from '../binding/lookups'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { LookupStates } from './lookup-states'

/** Asks the home node which lookups are complete. */
export async function askReady({ all }: Lookups, states: LookupStates): Promise<readonly string[]> {
  const known = await states.load(all)
  return [...known].filter(([, { isReady }]) => isReady).map(([name]) => name)
}

export async function loadReady(lookups: Lookups, states: LookupStates): Promise<void> {
  lookups.setReady(await askReady(lookups, states))
}

/**
 * Records lookups that are new, or declared otherwise than before, after their tables and triggers were made: complete where
 * there are no rows to be found, since all that come later are noted; else to be built.
 */
export async function recordLookups(runtime: ShardRuntime, states: LookupStates): Promise<void> {
  const { lookups } = runtime
  await states.create()
  const known = await states.load(lookups.all)
  for (const binding of lookups.all) {
    const { name } = binding.table
    if (known.has(name)) continue
    const isReady = await isEmpty(binding, runtime)
    await states.save(binding, { isReady, progress: {} })
    if (!isReady)
      runtime.warn(`The lookup ${name} is not used until buildLookups() has entered the rows that there are.`)
  }
  await loadReady(lookups, states)
}

async function isEmpty({ source, table }: LookupBinding, runtime: ShardRuntime): Promise<boolean> {
  for (const shard of source.shards) {
    const text = `SELECT EXISTS (SELECT FROM ${tableOn(table.source.table, shard)}) AS "isThere"`
    const { rows } = await runtime.pool(shard.node).query(text)
    if (rows[0]?.isThere) return false
  }
  return true
}
