import type { NodeTag } from '../../sql/tree'
import type { Distribution } from './distribution'
import { expressionNodes } from './expression-nodes'
import { jsonNodes } from './json-nodes'
import { queryNodes } from './query-nodes'
import { internalNodes, otherNodes, refusedNodes } from './refused-nodes'
import { writeNodes } from './write-nodes'

/**
 * What is proven of every node type of PostgreSQL's grammar. A type without an entry is an error of the compiler, and of a
 * test; a node of a newer parser that has none is refused. `docs/reference/sql.md` is made of this.
 */
export const distributionTable = Object.freeze({
  ...queryNodes,
  ...writeNodes,
  ...expressionNodes,
  ...jsonNodes,
  ...refusedNodes,
  ...otherNodes,
  ...internalNodes,
}) satisfies Readonly<Record<NodeTag, Distribution>>

const byName: ReadonlyMap<string, Distribution> = new Map(Object.entries(distributionTable))

export const distributionOf = (tag: string): Distribution | undefined => byName.get(tag)
