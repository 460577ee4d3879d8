import type { ShardedError } from '../errors/sharded-error'
import type { GroupPrint } from './group-print'
import type { KnownDatabase } from './known-database'
import type { NodeCatalog } from './node-catalog'

/** The database of a node that does not answer, as the other nodes know it. */
export interface AbsentDatabase {
  readonly identity: string
  readonly known: KnownDatabase
  /** Why it cannot be had. */
  readonly error: ShardedError
}

/**
 * The database that a node had when a start last reached it, of those that no other node is now.
 *
 * @param stored the catalogs of the nodes that answer, by name
 */
export function findAbsent(
  stored: ReadonlyMap<string, NodeCatalog>,
  name: string,
): Pick<AbsentDatabase, 'identity' | 'known'> | undefined {
  const present = new Set([...stored.values()].map(({ identity }) => identity))
  for (const { databases } of stored.values())
    for (const [identity, { known }] of databases)
      if (known.name === name && !present.has(identity)) return { identity, known }
  return undefined
}

/**
 * What a database that cannot be asked is taken to hold: of each group the newest copy that another node has. What it really holds is
 * compared before anything is read or written there.
 */
export function assumedCatalog(stored: ReadonlyMap<string, NodeCatalog>, identity: string): NodeCatalog {
  const groups = new Map<string, GroupPrint>()
  const versions = new Map<string, number>()
  for (const catalog of stored.values())
    for (const [group, print] of catalog.groups) {
      const version = catalog.versions.get(group) ?? 0
      if (version <= (versions.get(group) ?? -1)) continue
      groups.set(group, print)
      versions.set(group, version)
    }
  return Object.freeze({ identity, groups, versions, epoch: 0, databases: new Map() })
}
