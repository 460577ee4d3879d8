import type { EntityMetadata } from 'typeorm'
import { collationReport } from '../../query/collation-conflict'
import { defaultCollation } from '../../query/collation-name'
import { quoted } from '../../values/quoted'
import { eachNode, type NodePools } from './node-pools'

/**
 * Asks every node how it sorts. An order by a collation that is not the same on all nodes is refused when it is asked for.
 *
 * @returns a line for each collation that differs
 */
export async function loadCollations(pools: NodePools, sharded: readonly EntityMetadata[]): Promise<readonly string[]> {
  const declared = sharded.flatMap((metadata) => metadata.columns).flatMap(({ collation }) => collation ?? [])
  const names = [defaultCollation, ...new Set(declared.map(quoted))]
  await eachNode(pools, (pool) => pool.loadSortFacts(names))
  const facts = [...pools.values()].map((pool) => pool.sortFacts)
  // Those of users that all nodes have: raw SQL may sort by them. What one node alone has is its own affair.
  const isCommon = (name: string) => facts.every(({ collations }) => collations.has(name))
  const common = [...(facts[0]?.collations.keys() ?? [])].filter((name) => {
    // Of the two names of one that the search path finds, the short one.
    const bare = name.replace(/^"(?:[^"]|"")*"\./, '')
    return isCommon(name) && (bare === name || !isCommon(bare))
  })
  return collationReport(facts, [...names, ...common])
}
