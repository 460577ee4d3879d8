import type { EntityMetadata } from 'typeorm'
import type { Catalog } from '../../catalog/catalog'
import { forgetNode } from '../../catalog/forget-node'
import { groupPrint, storedPlaces } from '../../catalog/group-print'
import type { CatalogNode } from '../../catalog/node-catalog'
import { noted } from '../../catalog/noted-change'
import { reconcileTopology } from '../../catalog/reconcile-topology'
import { retireShards } from '../../catalog/retire-shards'
import type { LookupModel } from '../../model/lookup'
import { type WantedShards, withLabels } from '../../model/with-labels'
import { ownerLabels } from '../../topology/group-owners'
import type { PlacedTables, Shard } from '../../topology/shard'
import { createShardMap, type ShardMap } from '../../topology/shard-map'
import { tableKeys } from '../binding/check-tables'
import { groupsOf } from '../binding/colocation-group'
import { replacesOf } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/** The node of the unsharded entities: what the options say, or else the databases know, or else the first. */
export const homeOf = ({ home, nodes }: ShardedDataSourceOptions, catalog: Catalog | undefined): string =>
  home ?? catalog?.home ?? Object.keys(nodes)[0] ?? ''

interface Reconciliation {
  /** Where rows are wanted; asked again when another process has stored its topology first. */
  readonly mapOf: () => ShardMap
  /** Is asked before more is stored of a group that is known: what it throws leaves the stored one as it is. */
  readonly beforeGrowth?: (() => Promise<void>) | undefined
}

/** Where the rows of a model are, by the options and by what the databases have stored of it. */
export class StoredTopology {
  constructor(
    private readonly options: ShardedDataSourceOptions,
    private readonly catalog: Catalog,
    private known: LookupModel,
    /** Labels of groups that come and go with time are those that are stored; false: those of the model, which are to be stored. */
    private readonly adopts = true,
  ) {}

  /** Groups of which another process has stored more shards, and not made their tables yet. */
  private deferred: ReadonlySet<string> = new Set()

  /** The model, with the labels that the databases had stored when the map was made last. */
  get model(): LookupModel {
    return this.known
  }

  /** The same where groups are to have other labels. */
  grown(labels: ReadonlyMap<string, readonly string[]>): StoredTopology {
    const wanted = new Map([...labels].map(([group, own]) => [group, { labels: own }]))
    return new StoredTopology(this.options, this.catalog, withLabels(this.model, wanted), false)
  }

  /**
   * @param before the map that this process has obeyed: what is stored then goes before the option `placement`, which a start compares with
   *   it, and shards on databases that no node connects to are left where they were
   */
  map(before?: ShardMap): ShardMap {
    const { nodes, groups = {} } = this.options
    if (this.adopts) this.known = withLabels(this.known, this.adopted(before !== undefined))
    return createShardMap({
      epoch: this.catalog.epoch,
      nodes: Object.entries(nodes).map(([name, { weight }]) => ({ name, ...(weight !== undefined && { weight }) })),
      home: homeOf(this.options, this.catalog),
      groups: [...this.model.groups.values()].map((group) => {
        const copy = this.catalog.storedOf(group.name)
        const former = before?.groups.get(group.name)?.map(({ label, node }) => [label, node] as const) ?? []
        const assigned = copy?.owners
        const labels = assigned ? ownerLabels(assigned) : group.labels
        const stored = {
          ...Object.fromEntries(former),
          ...storedPlaces({ labels, spaces: group.spaces }, copy, this.catalog.names),
        }
        const placement = before ? undefined : groups[group.name]?.placement
        return { ...group, stored, ...(assigned && { assigned }), ...(placement !== undefined && { placement }) }
      }),
    })
  }

