import type { DataSource, ObjectLiteral, QueryRunner } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { RelationLoader } from 'typeorm/query-builder/RelationLoader'
import { keyOf, shardOfKey } from '../binding/entity-binding'
import { shardsOfObject } from '../binding/entity-ids'
import type { ShardRuntime } from './shard-runtime'

/**
 * Loads a lazy relation on the shard that its entity came from; relations of unsharded entities, and of many entities, as
 * TypeORM does.
 */
export class ShardedRelationLoader extends RelationLoader {
  constructor(
    dataSource: DataSource,
    private readonly runtime: () => ShardRuntime,
  ) {
    super(dataSource as never)
  }

  override async load(
    relation: RelationMetadata,
    entityOrEntities: ObjectLiteral | ObjectLiteral[],
    queryRunner?: QueryRunner,
    ...rest: never[]
  ): Promise<never[]> {
    const runtime = this.runtime()
    const binding = runtime.bindingOf(relation.entityMetadata.target)
    const [entity = {}, another] = Array.isArray(entityOrEntities) ? entityOrEntities : [entityOrEntities]
    // A query builder over all shards loads the relations of its entities by SQL, which finds its shards itself.
    const [builder] = rest
    if (!binding || builder || another)
      return super.load(relation, entityOrEntities, queryRunner, ...rest) as Promise<never[]>
    const key = keyOf(binding, entity)
    const shard =
      runtime.origins.of(entity)?.shard ?? (key ? shardOfKey(binding, key) : shardsOfObject(binding, entity)?.[0])
    if (!shard) return []
    const { dataSource } = runtime.handle(shard)
    const runner = queryRunner?.dataSource === dataSource && !queryRunner.isReleased ? queryRunner : undefined
    const loaded: ObjectLiteral[] = await dataSource.relationLoader.load(relation, entityOrEntities, runner, ...rest)
    const inverse = runtime.bindingOf(relation.inverseEntityMetadata.target)
    if (inverse) for (const one of loaded) runtime.origins.remember(inverse, one, shard)
    return loaded as never[]
  }
}
