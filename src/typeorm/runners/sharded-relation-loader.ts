import type { DataSource, ObjectLiteral, QueryRunner } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { RelationLoader } from 'typeorm/query-builder/RelationLoader'
import { startOperation } from '../../execution/operation'
import type { Shard } from '../../topology/shard'
import { type EntityBinding, keyOf } from '../binding/entity-binding'
import { shardsOfObject } from '../binding/entity-ids'
import { shardOfKey } from '../binding/entity-shards'
import { leadsApart } from '../binding/relation-apart'
import { ShardAccess } from './shard-access'
import { ShardQueryRunner } from './shard-query-runner'
import type { ShardRuntime } from './shard-runtime'
import { isShardTransaction, type ShardTransaction } from './shard-transaction'

/**
 * Loads a relation on the shard that its entity came from, or that the entity's shard key or id names. Relations to rows elsewhere, of unsharded
 * entities, of many entities, and of an entity that does not name its shard are loaded as TypeORM does. The transaction that the
 * entity was loaded in is used while it is open.
 */
export class ShardedRelationLoader extends RelationLoader {
  constructor(
    dataSource: DataSource,
    private readonly runtime: () => ShardRuntime,
  ) {
    // TypeORM does not export the type that it names here.
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
    const [builder] = rest
    const shard =
      binding && !builder && !another && !leadsApart(relation)
        ? (runtime.entityShards.of(entity)?.shard ?? onlyShardOf(binding, entity))
        : undefined
    // TypeORM loads by SQL, which finds its shards itself.
    if (!shard) return super.load(relation, entityOrEntities, applicationOf(queryRunner), ...rest) as Promise<never[]>
    const application = applicationOf(queryRunner)
    const access = new ShardAccess(
      runtime,
      startOperation({
        kind: 'relation',
        defaults: runtime.limits,
        transaction: transactionOf(application),
        session: isShardTransaction(application) ? application : undefined,
      }),
    )
    const loaded: ObjectLiteral[] = await access.onShard(shard, ({ dataSource, queryRunner: runner }) =>
      dataSource.relationLoader.load(relation, entityOrEntities, runner, ...rest),
    )
    const inverse = runtime.bindingOf(relation.inverseEntityMetadata.target)
    if (inverse) for (const one of loaded) runtime.entityShards.remember(inverse, one, shard)
    // Of the caller's class, which TypeORM leaves open.
    return loaded as never[]
  }
}

/** The shard that the shard key of an entity names, or else its id; undefined if neither names exactly one. */
function onlyShardOf(binding: EntityBinding, entity: ObjectLiteral): Shard | undefined {
  const key = keyOf(binding, entity)
  if (key) return shardOfKey(binding, key)
  const [shard, another] = shardsOfObject(binding, entity) ?? []
  return another ? undefined : shard
}

/** The application's query runner behind the one that an entity was loaded by, which may be a shard's. */
const applicationOf = (runner: QueryRunner | undefined): QueryRunner | undefined =>
  runner instanceof ShardQueryRunner ? runner.transaction : runner

function transactionOf(application: QueryRunner | undefined): ShardTransaction | undefined {
  const isOpen = isShardTransaction(application) && !application.isReleased && application.isInTransaction
  return isOpen ? application : undefined
}
