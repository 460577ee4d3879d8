import {
  type DataSource,
  type DeepPartial,
  type DeleteResult,
  EntityManager,
  type EntityTarget,
  type FindManyOptions,
  type FindOneOptions,
  type FindOptionsWhere,
  type InsertResult,
  type ObjectLiteral,
  type QueryRunner,
  type RemoveOptions,
  type SaveOptions,
  type TreeRepository,
  type UpdateResult,
} from 'typeorm'
import type { PickKeysByType } from 'typeorm/common/PickKeysByType'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { UpdateOptions } from 'typeorm/repository/UpdateOptions'
import type { UpsertOptions } from 'typeorm/repository/UpsertOptions'
import { InstanceChecker } from 'typeorm/util/InstanceChecker'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import { type DefaultLimits, OperationLimits } from '../../execution/operation-limits'
import type { ScatterLimits } from '../../execution/scatter-limits'
import type { CursorSigner } from '../../merging/cursor'
import type { Row } from '../../merging/row'
import { checkLimits } from '../../model/limits'
import type { Explanation } from '../../planning/explanation'
import type { AggregateFunction } from '../../planning/finish-aggregate'
import type { EntityBinding } from '../binding/entity-binding'
import { optionsAtCall } from '../find/options-at-call'
import type { Page } from '../find/page'
import { checkPageOptions, type PageOptions } from '../find/page-options'
import type { WholeReads } from '../find/whole-reads'
import type { LoadOptions, LoadReport } from '../loads/load-options'
import { loadRows } from '../loads/load-rows'
import { BuilderNarrowing } from '../operations/builder-narrowing'
import type { Hint, Narrowing } from '../operations/hint'
import { type MoveOptions, moveEntity } from '../operations/move-entity'
import { type NarrowedQuery, narrowedQuery } from '../operations/narrowed-query'
import { hintedShard, type OperationContext } from '../operations/operation-context'
import { persist } from '../operations/persist'
import { createBuilder, type ShardedSelectQueryBuilder } from '../operations/sharded-query-builders'
import { ShardedQueryRunner } from '../operations/sharded-query-runner'
import * as reads from '../operations/sharded-reads'
import * as writes from '../operations/sharded-writes'
import { pageOfOne } from '../reads/find-page'
import type { EntityStream, StreamOptions, StreamSource } from '../reads/stream-entities'
import { readableOf } from '../runners/readable-of'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import { withQueryErrors } from '../runners/with-query-errors'
import type { Statements } from '../statements/statements'
import type { PersistMode } from '../writes/entity-graph'
import { followCurrent } from './current-manager'
import type { RoutingManager } from './routing-manager'
import { ShardedRepository } from './sharded-repository'

/** The data source as a manager needs it. */
interface RoutedDataSource extends DataSource {
  readonly runtime: ShardRuntime
  readonly statements: Statements
  createQueryBuilder<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    alias: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<Entity>
  createQueryBuilder(queryRunner?: QueryRunner): ShardedSelectQueryBuilder<ObjectLiteral>
  /** The query runner of the transaction that `currentManager` names. */
  currentRunner(): QueryRunner | undefined
  /** Undefined where the options have no secret. */
  readonly cursorSigner: CursorSigner | undefined
}

/** What a transaction has to see the end of, before it may end itself. */
const operations = [
  'find',
  'findBy',
  'findPage',
  'findAndCount',
  'findAndCountBy',
  'findOne',
  'findOneBy',
  'findOneOrFail',
  'findOneByOrFail',
  'count',
  'countBy',
  'exists',
  'existsBy',
  'sum',
  'average',
  'minimum',
  'maximum',
  'preload',
  'save',
  'remove',
  'softRemove',
  'recover',
  'move',
  'insert',
  'load',
  'upsert',
  'update',
  'updateAll',
  'delete',
  'deleteAll',
  'softDelete',
  'restore',
  'increment',
  'decrement',
  'clear',
] as const satisfies readonly (keyof ShardedEntityManager)[]

