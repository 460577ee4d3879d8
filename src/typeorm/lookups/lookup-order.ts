import type { LookupEntry } from '../../lookups/lookup-table'
import type { Shard } from '../../topology/shard'

/**
 * The one order in which all transactions write lookups, shard after shard and the entries of a shard: two of them then do
 * not wait for each other over nodes, which no server would notice.
 */
export const compareShards = (a: Shard, b: Shard): number => compare(a.node, b.node) || compare(a.name, b.name)

/** The order of the entries of one shard, as `compareShards` says. */
export const compareEntries = (a: LookupEntry, b: LookupEntry): number => compare(a.join('\0'), b.join('\0'))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
