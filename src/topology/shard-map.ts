import { ShardedError } from '../errors/sharded-error'
import type { BoundFunction } from '../functions/sharding-function'
import { maxNameBytes } from '../values/max-name-bytes'
import { type GroupOwners, ownerLabels } from './group-owners'
import { placementUnitOf, placeShards, type WeightedNode } from './place-shards'
import type { PlacedTables, Shard } from './shard'
import { assignedOwners, evenOwners, type UnitOwners } from './unit-owners'

/** Names that PostgreSQL keeps for itself: it refuses to create `pg_…`, and `information_schema` is in every database. */
const isReservedSchema = (name: string): boolean => name.startsWith('pg_') || name === 'information_schema'

/** Which shard owns what, and lies on which node. A value: every change is a new map with the next epoch. */
export interface ShardMap {
  /** Grows with each change, as the home node has noted it; 0 where nothing is stored. */
  readonly epoch: number
  readonly nodes: readonly string[]
  /** The node of the unsharded entities. */
  readonly home: string
  /** The shards of each colocation group, in the order of their indexes. */
  readonly groups: ReadonlyMap<string, readonly Shard[]>
  /** By colocation group, which of its shards own which slots, or other units of its sharding function. */
  readonly owners: ReadonlyMap<string, UnitOwners>
  /** The same as a value, of groups whose shards do not own what their function declares any more. */
  readonly assigned: ReadonlyMap<string, GroupOwners>
  /** All shards by name. */
  readonly shards: ReadonlyMap<string, Shard>
}

/** A colocation group whose shards are to be placed. */
export interface GroupPlacement {
  readonly name: string
  readonly labels: readonly string[]
  readonly layout: Shard['layout']
  /** Of its sharding function, whose labels these are. */
  readonly spaces: BoundFunction['spaces']
  /** Nodes of single shards, by label or by name: they override where the spread would put them, and move no other. */
  readonly placement?: Readonly<Record<string, string>> | 'even'
  /** Nodes of shards, by label, as the databases know them: they go before the spread, and `placement` before them. */
  readonly stored?: Readonly<Record<string, string>>
  /** What its shards own, where it is not what the function declares: they are then the group's shards. */
  readonly assigned?: GroupOwners
}

export interface ShardMapOptions {
  /** Default: 0, of a map that is stored nowhere. */
  readonly epoch?: number
  readonly nodes: readonly WeightedNode[]
  /** Default: the first node. */
  readonly home?: string
  readonly groups: readonly GroupPlacement[]
}

const invalid = (message: string, details: Readonly<Record<string, unknown>>): ShardedError =>
  new ShardedError('OPTIONS_INVALID', message, { details })

const checkNode = (node: string, nodes: readonly string[], of: string): string => {
  if (nodes.includes(node)) return node
  throw invalid(`${of} names the node '${node}', which does not exist.`, { node, nodes })
}

/** In the layout `schema`, the name of a shard is that of its schema. */
const shardName = ({ name: group, layout }: GroupPlacement, label: string): string => {
  const name = `${group}_${label}`
  if (layout === 'schema' && isReservedSchema(name)) {
    throw new ShardedError(
      'NAME_INVALID',
      `The shard '${name}' cannot have a schema of its name, which PostgreSQL keeps for itself. Give the group '${group}' another name with the option group: @Sharded(…, { group: 'app_${group}' }).`,
      { details: { shard: name, group } },
    )
  }
  const bytes = Buffer.byteLength(name)
  if (bytes <= maxNameBytes) return name
  throw new ShardedError('NAME_INVALID', `The shard name '${name}' has ${bytes} bytes, more than ${maxNameBytes}.`, {
    details: { shard: name, group },
  })
}

const pinsOf = ({ name: group, labels, placement }: GroupPlacement, nodes: readonly string[]) => {
  const pins = new Map<string, string>()
  for (const [key, node] of placement === undefined || placement === 'even' ? [] : Object.entries(placement)) {
    const label = labels.find((candidate) => candidate === key || `${group}_${candidate}` === key)
    if (label === undefined)
      throw invalid(`The placement of group '${group}' names the shard '${key}', which it does not have.`, {
        group,
        shard: key,
      })
    if (pins.has(label))
      throw invalid(`The placement of group '${group}' names the shard '${label}' twice.`, { group, shard: key })
    pins.set(label, checkNode(node, nodes, `The placement of group '${group}'`))
  }
  return pins
}