type Where<Entity> = FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[]

/**
 * Where operations are routed: every one on a sharded entity finds its shards here and runs there, in TypeORM's own form
 * on one shard, planned and merged on several. Operations on unsharded entities are TypeORM's, on the home node.
 */
export class ShardedEntityManager extends EntityManager implements RoutingManager {
  declare readonly dataSource: RoutedDataSource
  private readonly hint: Hint | undefined
  private readonly limits: ScatterLimits | undefined
  /** What all of its operations have alike; made for the first one. */
  private shared: Pick<OperationContext, 'openRunner' | 'whole'> | undefined
  /** The runner that it was made for. */
  readonly ownRunner: QueryRunner | undefined

  constructor(dataSource: RoutedDataSource, queryRunner?: QueryRunner, narrowing?: Narrowing) {
    // A narrowed manager shares its runner with the manager that it came from, which stays the runner's own.
    super(dataSource, narrowing ? undefined : queryRunner)
    if (narrowing && queryRunner) Object.assign(this, { queryRunner })
    // One without a runner follows the transaction that is current when it is asked, and remembers none.
    if (!queryRunner) followCurrent(this, () => dataSource.currentRunner())
    this.ownRunner = queryRunner
    this.hint = narrowing?.hint
    this.limits = narrowing?.limits
  }

  onShard(name: string): ShardedEntityManager {
    return this.narrowed({ hint: { kind: 'shard', shard: this.runtime.handle({ name }).shard } })
  }

  withShardKey(value: unknown): ShardedEntityManager {
    return this.narrowed({ hint: { kind: 'key', value } })
  }

  acrossShards(): ShardedEntityManager {
    return this.narrowed({ hint: { kind: 'across' } })
  }

  withLimits(limits: ScatterLimits): ShardedEntityManager {
    checkLimits(limits, 'withLimits')
    return this.narrowed({ limits: { ...this.limits, ...limits } })
  }

  /** @throws ShardedError LIMITS_UNSUPPORTED after `withLimits` */
  override async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T>
  override async transaction<T>(isolation: IsolationLevel, work: (manager: EntityManager) => Promise<T>): Promise<T>
  override async transaction(...args: unknown[]): Promise<never> {
    this.refuseLimits('transaction')
    return (super.transaction as (...args: unknown[]) => Promise<never>).apply(this, args)
  }

  /** Raw SQL: routed and merged, within limits and as a hint says. */
  // TypeORM's own default type of a raw result.
  // biome-ignore lint/suspicious/noExplicitAny: the signature is TypeORM's
  override async query<T = any>(query: string, parameters?: unknown[] | ObjectLiteral): Promise<T> {
    const { hint, limits } = this
    if (!hint && !limits) return super.query(query, parameters)
    const [result] = await narrowedQuery<T>(this.narrowedQuery(query, parameters), [hint])
    return result as T
  }

