import { collationKey, collationOf, describeCollation, type NodeSortFacts } from './node-sort-facts'

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

/**
 * What is to be said about the collations of a data source's nodes, a line each; none where all is well. Orders that a
 * line is about are refused when they are asked for, those of one node excepted.
 *
 * @param names the collations to look at, as SQL names
 * @example collationReport(facts, ['"default"', 'sv-x-icu'])
 */
export function collationReport(facts: readonly NodeSortFacts[], names: readonly string[]): readonly string[] {
  const keys = [...new Set(names.map(collationKey))]
  return Object.freeze([...differences(facts, keys), ...staleVersions(facts, keys)])
}

function* differences(facts: readonly NodeSortFacts[], keys: readonly string[]): Generator<string> {
  for (const key of keys) {
    const conflict = collationConflict(key, facts)
    if (conflict)
      yield `Collation ${key} is not the same on all nodes: ${describeConflict(conflict)}. Orders by it over these nodes are refused (COLLATION_DIFFERS).`
  }
}

function* staleVersions(facts: readonly NodeSortFacts[], keys: readonly string[]): Generator<string> {
  for (const node of facts) {
    for (const key of keys) {
      const collation = collationOf(node, key)
      if (!collation || collation.recordedVersion === undefined) continue
      const { recordedVersion, actualVersion } = collation
      if (recordedVersion === actualVersion) continue
      yield `Node ${node.node}: collation ${key} was made with version ${recordedVersion}, the server has ${actualVersion ?? 'none'}. Indexes on such columns may be out of order: REINDEX them, then ALTER COLLATION … REFRESH VERSION (for "default": ALTER DATABASE).`
    }
  }
}
