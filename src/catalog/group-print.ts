import type { FunctionPrint } from '../functions/sharding-function'
import type { ShardGroup } from '../model/sharded-entity'
import type { Shard } from '../topology/shard'
import type { TypeModifiers } from '../values/column-type'
import type { KeyType } from '../values/key-type'

/** One shard of a group, as the databases keep it. */
export interface ShardPrint {
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
}

interface PlacedGroup {
  readonly group: ShardGroup
  readonly keys: TableKeys
  readonly shards: readonly Shard[]
  readonly home: string
  /** The identity of each node's database, by the name of the node. */
  readonly identities: ReadonlyMap<string, string>
}

/** What is to be kept of a group that the options have placed. */
export function groupPrint({ group, keys, shards, home, identities }: PlacedGroup): GroupPrint {
  const identityOf = (node: string): string => identities.get(node) ?? ''
  const used = [...new Set([home, ...shards.map(({ node }) => node)])].sort()
  return Object.freeze({
    keyTypes: group.keyTypes,
    keys,
    rule: group.print.rule,
    layout: group.layout,
    home: identityOf(home),
    nodes: Object.freeze(Object.fromEntries(used.map((node) => [identityOf(node), node]))),
    shards: Object.freeze(
      shards.map(({ label, node, index }) =>
        Object.freeze({ label, database: identityOf(node), owns: group.print.owns[index] ?? '' }),
      ),
    ),
  })
}
