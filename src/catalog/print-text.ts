import type { GroupPrint } from './group-print'

/** As it is stored: the databases as a list, and a shard as [label, number of its database, what it owns], the last left out where it is empty. */
interface StoredPrint extends Omit<GroupPrint, 'nodes' | 'shards'> {
  readonly nodes: readonly (readonly [identity: string, name: string])[]
  readonly shards: readonly (readonly [label: string, database: number, owns?: string])[]
}

/** A print as JSON: databases by their number, so that thousands of shards stay small. */
export function formatPrint(print: GroupPrint): string {
  const nodes = Object.entries(print.nodes)
  const numbers = new Map(nodes.map(([identity], number) => [identity, number]))
  const stored: StoredPrint = {
    ...print,
    nodes,
    shards: print.shards.map(({ label, database, owns }) => {
      const number = numbers.get(database) ?? -1
      return owns === '' ? [label, number] : [label, number, owns]
    }),
  }
  return JSON.stringify(stored)
}

/** What `formatPrint` has written. */
export function parsePrint(text: string): GroupPrint {
  // The table is this package's own, and so is what it holds.
  const stored = JSON.parse(text) as StoredPrint
  return Object.freeze({
    ...stored,
    nodes: Object.freeze(Object.fromEntries(stored.nodes)),
    shards: Object.freeze(
      stored.shards.map(([label, number, owns = '']) =>
        Object.freeze({ label, database: stored.nodes[number]?.[0] ?? '', owns }),
      ),
    ),
  })
}
