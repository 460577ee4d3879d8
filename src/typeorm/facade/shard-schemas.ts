import type { DataSource, EntityMetadata } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import type { Shard } from '../../topology/shard'
import type { GroupOf } from '../binding/colocation-group'
import type { LookupAdministration } from '../lookups/lookup-administration'
import type { ShardRuntime } from '../runners/shard-runtime'
import { groupTables, refuseForeignObjects, shardObjects } from '../schema/refuse-foreign-objects'
import { refuseKeyRewrite } from '../schema/refuse-key-rewrite'
import { SchemaDataSource } from '../schema/schema-data-source'
import { schemaMetadata } from '../schema/schema-metadata'
import type { SchemaLog } from '../schema/sharded-schema-builder'
import type { Statements } from '../statements/statements'
import { eachNode, type NodePools } from './node-pools'

/** Work on the schema of one shard, or of the home node's own tables. */
type SchemaWork = (schema: SchemaDataSource, shard: Shard | undefined) => Promise<void>

interface SchemaParts {
  readonly dataSource: DataSource
  readonly pools: NodePools
  readonly runtime: ShardRuntime
  readonly groupOf: GroupOf
  readonly isReference: (metadata: EntityMetadata) => boolean
  readonly lookups: LookupAdministration
  readonly statements: Pick<Statements, 'isView'>
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
      logs.push({ node: schema.node, shard: shard?.name, statements: await schema.log() })
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

  /** The tables of every shard of a group, without the suffix of one. */
  tablesOf(group: string): readonly string[] {
    const { dataSource, groupOf, runtime } = this.parts
    const own = dataSource.entityMetadatas.filter((metadata) => groupOf(metadata) === group)
    return groupTables(group, own, runtime.lookups).map(({ name }) => name)
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
      // Before the shards, whose foreign keys refer to them.
      const hasOwn = node === runtime.map.home || runtime.references.all.length > 0
      for (const shard of hasOwn ? [undefined, ...shards] : shards)
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
    const { dataSource, groupOf, isReference, runtime, statements } = this.parts
    const isHere = (metadata: EntityMetadata) =>
      shard !== undefined || node === runtime.map.home || isReference(metadata)
    const isMade = ({ schema, tableName }: EntityMetadata) => !statements.isView({ schema, name: tableName })
    const own = dataSource.entityMetadatas.filter(
      (metadata) => groupOf(metadata) === shard?.group && isHere(metadata) && isMade(metadata),
    )
    const metadatas = shard
      ? schemaMetadata(own, { shard, idColumnOf: ({ target }) => runtime.bindingOf(target)?.id?.column })
      : own
    const lookups = shard ? runtime.lookups.ofGroup(shard.group) : []
    const isHome = node === runtime.map.home
    const target = { template: dataSource, pool: runtime.pool(node), metadatas, shard, isHome, lookups }
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

/** One schema that is changed. */
export interface SchemaPlace {
  readonly node: string
  /** Undefined for the home node's own tables. */
  readonly shard: string | undefined
}

/** Shards that one message names. */
const maxNamed = 10

/** Which schemas a change of all has reached, for the error of the one that failed. */
class SchemaProgress {
  private readonly done: SchemaPlace[] = []
  private readonly failed: Map<unknown, SchemaPlace> = new Map()

  async follow(place: SchemaPlace, work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.done.push(Object.freeze(place))
    } catch (error) {
      this.failed.set(error, place)
      throw error
    }
  }

  /** What `call` throws for the error of a schema. An error of this package names its node itself. */
  failureOf(call: string, error: unknown): unknown {
    const place = this.failed.get(error)
    if (!place || error instanceof ShardedError) return error
    const reason = error instanceof Error ? error.message : String(error)
    const names = this.done.slice(0, maxNamed).map(placeText)
    const more = this.done.length - names.length
    const done =
      this.done.length === 0
        ? 'No other one is done.'
        : `Done, and not undone: ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`
    return new ShardedError('SCHEMA_INCOMPLETE', `${call} failed on ${placeText(place)}: ${reason}. ${done}`, {
      details: { ...place, done: Object.freeze([...this.done]) },
      cause: error,
    })
  }
}

const placeText = ({ node, shard }: SchemaPlace): string =>
  shard === undefined ? `the own tables of node ${node}` : `shard ${shard} of node ${node}`
