import type { FunctionPrint } from '../functions/sharding-function'
import type { ShardGroup } from '../model/sharded-entity'
import type { GroupOwners } from '../topology/group-owners'
import { placementUnitOf } from '../topology/place-shards'
import type { Shard } from '../topology/shard'
import type { KeyType, TypeModifiers } from '../values/key-type'

/** One shard of a group, as the databases keep it. */
interface ShardPrint {
  readonly label: string
  /** The identity of the database that it lies on: names of nodes are the options' affair. */
  readonly database: string
  /** What it alone owns; see `FunctionPrint`. */
  readonly owns: string
}

/** A column of a shard key, by its name in the database. Its type is that of `keyTypes` in the same place. */
export interface KeyPrint extends TypeModifiers {
  readonly name: string
}

/** The shard key of each table of a group that has one, its columns in the order in which the sharding function takes them. */
export type TableKeys = Readonly<Record<string, readonly KeyPrint[]>>

/** All that decides where the rows of a colocation group are: it is kept on every node, and compared at every start. */
export interface GroupPrint {
  readonly keyTypes: readonly KeyType[]
  /**
   * Tables stay when their entities are gone: so do their rows, and the entity may come back. Undefined as earlier versions stored
   * it: the keys of the next start are taken.
   */
  readonly keys?: TableKeys
  readonly rule: FunctionPrint['rule']
  readonly layout: Shard['layout']
  /** The identity of the home node's database: it holds what the group has beside its rows (leases, sequences, states of lookups). */
  readonly home: string
  /** What the databases were called, by identity. */
  readonly nodes: Readonly<Record<string, string>>
  readonly shards: readonly ShardPrint[]
  /** What its shards own, where splits, isolations or merges have changed what the rule says. */
  readonly owners?: GroupOwners
}

interface PlacedGroup {
  readonly group: ShardGroup
  readonly keys: TableKeys
  readonly shards: readonly Shard[]
  readonly home: string
  /** The identity of each node's database, by the name of the node. */
  readonly identities: ReadonlyMap<string, string>
  readonly owners?: GroupOwners | undefined
  /** What is stored: of a group whose owners have changed, the rule stays what it was. */
  readonly stored?: GroupPrint | undefined
}

/** The number of shards that a rule of `hash` declares. */
const declaredShards = /^hash of (\d+) shards$/

/**
 * The rule to compare with the stored one. A group whose owners have changed may be declared with the number of shards that it began with,
 * or that it has now: neither says where a row is any more.
 */
function ruleOf({ group, owners, stored, shards }: PlacedGroup): string {
  const { rule } = group.print
  if (!owners || !stored || !declaredShards.test(stored.rule)) return rule
  return declaredShards.exec(rule)?.[1] === String(shards.length) ? stored.rule : rule
}

/** What is to be kept of a group that the options have placed. */
export function groupPrint(placed: PlacedGroup): GroupPrint {
  const { group, keys, shards, home, identities, owners } = placed
  const identityOf = (node: string): string => identities.get(node) ?? ''
  const used = [...new Set([home, ...shards.map(({ node }) => node)])].sort()
  return Object.freeze({
    keyTypes: group.keyTypes,
    keys,
    rule: ruleOf(placed),
    layout: group.layout,
    home: identityOf(home),
    nodes: Object.freeze(Object.fromEntries(used.map((node) => [identityOf(node), node]))),
    shards: Object.freeze(
      shards.map(({ label, node, index }) =>
        Object.freeze({ label, database: identityOf(node), owns: owners ? '' : (group.print.owns[index] ?? '') }),
      ),
    ),
    ...(owners && { owners }),
  })
}

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

/**
 * The nodes of a group's shards, by label, as the databases know them: the order of options decides nothing that is stored. A
 * shard that is new joins its placement unit; one of a new unit is left to the spread.
 *
 * @param present the name of each database that this data source connects to, by identity
 */
export function storedPlaces(
  { labels, spaces }: Pick<ShardGroup, 'labels' | 'spaces'>,
  stored: GroupPrint | undefined,
  present: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> {
  const nodes = new Map<string, string>()
  for (const { label, database } of stored?.shards ?? []) {
    const node = present.get(database)
    if (node !== undefined) nodes.set(label, node)
  }
  const byUnit = new Map<number, string>()
  for (const [index, label] of labels.entries()) {
    const node = nodes.get(label)
    const unit = placementUnitOf(spaces, index)
    if (node !== undefined && !byUnit.has(unit)) byUnit.set(unit, node)
  }
  return Object.fromEntries(
    labels.flatMap((label, index) => {
      const node = nodes.get(label) ?? byUnit.get(placementUnitOf(spaces, index))
      return node === undefined ? [] : [[label, node]]
    }),
  )
}
