import type { Catalog } from './catalog'
import { changeGroup } from './change-group'
import { deletePrints, type NotedChange } from './node-catalog'

/**
 * Forgets a node that holds no shard: the other nodes no longer know its database, and it no longer knows where shards are. By the name of
 * a database that is gone, a later one of that name would be taken for exchanged.
 *
 * @throws the database's error
 */
export async function forgetNode(catalog: Catalog, name: string, noted: NotedChange): Promise<void> {
  const identity = catalog.identities.get(name)
  if (identity === undefined) return
  for (const group of catalog.groups)
    await changeGroup(catalog, { group, noted }, (stored) => {
      const isHeld = stored.shards.some(({ database }) => database === identity)
      if (isHeld || !Object.hasOwn(stored.nodes, identity)) return undefined
      const nodes = Object.entries(stored.nodes).filter(([known]) => known !== identity)
      return { ...stored, nodes: Object.fromEntries(nodes) }
    })
  await catalog.on(name, (node) => deletePrints(node, [...catalog.groups], undefined))
  await catalog.read()
}
