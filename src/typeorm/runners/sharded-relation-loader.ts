import type { DataSource, ObjectLiteral, QueryRunner } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { RelationLoader } from 'typeorm/query-builder/RelationLoader'
import { keyOf, shardOfKey } from '../binding/entity-binding'
import { shardsOfObject } from '../binding/entity-ids'
import { ShardAccess } from './shard-access'
import { ShardQueryRunner } from './shard-query-runner'
import type { ShardRuntime } from './shard-runtime'
import { isShardTransaction, type ShardTransaction } from './shard-transaction'

/**
 * Loads a lazy relation on the shard that its entity came from; relations of unsharded entities, and of many entities, as
 * TypeORM does. All in the transaction that the entity was loaded in, while that is open.
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
      return super.load(relation, entityOrEntities, applicationOf(queryRunner), ...rest) as Promise<never[]>
    const key = keyOf(binding, entity)
    const shard =
      runtime.origins.of(entity)?.shard ?? (key ? shardOfKey(binding, key) : shardsOfObject(binding, entity)?.[0])
    if (!shard) return []
    const access = new ShardAccess(runtime, transactionOf(queryRunner))
    const loaded: ObjectLiteral[] = await access.onShard(shard, ({ dataSource, queryRunner: runner }) =>
      dataSource.relationLoader.load(relation, entityOrEntities, runner, ...rest),
    )
    const inverse = runtime.bindingOf(relation.inverseEntityMetadata.target)
    if (inverse) for (const one of loaded) runtime.origins.remember(inverse, one, shard)
    return loaded as never[]
  }
}

/** The application's query runner behind the one that an entity was loaded by, which may be a shard's. */
const applicationOf = (runner: QueryRunner | undefined): QueryRunner | undefined =>
  runner instanceof ShardQueryRunner ? runner.transaction : runner

function transactionOf(runner: QueryRunner | undefined): ShardTransaction | undefined {
  const application = applicationOf(runner)
  const isOpen = isShardTransaction(application) && !application.isReleased && application.isInTransaction
  return isOpen ? application : undefined
}
