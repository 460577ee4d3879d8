import type { Readable } from 'node:stream'
import {
  EntityManager,
  type EntityTarget,
  type FindManyOptions,
  type ObjectLiteral,
  type QueryRunner,
  type TreeRepository,
} from 'typeorm'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity'
import type { ScatterLimits } from '../../execution/operation'
import { checkLimits } from '../../model/limits'
import type { Explanation } from '../../planning/explain-plan'
import type { EntityBinding } from '../binding/entity-binding'
import { checkPageOptions, type Page, type PageOptions } from '../find/page'
import type { WholeReads } from '../find/whole-reads'
import type { LoadOptions, LoadReport } from '../loads/load-options'
import { loadRows } from '../loads/load-rows'
import { type ApartContext, readHomeInParts } from '../operations/apart-reads'
import { BuilderNarrowing } from '../operations/builder-narrowing'
import { explainPageRead, explainRead } from '../operations/explain-reads'
import type { Narrowing } from '../operations/hint'
import { type MoveOptions, moveEntity } from '../operations/move-entity'
import { type NarrowedQuery, narrowedQuery } from '../operations/narrowed-query'
import { hintedShard } from '../operations/operation-context'
import { persist } from '../operations/persist'
import {
  type BuilderArguments,
  createBuilder,
  isOfEntity,
  type ShardedSelectQueryBuilder,
} from '../operations/sharded-query-builders'
import { ShardedQueryRunner } from '../operations/sharded-query-runner'
import { findPage, pageAtHome } from '../operations/sharded-reads'
import { stream, streamAtHome } from '../operations/sharded-streams'
import type { EntityStream, StreamOptions } from '../reads/stream-entities'
import { followingMap } from '../runners/following-map'
import { readableOf } from '../runners/readable-of'
import type { PersistMode } from '../writes/entity-graph'
import { refuseLostCascades } from '../writes/lost-cascades'
import { followCurrent } from './current-manager'
import { groupEntities, inWriteOrder, type PersistOptions, persistCallOf } from './persist-call'
import {
  isTarget,
  OperationScope,
  operationNames,
  type RoutedDataSource,
  type RoutedName,
  routedNames,
  routedOperations,
} from './routed-operations'
import type { RoutingManager } from './routing-manager'
import { ShardedRepository } from './sharded-repository'
import { homeSource, shardedSource } from './stream-sources'

type Target = EntityTarget<ObjectLiteral>
type Options = FindManyOptions<ObjectLiteral>
type Raw = unknown[] | ObjectLiteral | undefined
type MoveArguments<Entity> = [target: EntityTarget<Entity>, entity: Entity, newKey: unknown, options?: MoveOptions]

/**
 * Where operations are routed: every one on a sharded entity finds its shards here and runs there, in TypeORM's own form
 * on one shard, planned and merged on several. Operations on unsharded entities are TypeORM's, on the home node.
 *
 * TypeORM's operations that `routedOperations` names have TypeORM's types, and are put in the place of its methods below.
 *
 * @example
 * await dataSource.transaction(async (manager) => {
 *   await manager.save(order) // on the order's shard
 *   await manager.increment(Account, { id: order.accountId }, 'orders', 1) // perhaps on another, in two phases
 * })
 */
export class ShardedEntityManager extends EntityManager implements RoutingManager {
  declare readonly dataSource: RoutedDataSource
  private readonly scope: OperationScope
  /** The runner that it was made for. */
  readonly ownRunner: QueryRunner | undefined

  constructor(dataSource: RoutedDataSource, queryRunner?: QueryRunner, narrowing?: Narrowing) {
    // A narrowed manager shares its runner with the manager that it came from, which stays the runner's own.
    super(dataSource, narrowing ? undefined : queryRunner)
    if (narrowing && queryRunner) Object.assign(this, { queryRunner })
    // One without a runner follows the transaction that is current when it is asked, and remembers none.
    if (!queryRunner) followCurrent(this, () => dataSource.currentRunner())
    this.ownRunner = queryRunner
    this.scope = new OperationScope(this, narrowing ?? {}, () => this.wholeReads())
  }

  onShard(name: string): ShardedEntityManager {
    return this.narrowed({ hint: { kind: 'shard', shard: this.dataSource.runtime.handle({ name }).shard } })
  }

