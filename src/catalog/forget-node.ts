import { type Catalog, changedMeanwhile, maxRounds } from './catalog'
import { deletePrints, type NotedChange, replacePrint } from './node-catalog'

/**
 * Forgets a node that holds no shard: the other nodes no longer know its database, and it no longer knows where shards are. By the name of
 * a database that is gone, a later one of that name would be taken for exchanged.
 *
 * @throws the database's error
 */
export async function forgetNode(catalog: Catalog, name: string, noted: NotedChange): Promise<void> {
  const identity = catalog.identities.get(name)
  if (identity === undefined) return
  for (const group of catalog.groups) await forgetIn(catalog, { group, identity, noted })
  await catalog.on(name, (node) => deletePrints(node, [...catalog.groups], undefined))
  await catalog.read()
}

async function forgetIn(
  catalog: Catalog,
  { group, identity, noted }: { readonly group: string; readonly identity: string; readonly noted: NotedChange },
): Promise<void> {
  const { decider } = catalog
  for (let round = 0; round < maxRounds; round++) {
    await catalog.on(decider, (node) => catalog.readNode(node))
    const before = catalog.copiesOf(group).get(decider)
    if (!before || !(identity in before.nodes) || before.shards.some(({ database }) => database === identity)) {
      await catalog.copy(group)
      return
    }
    const nodes = Object.fromEntries(Object.entries(before.nodes).filter(([known]) => known !== identity))
    const print = { ...before, nodes }
    await catalog.on(decider, (node) => replacePrint(node, { name: group, print }, { before, noted }))
  }
  throw changedMeanwhile()
}