  /**
   * Asks the databases whether the options place rows as they have stored it, before anything is read or written.
   *
   * @throws ShardedError TOPOLOGY_MISMATCH, CATALOG_UNAVAILABLE
   */
  async reconcile(metadatas: EntityMetadata[], { mapOf, beforeGrowth }: Reconciliation): Promise<void> {
    const { catalog, options } = this
    if (this.model.groups.size === 0) return
    const keys = tableKeys(this.model, metadatas)
    const groupOf = groupsOf(this.model)
    const wanted = () => {
      const { groups, home, assigned } = mapOf()
      const { identities } = catalog
      return [...this.model.groups.values()].map((group) => ({
        name: group.name,
        print: groupPrint({
          group,
          keys: keys.get(group.name) ?? {},
          shards: groups.get(group.name) ?? [],
          home,
          identities,
          owners: assigned.get(group.name),
          stored: catalog.storedOf(group.name),
        }),
      }))
    }
    await reconcileTopology(catalog, wanted, {
      beforeGrowth,
      replaces: replacesOf(options),
      tablesOf: (group) => metadatas.flatMap((metadata) => (groupOf(metadata) === group ? [metadata.tableName] : [])),
    })
  }

  /** Stores that a shard lies on another node. @throws the home node's error */
  async place({ group, label }: Pick<Shard, 'group' | 'label'>, database: string, reason: string): Promise<void> {
    await this.catalog.place({ group, label, database }, noted(reason))
  }

  /** Forgets a node that holds no shard. @throws the database's error */
  async forgetNode(node: string): Promise<void> {
    await forgetNode(this.catalog, node, noted(`node ${node} removed`))
  }

  /** Stores that a group has other shards. @throws the home node's error, ShardedError TOPOLOGY_MISMATCH */
  async reassign(change: Parameters<Catalog['reassign']>[0], reason: string): Promise<void> {
    await this.catalog.reassign(change, noted(reason))
  }

  private adopted(isRunning: boolean): ReadonlyMap<string, WantedShards> {
    const { deferred } = this
    return new Map([...this.storedShards(isRunning)].filter(([group]) => !deferred.has(group)))
  }

  /** Forgets shards: no route leads there any more. @throws the home node's error */
  async retire(group: string, labels: readonly string[]): Promise<void> {
    await retireShards(this.catalog, { group, labels }, noted(`no longer kept: ${labels.join(', ')} of ${group}`))
  }

  /**
   * Looks whether shards that another process has stored have their tables: a start stores them first. Until then their group stays as it is.
   *
   * @throws what `isMade` throws
   */
  async deferUnmade(
    isMade: (shard: PlacedTables & { readonly group: string; readonly node: string }) => Promise<boolean>,
  ): Promise<void> {
    const deferred = new Set<string>()
    for (const [name, { units }] of this.storedShards(true)) {
      const group = units && this.known.groups.get(name)
      if (!group) continue
      for (const { label, database } of this.catalog.storedOf(name)?.shards ?? []) {
        if (group.labels.includes(label)) continue
        const node = this.catalog.names.get(database)
        const shard = { name: `${name}_${label}`, label, layout: group.layout, group: name }
        if (node === undefined || !(await isMade({ ...shard, node }))) deferred.add(name)
      }
    }
    this.deferred = deferred
  }

  /**
   * Shards that the databases know and the model does not have, or has no longer.
   *
   * @param isRunning another process may have stored more ranges, lists or periods: a start whose options lack them is refused
   */
  private storedShards(isRunning: boolean): ReadonlyMap<string, WantedShards> {
    const shards = new Map<string, WantedShards>()
    for (const { name, labels: declared, rolling, print } of this.known.groups.values()) {
      const stored = rolling || isRunning ? this.catalog.storedOf(name) : undefined
      if (!stored || stored.owners) continue
      const labels = stored.shards.map(({ label }) => label)
      if (rolling) shards.set(name, { labels })
      else if (stored.rule === print.rule && labels.length > declared.length)
        shards.set(name, { labels, units: stored.shards })
    }
    return shards
  }

  /** The identity of a node's database. */
  identityOf(node: string): string {
    return this.catalog.identities.get(node) ?? ''
  }

  /** The node that connects to a database. */
  nodeOf(identity: string): string | undefined {
    return this.catalog.names.get(identity)
  }

  /** The node that decides where shards are. */
  get decider(): string {
    return this.catalog.decider
  }

  /** Reads anew what the deciding node has stored. */
  async readAgain(decider: CatalogNode): Promise<void> {
    await this.catalog.readNode(decider)
  }

  /** Whether a part of what is stored is not taken over yet. */
  get hasDeferred(): boolean {
    return this.deferred.size > 0
  }

  /** The databases keep nothing of the groups. */
  forget(): Promise<void> {
    return this.catalog.forget([...this.model.groups.keys()], noted('dropped with the database'))
  }
}