const placeGroup = (group: GroupPlacement, weighted: readonly WeightedNode[]): readonly Shard[] => {
  const { name, labels, layout, spaces } = group
  const pins = pinsOf(
    group,
    weighted.map((node) => node.name),
  )
  const spread = placeShards(weighted, placementUnitOf(spaces, labels.length - 1) + 1)
  const shards = labels.map((label, index): Shard => {
    const node = pins.get(label) ?? group.stored?.[label] ?? spread[placementUnitOf(spaces, index)]
    if (node === undefined) throw new Error(`Group '${name}' has more labels than shards of its function.`)
    return Object.freeze({ name: shardName(group, label), group: name, label, index, node, layout })
  })
  return Object.freeze(shards)
}

type Groups = readonly (readonly [string, readonly Shard[]])[]

/** The shards with what lies beside them. A node with shards of one group has nothing to tell. */
const withNeighbours = (groups: Groups): Groups => {
  const onNodes = new Map<string, Map<string, PlacedTables>>()
  for (const { group, node, name, label, layout } of groups.flatMap(([, shards]) => shards)) {
    const onNode = onNodes.get(node) ?? new Map<string, PlacedTables>()
    if (!onNode.has(group)) onNode.set(group, Object.freeze({ name, label, layout }))
    onNodes.set(node, onNode)
  }
  const beside = ({ group, node }: Shard) => {
    const others = [...(onNodes.get(node) ?? [])].filter(([name]) => name !== group)
    return others.length > 0 ? { beside: new Map(others) } : undefined
  }
  return groups.map(([name, shards]) => [
    name,
    Object.freeze(shards.map((shard) => Object.freeze({ ...shard, ...beside(shard) }))),
  ])
}

const indexGroups = (groups: Groups): Pick<ShardMap, 'groups' | 'shards'> => {
  const byGroup = new Map<string, readonly Shard[]>()
  const byName = new Map<string, Shard>()
  for (const [group, shards] of groups) {
    if (byGroup.has(group)) throw invalid(`Two colocation groups have the name '${group}'.`, { group })
    byGroup.set(group, shards)
    for (const shard of shards) {
      const other = byName.get(shard.name)
      if (other !== undefined) {
        throw invalid(`The groups '${other.group}' and '${group}' both have a shard '${shard.name}'.`, {
          shard: shard.name,
        })
      }
      byName.set(shard.name, shard)
    }
  }
  return { groups: byGroup, shards: byName }
}

/**
 * The first map of a data source: groups placed over its nodes, each by itself.
 *
 * @throws ShardedError OPTIONS_INVALID, NAME_INVALID
 */
export const createShardMap = ({ epoch = 0, nodes: weighted, home, groups: declared }: ShardMapOptions): ShardMap => {
  const groups = declared.map((group) => (group.assigned ? { ...group, labels: ownerLabels(group.assigned) } : group))
  const nodes = Object.freeze(weighted.map(({ name }) => name))
  const [first] = nodes
  if (first === undefined) throw invalid('There are no nodes.', {})
  const twice = nodes.find((name, index) => nodes.indexOf(name) !== index)
  if (twice !== undefined) throw invalid(`Two nodes have the name '${twice}'.`, { node: twice })
  return Object.freeze({
    epoch,
    nodes,
    home: checkNode(home ?? first, nodes, 'The option home'),
    owners: new Map(groups.map((group) => [group.name, unitOwners(group)])),
    assigned: new Map(groups.flatMap(({ name, assigned }) => (assigned ? [[name, assigned]] : []))),
    ...indexGroups(withNeighbours(groups.map((group) => [group.name, placeGroup(group, weighted)]))),
  })
}

const unitOwners = ({ labels, spaces, assigned }: GroupPlacement): UnitOwners =>
  assigned ? assignedOwners(assigned, labels) : evenOwners(spaces)

/** The owners of a group that the map has. */
export const ownersOf = ({ owners }: Pick<ShardMap, 'owners'>, group: string): UnitOwners => {
  const found = owners.get(group)
  if (found) return found
  throw new RangeError(`The shard map has no group '${group}'.`)
}

/** Whether two maps of the same groups are of one epoch, and have every shard, and the home, on the same node. */
export const isSameMap = (a: ShardMap, b: ShardMap): boolean =>
  a.epoch === b.epoch &&
  a.home === b.home &&
  a.shards.size === b.shards.size &&
  [...a.shards.values()].every(({ name, node }) => b.shards.get(name)?.node === node)
