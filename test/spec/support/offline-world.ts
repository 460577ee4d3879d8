import { DataSource, type EntityMetadata } from 'typeorm'
import { Refusals } from '../../../src/errors/refusals'
import { buildShardedModel } from '../../../src/model/build-sharded-model'
import { shardedEntity } from '../../../src/model/sharded-entity'
import { shardArgsStorage } from '../../../src/model/sharded-options'
import { placeholderSchema } from '../../../src/planning/bind-shard-names'
import { createShardMap, ownersOf, type ShardMap } from '../../../src/topology/shard-map'
import { bindMetadata } from '../../../src/typeorm/binding/bind-metadata'
import { describeEntities } from '../../../src/typeorm/binding/describe-entities'
import type { EntityBinding } from '../../../src/typeorm/binding/entity-binding'
import { slotColumnsOf } from '../../../src/typeorm/binding/slot-columns'
import type { FindScope } from '../../../src/typeorm/reads/find-scope'
import { node } from '../../unit/planning/node-facts'

/** A data source that knows its entities, and no database. */
class OfflineDataSource extends DataSource {
  async describe(): Promise<readonly EntityMetadata[]> {
    await this.buildMetadatas()
    return this.entityMetadatas
  }
}

/** The sharded entities of specs, bound to shards on the nodes `a` and `b`, without a database. */
export interface OfflineWorld {
  readonly dataSource: DataSource
  readonly map: ShardMap
  readonly metadatas: readonly EntityMetadata[]
  readonly groupOf: (metadata: EntityMetadata) => string | undefined
  readonly bindingOf: (target: unknown) => EntityBinding | undefined
  /** What a front end and the planner are given: these shards of the entity. */
  readonly scope: (binding: EntityBinding, shards: readonly number[]) => FindScope
}

export async function offlineWorld(entities: readonly (new () => object)[]): Promise<OfflineWorld> {
  const dataSource = new OfflineDataSource({ type: 'postgres', entities: [...entities] })
  const metadatas = await dataSource.describe()
  const refusals = new Refusals()
  const model = buildShardedModel(describeEntities(metadatas), shardArgsStorage(), {
    refusals,
    layout: 'schema',
    scatter: {},
    primaryKeyCheck: true,
    groups: {},
  })
  const own = metadatas.filter(({ target }) => shardedEntity(model, target))
  bindMetadata(own, ({ tableName }) => ({ schema: placeholderSchema, name: tableName }))
  const map = createShardMap({ nodes: [{ name: 'a' }, { name: 'b' }], groups: [...model.groups.values()] })
  const bindings = new Map<unknown, EntityBinding>()
  for (const metadata of own) {
    const entity = shardedEntity(model, metadata.target)
    if (!entity) continue
    const keyColumns = entity.keyColumns.flatMap(
      ({ propertyPath }) => metadata.findColumnWithPropertyPath(propertyPath) ?? [],
    )
    const slotColumns = slotColumnsOf(metadata, (target) => shardedEntity(model, target))
    const shards = map.groups.get(entity.group) ?? []
    const owners = ownersOf(map, entity.group)
    bindings.set(metadata.target, { entity, metadata, shards, owners, keyColumns, id: undefined, slotColumns })
  }
  const bindingOf = (target: unknown): EntityBinding | undefined => bindings.get(target)
  const runtime = {
    bindingOf,
    pool: (name: string) => ({ sortFacts: facts.get(name) }),
    handle: () => ({ dataSource }),
  }
  return {
    dataSource,
    map,
    metadatas,
    groupOf: ({ target }) => shardedEntity(model, target)?.group,
    bindingOf,
    scope: (binding, shards) => ({
      // Of a runtime, lowering reads the metadata and how the nodes sort, and nothing else.
      access: { runtime } as never,
      binding,
      shards: shards.flatMap((index) => binding.shards[index] ?? []),
    }),
  }
}

const facts = new Map(['a', 'b'].map((name) => [name, node(name)]))
