import type { DataSource } from 'typeorm'
import type { Shard } from '../../topology/shard'
import type { GroupOf } from '../binding/colocation-group'
import type { LookupAdministration } from '../lookups/lookup-administration'
import type { ShardRuntime } from '../runners/shard-runtime'
import { refuseForeignObjects } from '../schema/refuse-foreign-objects'
import { refuseKeyRewrite } from '../schema/refuse-key-rewrite'
import { SchemaDataSource } from '../schema/schema-data-source'
import { schemaMetadata } from '../schema/schema-metadata'
import { SchemaProgress } from '../schema/schema-progress'
import { shardObjects } from '../schema/shard-objects'
import type { SchemaLog } from '../schema/sharded-schema-builder'
import { eachNode, type NodePools } from './node-pools'

/** Work on the schema of one shard, or of the home node's own tables. */
type SchemaWork = (schema: SchemaDataSource, shard: Shard | undefined) => Promise<void>

interface SchemaParts {
  readonly dataSource: DataSource
  readonly pools: NodePools
  readonly runtime: ShardRuntime
  readonly groupOf: GroupOf
  readonly lookups: LookupAdministration
  /** Objects in the places of shards are taken for ours. */
  readonly adoptsShards: boolean
}

/** The schemas of all shards, and of the home node's own tables: made, dropped, and compared with the entities. */
export class ShardSchemas {
  constructor(private readonly parts: SchemaParts) {}

  /** @throws ShardedError OBJECT_NOT_OURS, SCHEMA_INCOMPLETE */
  synchronize(drop: boolean): Promise<void> {
    return this.changeEach('synchronize()', (schema, shard) => this.synchronizeOne(schema, shard, drop))
  }

  /** @throws ShardedError SCHEMA_INCOMPLETE */
  drop(): Promise<void> {
    return this.changeEach('dropDatabase()', (schema, shard) => this.dropOne(schema, shard))
  }

  async logs(): Promise<readonly SchemaLog[]> {
    const { map } = this.parts.runtime
    const logs: SchemaLog[] = []
    await this.each(async (schema, shard) => {
      logs.push({ node: shard?.node ?? map.home, shard: shard?.name, statements: await schema.log() })
    })
    const places = [undefined, ...map.shards.keys()]
    return logs.sort((a, b) => places.indexOf(a.shard) - places.indexOf(b.shard))
  }

  async synchronizeShard(shard: Shard, drop: boolean): Promise<void> {
    await this.refuseForeignObjects(shard)
    await this.onSchema(shard.node, shard, async (schema) => {
      if (!drop) await this.refuseKeyRewrite(shard)
      await this.synchronizeOne(schema, shard, drop)
    })
  }

  async dropShard(shard: Shard): Promise<void> {
    await this.refuseForeignObjects(shard)
    await this.onSchema(shard.node, shard, (schema) => this.dropOne(schema, shard))
  }

  /** All nodes are looked at before one is changed. @throws ShardedError OBJECT_NOT_OURS */
  refuseForeignObjects(only?: Shard): Promise<void> {
    const { adoptsShards, dataSource, groupOf, runtime } = this.parts
    const tablesOf = (group: string) => dataSource.entityMetadatas.filter((metadata) => groupOf(metadata) === group)
    return eachNode(this.parts.pools, async (pool) => {
      const shards = this.shardsOn(pool.name, only)
      if (shards.length === 0) return
      const objects = shards.map((shard) => shardObjects(shard, tablesOf(shard.group), runtime.lookups))
      await refuseForeignObjects(pool, objects, adoptsShards)
    })
  }

  /** All nodes are looked at before one is changed. @throws ShardedError TOPOLOGY_MISMATCH */
  refuseKeyRewrite(only?: Shard): Promise<void> {
    const { dataSource, pools, runtime } = this.parts
    const bindings = dataSource.entityMetadatas.flatMap(({ target }) => runtime.bindingOf(target) ?? [])
    return eachNode(pools, async (pool) => {
      const shards = this.shardsOn(pool.name, only)
      if (shards.length > 0) await refuseKeyRewrite(pool, shards, bindings)
    })
  }

  private shardsOn(node: string, only?: Shard): readonly Shard[] {
    const all = only ? [only] : [...this.parts.runtime.map.shards.values()]
    return all.filter((shard) => shard.node === node)
  }

  /** Nodes at once, the schemas of a node in turn: what they create (extensions, types) would collide. */
  private async each(work: SchemaWork, progress: SchemaProgress = new SchemaProgress()): Promise<void> {
    const { pools, runtime } = this.parts
    await eachNode(pools, async ({ name: node }) => {
      const shards = this.shardsOn(node)
      for (const shard of node === runtime.map.home ? [undefined, ...shards] : shards)
        await progress.follow({ node, shard: shard?.name }, () => this.onSchema(node, shard, work))
    })
  }

  /** @throws ShardedError SCHEMA_INCOMPLETE where one schema of several fails */
  private async changeEach(call: string, work: SchemaWork): Promise<void> {
    const progress = new SchemaProgress()
    try {
      await this.each(work, progress)
    } catch (error) {
      throw this.parts.runtime.hasShardedEntities ? progress.failureOf(call, error) : error
    }
  }

  private onSchema(node: string, shard: Shard | undefined, work: SchemaWork): Promise<void> {
    const { dataSource, groupOf, runtime } = this.parts
    const own = dataSource.entityMetadatas.filter((metadata) => groupOf(metadata) === shard?.group)
    const metadatas = shard
      ? schemaMetadata(own, { shard, idColumnOf: ({ target }) => runtime.bindingOf(target)?.id?.column })
      : own
    const lookups = shard ? runtime.lookups.ofGroup(shard.group) : []
    const target = { template: dataSource, pool: runtime.pool(node), metadatas, shard, lookups }
    return SchemaDataSource.run(target, (schema) => work(schema, shard))
  }

  private async synchronizeOne(schema: SchemaDataSource, shard: Shard | undefined, drop: boolean): Promise<void> {
    const { lookups } = this.parts
    if (shard && drop) await lookups.uninstall(shard)
    await schema.synchronize(drop)
    if (shard) await lookups.install(shard)
  }

  private async dropOne(schema: SchemaDataSource, shard: Shard | undefined): Promise<void> {
    if (shard) await this.parts.lookups.uninstall(shard)
    await schema.dropDatabase()
  }
}
