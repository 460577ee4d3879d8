import type { Catalog } from '../../catalog/catalog'
import { hasSamePlaces } from '../../topology/shard-map'
import { type Composition, composeRuntime, type RuntimeParts } from './compose-runtime'
import { StoredTopology } from './stored-topology'

interface DataSourceParts extends Omit<RuntimeParts, 'map'> {
  readonly catalog: Catalog
}

/** What an initialised data source is made of, and where the databases have stored that its rows are. */
export interface ComposedDataSource extends Composition {
  readonly topology: StoredTopology
}

/**
 * Composes a data source of its model and of what its databases have stored. Where another process stores its topology first,
 * the data source is of that one.
 *
 * @throws ShardedError TOPOLOGY_MISMATCH, CATALOG_UNAVAILABLE, OBJECT_NOT_OURS, and what `composeRuntime` throws
 */
export async function composeDataSource({ catalog, ...parts }: DataSourceParts): Promise<ComposedDataSource> {
  const { dataSource, model, options } = parts
  const topology = new StoredTopology(options, catalog, model)
  const wanted = composeRuntime({ ...parts, map: topology.map() })
  const { synchronize, dropSchema } = dataSource.options
  // What schema work will refuse is not stored: the next start with the options of before is to be accepted.
  const refuse = async (): Promise<void> => {
    await wanted.schemas.refuseForeignObjects()
    await wanted.schemas.refuseKeyRewrite()
  }
  const beforeGrowth = synchronize && !dropSchema ? refuse : undefined
  await topology.reconcile(dataSource.entityMetadatas, { mapOf: () => topology.map(), beforeGrowth })
  const settled = topology.map()
  const composed = hasSamePlaces(wanted.runtime.map, settled) ? wanted : composeRuntime({ ...parts, map: settled })
  return { ...composed, topology }
}
