import type { ShardMap } from '../topology/shard-map'
import type { CanonicalKey } from '../values/canonical-key'
import type { ShardSize } from './read-sizes'
import type { Load } from './statement-load'

/** What a shard holds, and what it was asked. */
export interface ShardReport extends ShardSize {
  readonly name: string
  readonly group: string
  readonly node: string
  /** Statements of this shard alone; undefined: they are not counted. */
  readonly load: Load | undefined
}

/** What the shards of a node hold together, and what the node was asked. */
export interface NodeReport extends ShardSize {
  readonly name: string
  readonly isHome: boolean
  readonly weight: number
  /** The part of all that is due to it, by the weights: 0 to 1. */
  readonly share: number
  readonly shards: number
  /** Of all statements to the node: those of several shards, and of its unsharded tables, too. */
  readonly load: Load | undefined
}

/** The greatest value against the mean one: 1 is even. Of nodes, against what is due to each. */
export interface Skew {
  readonly rows: number
  readonly bytes: number
  /** Of milliseconds; undefined: they are not counted. */
  readonly load: number | undefined
}

/** The shards of a colocation group together. */
export interface GroupReport extends ShardSize {
  readonly name: string
  readonly shards: number
  /** Of its shards. */
  readonly skew: Skew
}

/** A shard key that operations of this process named often: so many times at least, and at most. */
export interface HotKey {
  readonly group: string
  /** The canonical text of each column of the shard key. */
  readonly key: readonly CanonicalKey[]
  readonly shard: string | undefined
  readonly atLeast: number
  readonly atMost: number
}

/** Where the rows are and where the work is: a frozen value. */
export interface TopologyReport {
  readonly takenAt: Date
  /** Of the shard map. */
  readonly epoch: number
  /** Rows were counted, and not estimated from the servers' statistics. */
  readonly isExact: boolean
  /** When this process began to count statements and keys; undefined: it does not. */
  readonly countedSince: Date | undefined
  readonly nodes: readonly NodeReport[]
  readonly shards: readonly ShardReport[]
  readonly groups: readonly GroupReport[]
  /** Of the nodes. */
  readonly skew: Skew & { readonly shards: number }
  /** By group, the most frequent first. */
  readonly hotKeys: readonly HotKey[]
}

/** What a report is made of. */
export interface ReportInput {
  readonly takenAt: Date
  readonly map: Pick<ShardMap, 'epoch' | 'home' | 'nodes' | 'shards'>
  readonly weights: Readonly<Record<string, number>>
  readonly isExact: boolean
  readonly sizes: ReadonlyMap<string, ShardSize>
  /** Undefined: nothing is counted. */
  readonly load: CountedLoad | undefined
  readonly hotKeys: readonly HotKey[]
}

interface CountedLoad {
  readonly countedSince: Date
  ofNode(node: string): Load
  ofShard(shard: string): Load
}

/** The report of what was read and counted. */
export function topologyReport(input: ReportInput): TopologyReport {
  const { map, load, sizes, takenAt, isExact, hotKeys } = input
  const shards = [...map.shards.values()].map(
    ({ name, group, node }): ShardReport =>
      Object.freeze({ name, group, node, ...(sizes.get(name) ?? { rows: 0, bytes: 0 }), load: load?.ofShard(name) }),
  )
  const nodes = nodesOf(input, shards)
  const shares = nodes.map(({ share }) => share)
  const skewOfNodes = (measure: (node: NodeReport) => number): number => skewAgainst(nodes.map(measure), shares)
  return Object.freeze({
    takenAt,
    epoch: map.epoch,
    isExact,
    countedSince: load?.countedSince,
    nodes,
    shards: Object.freeze(shards),
    groups: groupsOf(shards),
    skew: Object.freeze({
      shards: skewOfNodes((node) => node.shards),
      rows: skewOfNodes(({ rows }) => rows),
      bytes: skewOfNodes(({ bytes }) => bytes),
      load: load && skewOfNodes((node) => node.load?.milliseconds ?? 0),
    }),
    hotKeys: Object.freeze([...hotKeys]),
  })
}

function nodesOf({ map, weights, load }: ReportInput, shards: readonly ShardReport[]): readonly NodeReport[] {
  const total = map.nodes.reduce((sum, name) => sum + (weights[name] ?? 1), 0)
  const nodes = map.nodes.map((name): NodeReport => {
    const own = shards.filter(({ node }) => node === name)
    const weight = weights[name] ?? 1
    return Object.freeze({
      name,
      isHome: name === map.home,
      weight,
      share: weight / total,
      shards: own.length,
      ...sizeOf(own),
      load: load?.ofNode(name),
    })
  })
  return Object.freeze(nodes)
}

function groupsOf(shards: readonly ShardReport[]): readonly GroupReport[] {
  const groups = [...new Set(shards.map(({ group }) => group))].map((name): GroupReport => {
    const own = shards.filter(({ group }) => group === name)
    const shares = own.map(() => 1 / own.length)
    const skewOf = (measure: (shard: ShardReport) => number): number => skewAgainst(own.map(measure), shares)
    const skew: Skew = Object.freeze({
      rows: skewOf(({ rows }) => rows),
      bytes: skewOf(({ bytes }) => bytes),
      load: own[0]?.load && skewOf(({ load }) => load?.milliseconds ?? 0),
    })
    return Object.freeze({ name, shards: own.length, ...sizeOf(own), skew })
  })
  return Object.freeze(groups)
}

const sizeOf = (shards: readonly ShardReport[]): ShardSize => ({
  rows: shards.reduce((sum, { rows }) => sum + rows, 0),
  bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
})

/** The greatest value against what is due: 1 where all is even, or there is nothing. Where nothing is due to one that has something, Infinity. */
export function skewAgainst(values: readonly number[], shares: readonly number[]): number {
  const total = values.reduce((sum, value) => sum + value, 0)
  if (total === 0) return 1
  return Math.max(...values.map((value, index) => (value === 0 ? 0 : value / (total * (shares[index] ?? 0)))))
}
