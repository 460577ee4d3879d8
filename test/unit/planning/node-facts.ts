import type { CollationFacts, NodeSortFacts } from '../../../src/query/node-sort-facts'

export const collation = (more: Partial<CollationFacts> = {}): CollationFacts => ({
  provider: 'icu',
  locale: 'sv',
  rules: '',
  deterministic: true,
  recordedVersion: '1',
  actualVersion: '1',
  ...more,
})

/** What a node says of these collations; its default one is `C`. */
export const node = (
  name: string,
  collations: Readonly<Record<string, CollationFacts>> = {},
  more: Partial<NodeSortFacts> = {},
): NodeSortFacts => ({
  node: name,
  encoding: 'UTF8',
  textForm: 'ISO',
  collations: new Map(
    Object.entries({
      '"default"': collation({ provider: 'libc', locale: 'C', recordedVersion: undefined, actualVersion: undefined }),
      ...collations,
    }),
  ),
  ...more,
})
