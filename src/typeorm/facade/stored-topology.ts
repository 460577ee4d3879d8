import type { EntityMetadata } from 'typeorm'
import type { Catalog } from '../../catalog/catalog'
import { groupPrint, storedPlaces } from '../../catalog/group-print'
import { reconcileTopology } from '../../catalog/reconcile-topology'
import type { ShardedModel } from '../../model/sharded-entity'
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
    private readonly model: ShardedModel,
  ) {}

  map(): ShardMap {
    const { nodes, groups = {} } = this.options
    return createShardMap({
      nodes: Object.entries(nodes).map(([name, { weight }]) => ({ name, ...(weight !== undefined && { weight }) })),
      home: homeOf(this.options, this.catalog),
      groups: [...this.model.groups.values()].map((group) => {
        const placement = groups[group.name]?.placement
        const [copy] = this.catalog.copiesOf(group.name).values()
        const stored = storedPlaces(group, copy, this.catalog.names)
        return { ...group, stored, ...(placement !== undefined && { placement }) }
      }),
    })
  }

  /**
   * Asks the databases whether the options place rows as they have stored it, before anything is read or written.
   *
   * @throws ShardedError TOPOLOGY_MISMATCH, CATALOG_UNAVAILABLE
   */
  async reconcile(metadatas: EntityMetadata[], { mapOf, beforeGrowth }: Reconciliation): Promise<void> {
    const { catalog, model, options } = this
    if (model.groups.size === 0) return
    const keys = tableKeys(model, metadatas)
    const groupOf = groupsOf(model)
    const wanted = () => {
      const { groups, home } = mapOf()
      const { identities } = catalog
      return [...model.groups.values()].map((group) => ({
        name: group.name,
        print: groupPrint({
          group,
          keys: keys.get(group.name) ?? {},
          shards: groups.get(group.name) ?? [],
          home,
          identities,
        }),
      }))
    }
    await reconcileTopology(catalog, wanted, {
      beforeGrowth,
      replaces: replacesOf(options),
      tablesOf: (group) => metadatas.flatMap((metadata) => (groupOf(metadata) === group ? [metadata.tableName] : [])),
    })
  }

  /** The databases keep nothing of the groups. */
  forget(): Promise<void> {
    return this.catalog.forget([...this.model.groups.keys()])
  }
}
