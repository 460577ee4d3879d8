import { collationOf, describeCollation, type NodeSortFacts } from './node-sort-facts'

/** Node → its definition of a collation, in words; `absent` where it has none. */
export type CollationByNode = Readonly<Record<string, string>>

/**
 * What the nodes understand by a collation, where they do not understand the same; undefined where they agree. One node
 * alone always agrees with itself, unless it does not know the collation.
 *
 * @example collationConflict('"sv-x-icu"', facts) // { a: 'icu sv version 153.80', b: 'icu sv version 153.120' }
 */
export function collationConflict(name: string, facts: readonly NodeSortFacts[]): CollationByNode | undefined {
  const byNode = facts.map((node) => {
    const collation = collationOf(node, name)
    return [node.node, collation ? describeCollation(node, collation) : 'absent'] as const
  })
  const definitions = new Set(byNode.map(([, definition]) => definition))
  if (definitions.size <= 1 && !definitions.has('absent')) return undefined
  return Object.freeze(Object.fromEntries(byNode))
}

/** The conflict as a sentence's end: `a has icu sv version 1, b has icu sv version 2`. */
export const describeConflict = (conflict: CollationByNode): string =>
  Object.entries(conflict)
    .map(([node, definition]) => `${node} has ${definition === 'absent' ? 'none of that name' : definition}`)
    .join(', ')