  withShardKey(value: unknown): ShardedEntityManager {
    return this.narrowed({ hint: { kind: 'key', value } })
  }

  acrossShards(): ShardedEntityManager {
    return this.narrowed({ hint: { kind: 'across' } })
  }

  withLimits(limits: ScatterLimits): ShardedEntityManager {
    checkLimits(limits, 'withLimits')
    return this.narrowed({ limits: { ...this.scope.narrowing.limits, ...limits } })
  }

  /** @throws ShardedError LIMITS_UNSUPPORTED after `withLimits` */
  override async transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T>
  override async transaction<T>(isolation: IsolationLevel, work: (manager: EntityManager) => Promise<T>): Promise<T>
  override async transaction(...given: unknown[]): Promise<unknown> {
    this.scope.refuseLimits('transaction')
    return Reflect.apply(super.transaction, this, given)
  }

  /** Raw SQL: routed and merged, within limits and as a hint says. */
  // TypeORM's own default type of a raw result.
  // biome-ignore lint/suspicious/noExplicitAny: the signature is TypeORM's
  override query<T = any>(query: string, parameters?: unknown[] | ObjectLiteral): Promise<T>
  override async query(query: string, parameters?: Raw): Promise<unknown> {
    const { hint, limits } = this.scope.narrowing
    if (!hint && !limits) return super.query(query, parameters)
    const [result] = await narrowedQuery(this.narrowedQuery(query, parameters), [hint])
    return result
  }