  /** The plan of a find. @throws ShardedError NOT_SHARDED for an unsharded entity */
  async explain<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options: FindManyOptions<Entity> = {},
  ): Promise<Explanation> {
    return reads.explainRead(this.required(entityClass, 'explain'), options as reads.Options)
  }

  /** Raw SQL of a repository: routed, or where a hint says so on one shard or on each. */
  async queryFor<T>(
    entityClass: EntityTarget<ObjectLiteral>,
    query: string,
    parameters?: unknown[] | ObjectLiteral,
  ): Promise<T> {
    const context = this.context(entityClass)
    const { hint } = this
    if (context && hint?.kind === 'shard') hintedShard(context.binding, hint.shard)
    if (!context || hint?.kind !== 'across') return this.query(query, parameters)
    const { shards } = context.binding
    const results = await narrowedQuery(
      this.narrowedQuery(query, parameters),
      shards.map((shard) => ({ kind: 'shard', shard })),
    )
    return results.map((result, index) => ({ shard: shards[index]?.name, result })) as T
  }

  private narrowedQuery(query: string, parameters: unknown[] | ObjectLiteral | undefined): NarrowedQuery {
    const { dataSource, queryRunner, limits } = this
    const operationLimits = this.operationLimits()
    return { dataSource, queryRunner, limits, operationLimits, query, parameters }
  }

  override createQueryBuilder<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    alias: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<Entity>
  override createQueryBuilder(queryRunner?: QueryRunner): ShardedSelectQueryBuilder<ObjectLiteral>
  override createQueryBuilder(
    entityOrRunner?: EntityTarget<ObjectLiteral> | QueryRunner,
    alias?: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<ObjectLiteral> {
    const own = this.queryRunner
    // Not by the data source's method: who keeps transactions for requests may have put TypeORM's in its place.
    const builder = alias
      ? createBuilder(this.dataSource, queryRunner ?? own, {
          target: entityOrRunner as EntityTarget<ObjectLiteral>,
          alias,
        })
      : createBuilder(this.dataSource, (entityOrRunner as QueryRunner | undefined) ?? queryRunner ?? own)
    const { hint, limits } = this
    if (!hint && !limits) return builder
    builder.narrowing = new BuilderNarrowing(this.runtime, { hint, limits })
    // A hint that is of no use to the entity is refused here rather than when the builder is executed.
    if (alias) builder.narrowing.shardOf(builder.expressionMap.mainAlias)
    return builder
  }

  override getRepository<Entity extends ObjectLiteral>(target: EntityTarget<Entity>): ShardedRepository<Entity> {
    const known = this.repositories.get(target)
    if (known) return known as ShardedRepository<Entity>
    const repository = new ShardedRepository<Entity>(target, this, this.ownRunner)
    this.repositories.set(target, repository)
    return repository
  }

  override getTreeRepository<Entity extends ObjectLiteral>(target: EntityTarget<Entity>): TreeRepository<Entity> {
    const binding = this.bindingOf(target)
    this.refuseLimits('getTreeRepository')
    if (!binding || this.hint?.kind !== 'shard')
      return Object.assign(super.getTreeRepository(target), { queryRunner: this.ownRunner })
    const { dataSource } = this.runtime.handle(hintedShard(binding, this.hint.shard))
    const { transactionRunner: transaction } = this
    const manager = transaction ? dataSource.joining(transaction) : dataSource.manager
    return manager.getTreeRepository(target)
  }

  override async find<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options?: FindManyOptions<Entity>,
  ): Promise<Entity[]> {
    const context = this.context(entityClass)
    if (!context) return super.find(entityClass, options)
    return (await reads.find(context, (options ?? {}) as reads.Options)) as Entity[]
  }

  /**
   * A page of a find: the rows after (or before) a cursor, in an order that the primary key makes total.
   *
   * @throws ShardedError PAGE_INVALID, CURSOR_INVALID, CURSOR_SECRET_MISSING, ORDER_UNSUPPORTED, and what `find` refuses
   */
  async findPage<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options: PageOptions<Entity>,
  ): Promise<Page<Entity>> {
    const request = checkPageOptions(options)
    const context = this.context(entityClass)
    const metadata = context?.binding.metadata ?? this.dataSource.getMetadata(entityClass)
    const work = { request, signer: this.cursorSigner(metadata.name) }
    if (context) return (await reads.findPage(context, work)) as Page<Entity>
    const find = await optionsAtCall(metadata, request.find)
    return (await pageOfOne(this, metadata, find, work)) as Page<Entity>
  }

  /** The plan of a page. @throws ShardedError NOT_SHARDED for an unsharded entity, and what `findPage` refuses */
  async explainPage<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options: PageOptions<Entity>,
  ): Promise<Explanation> {
    const request = checkPageOptions(options)
    const context = this.required(entityClass, 'explainPage')
    return reads.explainPageRead(context, { request, signer: this.cursorSigner(context.binding.metadata.name) })
  }

  /** See `ShardedRepository.stream`. */
  stream<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options: StreamOptions<Entity> = {},
  ): EntityStream<Entity> {
    const context = this.context(entityClass)
    const given = options as reads.Options
    const entities = context
      ? reads.stream(context, given, (access) => this.streamSource(access))
      : reads.streamAtHome(this.dataSource.getMetadata(entityClass), given, this.homeSource())
    return readableOf(entities, context?.access.limits) as EntityStream<Entity>
  }

  private streamSource(access: ShardAccess): StreamSource {
    const { statements, runtime } = this.dataSource
    const openRunner = () => this.dataSource.createQueryRunner() as ShardedQueryRunner
    const home = async (text: string, parameters: readonly unknown[]): Promise<QueryResult> => {
      const runner = this.queryRunner ?? this.dataSource.createQueryRunner('slave')
      try {
        return await runner.query(text, [...parameters], true)
      } finally {
        if (runner !== this.queryRunner) await runner.release()
      }
    }
    return {
      manager: this,
      facts: () => runtime.nodes.map((node) => runtime.pool(node).sortFacts),
      // The policy was asked when the operation was routed.
      rows: async function* (text, parameters) {
        yield* (await statements.engine()).stream(text, parameters, { access, home, openRunner, isExplicit: true })
      },
    }
  }

  /** Unsharded entities are streamed as TypeORM's query builders stream, and fail as finds do. */
  private homeSource(): StreamSource {
    const { runtime } = this.dataSource
    return {
      manager: this,
      facts: () => [runtime.pool(runtime.map.home).sortFacts],
      rows: async (text, parameters) => {
        const runner = this.queryRunner ?? this.dataSource.createQueryRunner('slave')
        const release = () => (runner === this.queryRunner ? undefined : runner.release())
        const rows = await runner.stream(text, [...parameters], release, release)
        rows.once('close', release)
        return withQueryErrors(rows as unknown as AsyncIterable<Row>, text, parameters)
      },
    }
  }

  override async findBy<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    where: Where<Entity>,
  ): Promise<Entity[]> {
    const context = this.context(entityClass)
    if (!context) return super.findBy(entityClass, where)
    return (await reads.find(context, { where } as reads.Options)) as Entity[]
  }

  override async findAndCount<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options?: FindManyOptions<Entity>,
  ): Promise<[Entity[], number]> {
    const context = this.context(entityClass)
    if (!context) return super.findAndCount(entityClass, options)
    return (await reads.findAndCount(context, (options ?? {}) as reads.Options)) as [Entity[], number]
  }

  override async findAndCountBy<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    where: Where<Entity>,
  ): Promise<[Entity[], number]> {
    const context = this.context(entityClass)
    if (!context) return super.findAndCountBy(entityClass, where)
    return (await reads.findAndCount(context, { where } as reads.Options)) as [Entity[], number]
  }

  override async findOne<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options: FindOneOptions<Entity>,
  ): Promise<Entity | null> {
    const context = options.where ? this.context(entityClass) : undefined
    // Without a condition TypeORM refuses, before it asks any database.
    if (!context) return super.findOne(entityClass, options)
    return (await reads.findOne(context, options as reads.Options)) as Entity | null
  }

  override async findOneBy<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    where: Where<Entity>,
  ): Promise<Entity | null> {
    const context = this.context(entityClass)
    if (!context) return super.findOneBy(entityClass, where)
    return (await reads.findOne(context, { where } as reads.Options)) as Entity | null
  }

  override async count<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options?: FindManyOptions<Entity>,
  ): Promise<number> {
    const context = this.context(entityClass)
    if (!context) return super.count(entityClass, options)
    return reads.count(context, (options ?? {}) as reads.Options)
  }

  override async countBy<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    where: Where<Entity>,
  ): Promise<number> {
    const context = this.context(entityClass)
    if (!context) return super.countBy(entityClass, where)
    return reads.count(context, { where } as reads.Options)
  }

  override async exists<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options?: FindManyOptions<Entity>,
  ): Promise<boolean> {
    const context = this.context(entityClass)
    if (!context) return super.exists(entityClass, options)
    return reads.exists(context, (options ?? {}) as reads.Options)
  }

  override async existsBy<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    where: Where<Entity>,
  ): Promise<boolean> {
    const context = this.context(entityClass)
    if (!context) return super.existsBy(entityClass, where)
    return reads.exists(context, { where } as reads.Options)
  }

  override sum<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    columnName: PickKeysByType<Entity, number>,
    where?: Where<Entity>,
  ): Promise<number | null> {
    return this.aggregate('SUM', entityClass, columnName, where) ?? super.sum(entityClass, columnName, where)
  }

  override average<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    columnName: PickKeysByType<Entity, number>,
    where?: Where<Entity>,
  ): Promise<number | null> {
    return this.aggregate('AVG', entityClass, columnName, where) ?? super.average(entityClass, columnName, where)
  }

  override minimum<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    columnName: PickKeysByType<Entity, number>,
    where?: Where<Entity>,
  ): Promise<number | null> {
    return this.aggregate('MIN', entityClass, columnName, where) ?? super.minimum(entityClass, columnName, where)
  }

  override maximum<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    columnName: PickKeysByType<Entity, number>,
    where?: Where<Entity>,
  ): Promise<number | null> {
    return this.aggregate('MAX', entityClass, columnName, where) ?? super.maximum(entityClass, columnName, where)
  }

  override async preload<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    entityLike: DeepPartial<Entity>,
  ): Promise<Entity | undefined> {
    const context = this.context(entityClass)
    if (!context) return super.preload(entityClass, entityLike)
    return (await writes.preload(context, entityLike)) as Entity | undefined
  }

  override save<Entity>(entities: Entity[], options?: SaveOptions): Promise<Entity[]>
  override save<Entity>(entity: Entity, options?: SaveOptions): Promise<Entity>
  override save<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entities: T[],
    options: SaveOptions & { reload: false },
  ): Promise<T[]>
  override save<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entities: T[],
    options?: SaveOptions,
  ): Promise<(T & Entity)[]>
  override save<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entity: T,
    options: SaveOptions & { reload: false },
  ): Promise<T>
  override save<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entity: T,
    options?: SaveOptions,
  ): Promise<T & Entity>
  override save(...given: unknown[]): Promise<never> {
    return this.persist('save', given)
  }

  /** See `ShardedRepository.move`. */
  async move<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    entity: Entity,
    newKey: unknown,
    options: MoveOptions = {},
  ): Promise<Entity> {
    await moveEntity(this.required(target, 'move'), entity, newKey, options)
    return entity
  }

  override remove<Entity>(entity: Entity, options?: RemoveOptions): Promise<Entity>
  override remove<Entity>(target: EntityTarget<Entity>, entity: Entity, options?: RemoveOptions): Promise<Entity>
  override remove<Entity>(entity: Entity[], options?: RemoveOptions): Promise<Entity>
  override remove<Entity>(target: EntityTarget<Entity>, entity: Entity[], options?: RemoveOptions): Promise<Entity[]>
  override remove(...given: unknown[]): Promise<never> {
    return this.persist('remove', given)
  }

  override softRemove<Entity>(entities: Entity[], options?: SaveOptions): Promise<Entity[]>
  override softRemove<Entity>(entity: Entity, options?: SaveOptions): Promise<Entity>
  override softRemove<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entities: T[],
    options?: SaveOptions,
  ): Promise<T[]>
  override softRemove<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entity: T,
    options?: SaveOptions,
  ): Promise<T>
  override softRemove(...given: unknown[]): Promise<never> {
    return this.persist('softRemove', given)
  }

  override recover<Entity>(entities: Entity[], options?: SaveOptions): Promise<Entity[]>
  override recover<Entity>(entity: Entity, options?: SaveOptions): Promise<Entity>
  override recover<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entities: T[],
    options?: SaveOptions,
  ): Promise<T[]>
  override recover<Entity, T extends DeepPartial<Entity>>(
    target: EntityTarget<Entity>,
    entity: T,
    options?: SaveOptions,
  ): Promise<T>
  override recover(...given: unknown[]): Promise<never> {
    return this.persist('recover', given)
  }

  override async insert<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    entity: QueryDeepPartialEntity<Entity> | QueryDeepPartialEntity<Entity>[],
  ): Promise<InsertResult> {
    const context = this.context(target)
    return context ? writes.insert(context, entity) : super.insert(target, entity)
  }

  /** See `ShardedRepository.load`. */
  async load<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    rows: AsyncIterable<QueryDeepPartialEntity<Entity>> | Iterable<QueryDeepPartialEntity<Entity>>,
    options?: LoadOptions,
  ): Promise<LoadReport> {
    return loadRows(this.required(target, 'load'), rows, options)
  }

  override async upsert<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    entityOrEntities: QueryDeepPartialEntity<Entity> | QueryDeepPartialEntity<Entity>[],
    conflictPathsOrOptions: string[] | UpsertOptions<Entity>,
  ): Promise<InsertResult> {
    const context = this.context(target)
    return context
      ? writes.upsert(context, entityOrEntities, conflictPathsOrOptions)
      : super.upsert(target, entityOrEntities, conflictPathsOrOptions)
  }

  override async update<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    criteria: unknown,
    partialEntity: QueryDeepPartialEntity<Entity>,
    options?: UpdateOptions,
  ): Promise<UpdateResult> {
    const context = this.context(target)
    if (!context) return super.update(target, criteria, partialEntity, options)
    const checked = this.normalizeAndValidateWhereCriteria(criteria, 'update')
    if (writes.isWhole(context, checked, partialEntity)) return super.update(target, criteria, partialEntity, options)
    return writes.update(context, checked, partialEntity, options)
  }

  override async updateAll<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    partialEntity: QueryDeepPartialEntity<Entity>,
    options?: UpdateOptions,
  ): Promise<UpdateResult> {
    const context = this.context(target)
    if (!context || writes.isWhole(context, { criteria: {}, isPrimitive: false }, partialEntity))
      return super.updateAll(target, partialEntity, options)
    return writes.updateAll(context, partialEntity, options)
  }

  override async delete<Entity extends ObjectLiteral>(
    targetOrEntity: EntityTarget<Entity>,
    criteria: unknown,
  ): Promise<DeleteResult> {
    const context = this.context(targetOrEntity)
    if (!context) return super.delete(targetOrEntity, criteria)
    const checked = this.normalizeAndValidateWhereCriteria(criteria, 'delete')
    return writes.isWhole(context, checked) ? super.delete(targetOrEntity, criteria) : writes.deleteBy(context, checked)
  }

  override async deleteAll<Entity extends ObjectLiteral>(targetOrEntity: EntityTarget<Entity>): Promise<DeleteResult> {
    const context = this.context(targetOrEntity)
    return context ? writes.deleteAll(context) : super.deleteAll(targetOrEntity)
  }

  override async softDelete<Entity extends ObjectLiteral>(
    targetOrEntity: EntityTarget<Entity>,
    criteria: unknown,
  ): Promise<UpdateResult> {
    const context = this.context(targetOrEntity)
    if (!context) return super.softDelete(targetOrEntity, criteria)
    const checked = this.normalizeAndValidateWhereCriteria(criteria, 'softDelete')
    if (writes.isWhole(context, checked)) return super.softDelete(targetOrEntity, criteria)
    return writes.softDeleteBy(context, 'softDelete', checked)
  }

  override async restore<Entity extends ObjectLiteral>(
    targetOrEntity: EntityTarget<Entity>,
    criteria: unknown,
  ): Promise<UpdateResult> {
    const context = this.context(targetOrEntity)
    if (!context) return super.restore(targetOrEntity, criteria)
    const checked = this.normalizeAndValidateWhereCriteria(criteria, 'restore')
    if (writes.isWhole(context, checked)) return super.restore(targetOrEntity, criteria)
    return writes.softDeleteBy(context, 'restore', checked)
  }

  override async clear<Entity>(entityClass: EntityTarget<Entity>, options?: { cascade?: boolean }): Promise<void> {
    const context = this.context(entityClass)
    return context ? writes.clear(context, options) : super.clear(entityClass, options)
  }

  private aggregate(
    fn: AggregateFunction,
    entityClass: unknown,
    columnName: unknown,
    where: unknown,
  ): Promise<number | null> | undefined {
    const context = this.context(entityClass)
    return (
      context &&
      reads.aggregate(context, { fn, propertyPath: String(columnName), where: where as reads.Options['where'] })
    )
  }

  /** The arguments are TypeORM's: an optional target, an entity or a list, options. The same entity or list is returned. */
  private async persist(mode: PersistMode, args: readonly unknown[]): Promise<never> {
    const [first, second, third] = args
    const hasTarget =
      args.length > 1 &&
      (typeof first === 'function' || typeof first === 'string' || InstanceChecker.isEntitySchema(first))
    const given: unknown = hasTarget ? second : first
    const options = (hasTarget ? third : second) as (SaveOptions & RemoveOptions) | undefined
    const groups = this.groupByTarget(hasTarget ? first : undefined, given)
    if (groups?.has(undefined)) this.refuseUnsharded(hasTarget ? first : (given as object).constructor)
    if (!groups || [...groups.keys()].every((binding) => binding === undefined)) {
      const plain = super[mode] as (...args: unknown[]) => Promise<never>
      return hasTarget ? plain.call(this, first, second, third) : plain.call(this, first, second)
    }
    // As TypeORM does: what was set as the promise of a lazy relation is there a turn later, and keys may be held by it.
    await Promise.resolve()
    if (groups.size === 1 || this.transactionRunner || options?.transaction === false) {
      for (const [binding, entities] of groups) await this.persistGroup(mode, binding, entities, options)
    } else {
      // Entities of several kinds, some sharded: one transaction around all, as TypeORM's save makes it.
      const own = { hint: this.hint, limits: this.limits }
      await super.transaction(async (manager) => {
        for (const [binding, entities] of groups)
          await (manager as ShardedEntityManager).narrowed(own).persistGroup(mode, binding, entities, options)
      })
    }
    return given as never
  }

  private async persistGroup(
    mode: PersistMode,
    binding: EntityBinding | undefined,
    entities: ObjectLiteral[],
    options: (SaveOptions & RemoveOptions) | undefined,
  ): Promise<void> {
    if (binding) return persist(this.contextOf(binding), mode, entities, options)
    await (super[mode] as (entities: ObjectLiteral[], options?: object) => Promise<unknown>).call(
      this,
      entities,
      options,
    )
  }

  /** Undefined where the arguments are not entities: TypeORM then says what is wrong. */
  private groupByTarget(
    target: unknown,
    given: unknown,
  ): ReadonlyMap<EntityBinding | undefined, ObjectLiteral[]> | undefined {
    const entities: unknown[] = Array.isArray(given) ? given : [given]
    const groups = new Map<EntityBinding | undefined, ObjectLiteral[]>()
    for (const entity of entities) {
      if (entity === null || typeof entity !== 'object') return undefined
      pushTo(groups, this.bindingOf(target ?? entity.constructor), entity)
    }
    return groups.size > 0 ? groups : undefined
  }

  private narrowed({ hint = this.hint, limits = this.limits }: Narrowing): ShardedEntityManager {
    return new ShardedEntityManager(this.dataSource, this.ownRunner, { hint, limits })
  }

  private required(target: unknown, operation: string): OperationContext {
    const context = this.context(target)
    if (context) return context
    const { name } = this.dataSource.getMetadata(target as EntityTarget<ObjectLiteral>)
    throw new ShardedError('NOT_SHARDED', `${operation} is about shards, and ${name} is not sharded.`, {
      details: { entity: name },
    })
  }

  /** A hint names one of an entity's shards, and an unsharded one has none; `acrossShards` asks for nothing it lacks. */
  private refuseUnsharded(target: unknown): void {
    this.refuseLimits('an operation on an unsharded entity')
    if (!this.hint || this.hint.kind === 'across') return
    const { name } = this.dataSource.getMetadata(target as EntityTarget<ObjectLiteral>)
    throw new ShardedError('NOT_SHARDED', `onShard and withShardKey are about shards, and ${name} is not sharded.`, {
      details: { entity: name },
    })
  }

  private refuseLimits(what: string): void {
    if (this.limits) throw new ShardedError('LIMITS_UNSUPPORTED', `withLimits does not reach ${what}.`, {})
  }

  private context(target: unknown): OperationContext | undefined {
    const binding = this.bindingOf(target)
    if (!binding) this.refuseUnsharded(target)
    return binding && this.contextOf(binding)
  }

  private contextOf(binding: EntityBinding): OperationContext {
    this.shared ??= this.makeShared()
    const { openRunner, whole } = this.shared
    return {
      access: this.access(binding.entity.scatter),
      binding,
      hint: this.hint,
      openRunner,
      whole,
    }
  }

  private makeShared(): Pick<OperationContext, 'openRunner' | 'whole'> {
    // TypeORM's own reads, which this class overrides.
    const whole: WholeReads = {
      manager: this,
      find: (target, options) => super.find(target, options),
      findAndCount: (target, options) => super.findAndCount(target, options),
      findOne: (target, options) => super.findOne(target, options as FindOneOptions<ObjectLiteral>),
      count: (target, options) => super.count(target, options),
      exists: (target, options) => super.exists(target, options),
      explain: (target, options) =>
        this.createQueryBuilder(target, this.dataSource.getMetadata(target).name).setFindOptions(options).explain(),
      aggregate: (method, target, property, where) => super[method](target, property as never, where as never),
    }
    return { whole, openRunner: () => this.dataSource.createQueryRunner() as ShardedQueryRunner }
  }

  private access(defaults: DefaultLimits = this.runtime.limits): ShardAccess {
    const { queryRunner: runner } = this
    const limits = this.operationLimits(defaults)
    return runner instanceof ShardedQueryRunner
      ? runner.access(limits)
      : new ShardAccess(this.runtime, undefined, limits)
  }

  private operationLimits(defaults: DefaultLimits = this.runtime.limits): OperationLimits {
    return new OperationLimits(defaults, this.limits)
  }

  private bindingOf(target: unknown): EntityBinding | undefined {
    const known = this.runtime.bindingOf(target)
    if (known || typeof target === 'function' || !this.runtime.hasShardedEntities) return known
    const isName =
      typeof target === 'string' ||
      InstanceChecker.isEntitySchema(target) ||
      (target !== null && typeof target === 'object')
    if (!isName || !this.dataSource.hasMetadata(target as EntityTarget<ObjectLiteral>)) return undefined
    return this.runtime.bindingOf(this.dataSource.getMetadata(target as EntityTarget<ObjectLiteral>).target)
  }

  private cursorSigner(entity: string): CursorSigner {
    const { cursorSigner } = this.dataSource
    if (cursorSigner) return cursorSigner
    throw new ShardedError('CURSOR_SECRET_MISSING', `Pages of ${entity} need a secret to sign their cursors.`, {
      details: { entity },
    })
  }

  private get runtime() {
    return this.dataSource.runtime
  }

  static {
    for (const name of operations) {
      const operation = Reflect.get(ShardedEntityManager.prototype, name) as (...given: unknown[]) => Promise<unknown>
      Reflect.defineProperty(ShardedEntityManager.prototype, name, {
        configurable: true,
        writable: true,
        value(this: ShardedEntityManager, ...given: unknown[]): Promise<unknown> {
          const runner = this.queryRunner
          if (!(runner instanceof ShardedQueryRunner) || !runner.isInTransaction) return operation.apply(this, given)
          return runner.during(() => operation.apply(this, given))
        },
      })
    }
  }

  private get transactionRunner(): ShardedQueryRunner | undefined {
    const runner = this.queryRunner
    return runner instanceof ShardedQueryRunner ? runner.transaction : undefined
  }
}
