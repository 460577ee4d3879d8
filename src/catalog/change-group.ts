import { type Catalog, changedMeanwhile, maxRounds } from './catalog'
import type { GroupPrint } from './group-print'
import { type NotedChange, replacePrint } from './node-catalog'

/**
 * Stores another print of a group: on the home node first, which decides, and then on all nodes that answer. A copy that is missed is
 * brought up to date by the next start.
 *
 * @param change what is to be stored in place of what is; undefined: nothing is to be changed. Asked again where others were faster
 * @throws the home node's error
 */
export async function changeGroup(
  catalog: Catalog,
  { group, noted }: { readonly group: string; readonly noted: NotedChange },
  change: (stored: GroupPrint) => GroupPrint | undefined,
): Promise<void> {
  const { decider } = catalog
  for (let round = 0; round < maxRounds; round++) {
    await catalog.on(decider, (node) => catalog.readNode(node))
    const before = catalog.copiesOf(group).get(decider)
    const print = before && change(before)
    if (!print) {
      await catalog.copy(group).catch(() => undefined)
      return
    }
    await catalog.on(decider, (node) => replacePrint(node, { name: group, print }, { before, noted }))
  }
  throw changedMeanwhile()
}