  /** The plan of a find. @throws ShardedError NOT_SHARDED for an unsharded entity */
  async explain<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    options: FindManyOptions<Entity> = {},
  ): Promise<Explanation> {
    return explainRead(this.scope.required(target, 'explain'), options)
  }

  /** Raw SQL of a repository: routed, or where a hint says so on one shard or on each. */
  queryFor<T>(
    entityClass: EntityTarget<ObjectLiteral>,
    query: string,
    parameters?: unknown[] | ObjectLiteral,
  ): Promise<T>
  async queryFor(target: Target, query: string, parameters?: Raw): Promise<unknown> {
    const context = this.scope.context(target)
    const { hint } = this.scope.narrowing
    if (context && hint?.kind === 'shard') hintedShard(context.binding, hint.shard)
    if (!context || hint?.kind !== 'across') return this.query(query, parameters)
    const { shards } = context.binding
    const results = await narrowedQuery(
      this.narrowedQuery(query, parameters),
      shards.map((shard) => ({ kind: 'shard', shard })),
    )
    return results.map((result, index) => ({ shard: shards[index]?.name, result }))
  }

  private narrowedQuery(query: string, parameters: Raw): NarrowedQuery {
    const { dataSource, queryRunner, scope } = this
    const { limits } = scope.narrowing
    const operation = scope.startOperation('statement')
    return { dataSource, queryRunner, limits, operation, query, parameters }
  }

  override createQueryBuilder<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    alias: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<Entity>
  override createQueryBuilder(queryRunner?: QueryRunner): ShardedSelectQueryBuilder<ObjectLiteral>
  override createQueryBuilder(...given: BuilderArguments): ShardedSelectQueryBuilder<ObjectLiteral> {
    // Not by the data source's method: a library that keeps one transaction for each request may have replaced it by TypeORM's.
    const builder = createBuilder(this.dataSource, given, () => this.queryRunner)
    const { hint, limits } = this.scope.narrowing
    if (!hint && !limits) return builder
    builder.narrowing = new BuilderNarrowing(this.dataSource.runtime, { hint, limits })
    // A hint that is of no use to the entity is refused here rather than when the builder is executed.
    if (isOfEntity(given)) builder.narrowing.shardOf(builder.expressionMap.mainAlias)
    return builder
  }

  override getRepository<Entity extends ObjectLiteral>(target: EntityTarget<Entity>): ShardedRepository<Entity> {
    const known = this.repositories.get(target)
    if (known instanceof ShardedRepository) return known
    const repository = new ShardedRepository<Entity>(target, this, this.ownRunner)
    this.repositories.set(target, repository)
    return repository
  }

  override getTreeRepository<Entity extends ObjectLiteral>(target: EntityTarget<Entity>): TreeRepository<Entity> {
    const binding = this.scope.bindingOf(target)
    this.scope.refuseLimits('getTreeRepository')
    const { hint } = this.scope.narrowing
    if (!binding || hint?.kind !== 'shard')
      return Object.assign(super.getTreeRepository(target), { queryRunner: this.ownRunner })
    const { dataSource } = this.dataSource.runtime.handle(hintedShard(binding, hint.shard))
    const { transactionRunner: transaction } = this.scope
    const manager = transaction ? dataSource.joining(transaction) : dataSource.manager
    return manager.getTreeRepository(target)
  }

  /**
   * A page of a find: the rows after (or before) a cursor, in an order that the primary key makes total.
   *
   * @throws ShardedError PAGE_INVALID, CURSOR_INVALID, CURSOR_SECRET_MISSING, ORDER_UNSUPPORTED, and what `find` refuses
   */
  findPage<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options: PageOptions<Entity>,
  ): Promise<Page<Entity>>
  async findPage(target: Target, options: PageOptions<ObjectLiteral>): Promise<Page<ObjectLiteral>> {
    const request = checkPageOptions(options)
    const context = this.scope.context(target)
    const metadata = context?.binding.metadata ?? this.dataSource.getMetadata(target)
    const work = { request, signer: this.scope.cursorSigner(metadata.name) }
    if (context) return findPage(context, work)
    return pageAtHome(this.apartContext(), metadata, work)
  }

  /** The plan of a page. @throws ShardedError NOT_SHARDED for an unsharded entity, and what `findPage` refuses */
  async explainPage<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    options: PageOptions<Entity>,
  ): Promise<Explanation> {
    const request = checkPageOptions(options)
    const context = this.scope.required(target, 'explainPage')
    return explainPageRead(context, { request, signer: this.scope.cursorSigner(context.binding.metadata.name) })
  }

  /** See `ShardedRepository.stream`. */
  stream<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options?: StreamOptions<Entity>,
  ): EntityStream<Entity>
  stream(target: Target, options: Options = {}): Readable {
    const context = this.scope.context(target)
    const entities = context
      ? stream(context, options, (access) => shardedSource(this, access))
      : streamAtHome(
          this.apartContext(),
          { metadata: this.dataSource.getMetadata(target), given: options },
          homeSource(this),
        )
    return readableOf(entities, context?.access.operation)
  }

  /** See `ShardedRepository.move`. */
  async move<Entity extends ObjectLiteral>(
    ...[target, entity, newKey, options]: MoveArguments<Entity>
  ): Promise<Entity> {
    await moveEntity(this.scope.required(target, 'move'), { entity, newKey, options })
    return entity
  }

  /** See `ShardedRepository.load`. */
  async load<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    rows: AsyncIterable<QueryDeepPartialEntity<Entity>> | Iterable<QueryDeepPartialEntity<Entity>>,
    options?: LoadOptions,
  ): Promise<LoadReport> {
    return loadRows(this.scope.required(target, 'load'), rows, options)
  }

  /** Runs `save`, `remove`, `softRemove` or `recover`. @returns the same entity or list */
  private async persist(mode: PersistMode, args: readonly unknown[]): Promise<unknown> {
    const call = persistCallOf(args)
    const groups = groupEntities(call, (target) => this.scope.bindingOf(target))
    const [unsharded] = groups?.get(undefined) ?? []
    if (unsharded) this.scope.refuseUnsharded(call.target ?? unsharded.constructor)
    if (!groups || [...groups.keys()].every((binding) => binding === undefined)) return this.persistAtHome(mode, args)
    // As TypeORM does: what was set as the promise of a lazy relation is there a turn later, and keys may be held by it.
    await Promise.resolve()
    const { options } = call
    if (groups.size === 1 || this.scope.transactionRunner || options?.transaction === false) {
      await this.persistGroups(mode, groups, options)
    } else {
      // Entities of several kinds, some sharded: one transaction around all, as TypeORM's save makes it.
      const { dataSource, scope } = this
      await super.transaction(({ queryRunner }) =>
        new ShardedEntityManager(dataSource, queryRunner, scope.narrowing).persistGroups(mode, groups, options),
      )
    }
    return call.given
  }

  private async persistGroups(
    mode: PersistMode,
    groups: ReadonlyMap<EntityBinding | undefined, ObjectLiteral[]>,
    options: PersistOptions | undefined,
  ): Promise<void> {
    const { references } = this.dataSource.runtime
    for (const [binding, entities] of inWriteOrder(mode, groups, (target) => references.has(target))) {
      if (binding) await persist(this.scope.contextOf(binding), { mode, entities, options })
      else await this.persistAtHome(mode, [entities, options])
    }
  }

  /** TypeORM's own, of unsharded entities. */
  private persistAtHome(mode: PersistMode, args: readonly unknown[]): Promise<unknown> {
    const { dataSource } = this
    refuseLostCascades(mode, persistCallOf(args), (target) =>
      isTarget(target) && dataSource.hasMetadata(target) ? dataSource.getMetadata(target) : undefined,
    )
    return Reflect.apply(super[mode], this, args)
  }

  private narrowed(narrowing: Narrowing): ShardedEntityManager {
    return new ShardedEntityManager(this.dataSource, this.ownRunner, { ...this.scope.narrowing, ...narrowing })
  }

  private unhinted(): ShardedEntityManager {
    const { hint, limits } = this.scope.narrowing
    return hint ? new ShardedEntityManager(this.dataSource, this.ownRunner, limits ? { limits } : {}) : this
  }

  private apartContext(): ApartContext {
    return { runtime: this.dataSource.runtime, whole: this.wholeReads() }
  }

  /** TypeORM's own reads, which this class overrides. */
  private wholeReads(): WholeReads {
    return {
      manager: this,
      related: () => this.unhinted(),
      find: (target, options) => super.find(target, options),
      findAndCount: (target, options) => super.findAndCount(target, options),
      findOne: (target, options) => super.findOne(target, options),
      count: (target, options) => super.count(target, options),
      exists: (target, options) => super.exists(target, options),
      explain: (target, options) =>
        this.createQueryBuilder(target, this.dataSource.getMetadata(target).name).setFindOptions(options).explain(),
      aggregate: (method, target, { property, where }) => super[method](target, property, where),
    }
  }

  /** Runs one of TypeORM's operations: on the shards of a sharded entity, else as TypeORM does. */
  private async route(name: RoutedName, given: readonly unknown[]): Promise<unknown> {
    const [target, ...rest] = given
    const context = this.scope.context(target)
    const reading = context ? undefined : this.readHomeInParts(name, given)
    const inParts = reading && (await reading)
    if (inParts) return inParts.result
    const checked = (criteria: unknown) => this.normalizeAndValidateWhereCriteria(criteria, name)
    // The caller's arguments are those of the operation's public types.
    const routed = context && Reflect.apply(routedOperations[name], undefined, [context, rest, checked])
    return routed ?? Reflect.apply(super[name], this, given)
  }

  /** Where a shard has moved, the operation goes after it. What a `load` has read of its rows nobody can read again. */
  private followingMap<T>(name: string, isWithin: boolean, work: () => Promise<T>): Promise<T> {
    const { dataSource } = this
    const isRepeatable = !isWithin && name !== 'load'
    return followingMap({ map: () => dataSource.runtime.map, follow: dataSource.follow, isRepeatable }, work)
  }

  private readHomeInParts(name: string, [target, given]: readonly unknown[]) {
    const { runtime } = this.dataSource
    if (!runtime.hasShardedEntities || !isTarget(target) || !this.dataSource.hasMetadata(target)) return undefined
    const metadata = this.dataSource.getMetadata(target)
    return readHomeInParts({ runtime, whole: this.wholeReads() }, { name, metadata, given })
  }

  static {
    const { prototype } = ShardedEntityManager
    const replace = (name: string, value: (this: ShardedEntityManager, ...given: unknown[]) => Promise<unknown>) =>
      Reflect.defineProperty(prototype, name, { configurable: true, writable: true, value })
    for (const name of routedNames)
      replace(name, function (...given) {
        return this.route(name, given)
      })
    for (const mode of ['save', 'remove', 'softRemove', 'recover'] as const)
      replace(mode, function (...given) {
        return this.persist(mode, given)
      })
    for (const name of operationNames) {
      const operation: (...given: unknown[]) => Promise<unknown> = Reflect.get(prototype, name)
      replace(name, function (...given) {
        const runner = this.queryRunner
        const work = () => operation.apply(this, given)
        const isWithin = runner instanceof ShardedQueryRunner && runner.isInTransaction
        return this.followingMap(name, isWithin, isWithin ? () => runner.during(work) : work)
      })
    }
  }
}
