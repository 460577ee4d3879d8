import type { EntityManager, EntityTarget, FindManyOptions, ObjectLiteral, QueryRunner } from 'typeorm'
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity'
import type { ScatterLimits } from '../../execution/operation'
import type { Explanation } from '../../planning/explain-plan'
import type { Page, PageOptions } from '../find/page'
import type { LoadOptions, LoadReport } from '../loads/load-options'
import type { MoveOptions } from '../operations/move-entity'
import type { ShardedSelectQueryBuilder } from '../operations/sharded-query-builders'
import type { EntityStream, StreamOptions } from '../reads/stream-entities'

/** What a sharded repository asks of its manager besides TypeORM's own methods. */
export interface RoutingManager extends EntityManager {
  /** This manager on one shard. @throws ShardedError SHARD_UNKNOWN */
  onShard(name: string): RoutingManager
  /** This manager on the rows of one shard key. */
  withShardKey(value: unknown): RoutingManager
  /** This manager on all shards, where the scatter policy would warn or forbid. */
  acrossShards(): RoutingManager
  /** This manager, each of its operations within limits. @throws ShardedError OPTIONS_INVALID */
  withLimits(limits: ScatterLimits): RoutingManager
  createQueryBuilder<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    alias: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<Entity>
  createQueryBuilder(queryRunner?: QueryRunner): ShardedSelectQueryBuilder<ObjectLiteral>
  explain<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    options?: FindManyOptions<Entity>,
  ): Promise<Explanation>
  findPage<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    options: PageOptions<Entity>,
  ): Promise<Page<Entity>>
  explainPage<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    options: PageOptions<Entity>,
  ): Promise<Explanation>
  stream<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    options?: StreamOptions<Entity>,
  ): EntityStream<Entity>
  /** See `ShardedRepository.move`. */
  move<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    entity: Entity,
    newKey: unknown,
    options?: MoveOptions,
  ): Promise<Entity>
  load<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    rows: AsyncIterable<QueryDeepPartialEntity<Entity>> | Iterable<QueryDeepPartialEntity<Entity>>,
    options?: LoadOptions,
  ): Promise<LoadReport>
  queryFor<T>(target: EntityTarget<ObjectLiteral>, query: string, parameters?: unknown[] | ObjectLiteral): Promise<T>
}
