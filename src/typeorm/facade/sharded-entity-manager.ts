import type { Readable } from 'node:stream'
import {
  type DataSource,
  EntityManager,
  type EntityTarget,
  type FindManyOptions,
  type ObjectLiteral,
  type QueryRunner,
  type TreeRepository,
} from 'typeorm'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity'
import { InstanceChecker } from 'typeorm/util/InstanceChecker'
import { ShardedError } from '../../errors/sharded-error'
import { type Operation, startOperation } from '../../execution/operation'
import type { ScatterLimits } from '../../execution/scatter-limits'
import type { CursorSigner } from '../../merging/cursor'
import { checkLimits } from '../../model/limits'
import type { Explanation } from '../../planning/explanation'
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
import { openRunner } from '../operations/open-runner'
import { hintedShard, type OperationContext } from '../operations/operation-context'
import { persist } from '../operations/persist'
import {
  type BuilderArguments,
  createBuilder,
  isOfEntity,
  type ShardedSelectQueryBuilder,
} from '../operations/sharded-query-builders'
import { ShardedQueryRunner } from '../operations/sharded-query-runner'
import * as reads from '../operations/sharded-reads'
import { pageOfOne } from '../reads/find-page'
import type { EntityStream, StreamOptions } from '../reads/stream-entities'
import { readableOf } from '../runners/readable-of'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { Statements } from '../statements/statements'
import type { PersistMode } from '../writes/entity-graph'
import { followCurrent } from './current-manager'
import { groupEntities, type PersistOptions, persistCallOf } from './persist-call'
import { operationNames, type RoutedName, routedNames, routedOperations } from './routed-operations'
import type { RoutingManager } from './routing-manager'
import { ShardedRepository } from './sharded-repository'
import { homeSource, shardedSource } from './stream-sources'

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

type Target = EntityTarget<ObjectLiteral>
type Options = FindManyOptions<ObjectLiteral>
type Raw = unknown[] | ObjectLiteral | undefined
type MoveArguments = [target: Target, entity: ObjectLiteral, newKey: unknown, options?: MoveOptions]
type Rows = AsyncIterable<ObjectLiteral> | Iterable<ObjectLiteral>

/**
 * Where operations are routed: every one on a sharded entity finds its shards here and runs there, in TypeORM's own form
 * on one shard, planned and merged on several. Operations on unsharded entities are TypeORM's, on the home node.
 *
 * TypeORM's operations that `routedOperations` names have TypeORM's types, and are put in the place of its methods below.
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
  override async transaction(...given: unknown[]): Promise<unknown> {
    this.refuseLimits('transaction')
    return Reflect.apply(super.transaction, this, given)
  }

  /** Raw SQL: routed and merged, within limits and as a hint says. */
  // TypeORM's own default type of a raw result.
  // biome-ignore lint/suspicious/noExplicitAny: the signature is TypeORM's
  override query<T = any>(query: string, parameters?: unknown[] | ObjectLiteral): Promise<T>
  override async query(query: string, parameters?: Raw): Promise<unknown> {
    const { hint, limits } = this
    if (!hint && !limits) return super.query(query, parameters)
    const [result] = await narrowedQuery(this.narrowedQuery(query, parameters), [hint])
    return result
  }

  /** The plan of a find. @throws ShardedError NOT_SHARDED for an unsharded entity */
  explain<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options?: FindManyOptions<Entity>,
  ): Promise<Explanation>
  async explain(target: Target, options: Options = {}): Promise<Explanation> {
    return reads.explainRead(this.required(target, 'explain'), options)
  }

  /** Raw SQL of a repository: routed, or where a hint says so on one shard or on each. */
  queryFor<T>(
    entityClass: EntityTarget<ObjectLiteral>,
    query: string,
    parameters?: unknown[] | ObjectLiteral,
  ): Promise<T>
  async queryFor(target: Target, query: string, parameters?: Raw): Promise<unknown> {
    const context = this.context(target)
    const { hint } = this
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
    const { dataSource, queryRunner, limits } = this
    const operation = this.startOperation('statement')
    return { dataSource, queryRunner, limits, operation, query, parameters }
  }

  override createQueryBuilder<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    alias: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<Entity>
  override createQueryBuilder(queryRunner?: QueryRunner): ShardedSelectQueryBuilder<ObjectLiteral>
  override createQueryBuilder(...given: BuilderArguments): ShardedSelectQueryBuilder<ObjectLiteral> {
    // Not by the data source's method: who keeps transactions for requests may have put TypeORM's in its place.
    const builder = createBuilder(this.dataSource, given, () => this.queryRunner)
    const { hint, limits } = this
    if (!hint && !limits) return builder
    builder.narrowing = new BuilderNarrowing(this.runtime, { hint, limits })
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
    const binding = this.bindingOf(target)
    this.refuseLimits('getTreeRepository')
    if (!binding || this.hint?.kind !== 'shard')
      return Object.assign(super.getTreeRepository(target), { queryRunner: this.ownRunner })
    const { dataSource } = this.runtime.handle(hintedShard(binding, this.hint.shard))
    const { transactionRunner: transaction } = this
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
    const context = this.context(target)
    const metadata = context?.binding.metadata ?? this.dataSource.getMetadata(target)
    const work = { request, signer: this.cursorSigner(metadata.name) }
    if (context) return reads.findPage(context, work)
    return pageOfOne(this, metadata, await optionsAtCall(metadata, request.find), work)
  }

  /** The plan of a page. @throws ShardedError NOT_SHARDED for an unsharded entity, and what `findPage` refuses */
  explainPage<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options: PageOptions<Entity>,
  ): Promise<Explanation>
  async explainPage(target: Target, options: PageOptions<ObjectLiteral>): Promise<Explanation> {
    const request = checkPageOptions(options)
    const context = this.required(target, 'explainPage')
    return reads.explainPageRead(context, { request, signer: this.cursorSigner(context.binding.metadata.name) })
  }

  /** See `ShardedRepository.stream`. */
  stream<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    options?: StreamOptions<Entity>,
  ): EntityStream<Entity>
  stream(target: Target, options: Options = {}): Readable {
    const context = this.context(target)
    const entities = context
      ? reads.stream(context, options, (access) => shardedSource(this, access))
      : reads.streamAtHome(this.dataSource.getMetadata(target), options, homeSource(this))
    return readableOf(entities, context?.access.operation)
  }

  /** See `ShardedRepository.move`. */
  move<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    entity: Entity,
    newKey: unknown,
    options?: MoveOptions,
  ): Promise<Entity>
  async move(...[target, entity, newKey, options]: MoveArguments): Promise<ObjectLiteral> {
    await moveEntity(this.required(target, 'move'), { entity, newKey, options })
    return entity
  }

  /** See `ShardedRepository.load`. */
  load<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    rows: AsyncIterable<QueryDeepPartialEntity<Entity>> | Iterable<QueryDeepPartialEntity<Entity>>,
    options?: LoadOptions,
  ): Promise<LoadReport>
  async load(target: Target, rows: Rows, options?: LoadOptions): Promise<LoadReport> {
    return loadRows(this.required(target, 'load'), rows, options)
  }

  /** Runs `save`, `remove`, `softRemove` or `recover`. @returns the same entity or list */
  private async persist(mode: PersistMode, args: readonly unknown[]): Promise<unknown> {
    const call = persistCallOf(args)
    const groups = groupEntities(call, (target) => this.bindingOf(target))
    const [unsharded] = groups?.get(undefined) ?? []
    if (unsharded) this.refuseUnsharded(call.target ?? unsharded.constructor)
    if (!groups || [...groups.keys()].every((binding) => binding === undefined))
      return Reflect.apply(super[mode], this, args)
    // As TypeORM does: what was set as the promise of a lazy relation is there a turn later, and keys may be held by it.
    await Promise.resolve()
    const { options } = call
    if (groups.size === 1 || this.transactionRunner || options?.transaction === false) {
      await this.persistGroups(mode, groups, options)
    } else {
      // Entities of several kinds, some sharded: one transaction around all, as TypeORM's save makes it.
      const { dataSource, hint, limits } = this
      await super.transaction(({ queryRunner }) =>
        new ShardedEntityManager(dataSource, queryRunner, { hint, limits }).persistGroups(mode, groups, options),
      )
    }
    return call.given
  }

  private async persistGroups(
    mode: PersistMode,
    groups: ReadonlyMap<EntityBinding | undefined, ObjectLiteral[]>,
    options: PersistOptions | undefined,
  ): Promise<void> {
    for (const [binding, entities] of groups) {
      if (binding) await persist(this.contextOf(binding), { mode, entities, options })
      else await Reflect.apply(super[mode], this, [entities, options])
    }
  }

  private narrowed({ hint = this.hint, limits = this.limits }: Narrowing): ShardedEntityManager {
    return new ShardedEntityManager(this.dataSource, this.ownRunner, { hint, limits })
  }

  private required(target: Target, operation: string): OperationContext {
    const context = this.context(target)
    if (context) return context
    const { name } = this.dataSource.getMetadata(target)
    throw new ShardedError('NOT_SHARDED', `${operation} needs a sharded entity, and ${name} is not sharded.`, {
      details: { entity: name },
    })
  }

  /** A hint names one of an entity's shards, and an unsharded one has none; `acrossShards` asks for nothing it lacks. */
  private refuseUnsharded(target: unknown): void {
    this.refuseLimits('an operation on an unsharded entity')
    if (!this.hint || this.hint.kind === 'across' || !isTarget(target)) return
    const { name } = this.dataSource.getMetadata(target)
    throw new ShardedError(
      'NOT_SHARDED',
      `onShard and withShardKey need a sharded entity, and ${name} is not sharded.`,
      {
        details: { entity: name },
      },
    )
  }

  private refuseLimits(what: string): void {
    if (this.limits) throw new ShardedError('LIMITS_UNSUPPORTED', `withLimits does not apply to ${what}.`, {})
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
      access: this.access(binding),
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
      findOne: (target, options) => super.findOne(target, options),
      count: (target, options) => super.count(target, options),
      exists: (target, options) => super.exists(target, options),
      explain: (target, options) =>
        this.createQueryBuilder(target, this.dataSource.getMetadata(target).name).setFindOptions(options).explain(),
      aggregate: (method, target, property, where) => super[method](target, property, where),
    }
    return { whole, openRunner: () => openRunner(this.dataSource) }
  }

  private access(binding: EntityBinding): ShardAccess {
    const { queryRunner: runner } = this
    if (runner instanceof ShardedQueryRunner) return runner.access(this.startOperation('entity', binding))
    return new ShardAccess(this.runtime, this.startOperation('entity', binding))
  }

  private startOperation<Transaction, Session>(
    kind: Operation['kind'],
    binding?: EntityBinding,
  ): Operation<Transaction, Session> {
    const { limits } = this
    const { name: entity, scatter: defaults = this.runtime.limits } = binding?.entity ?? {}
    return startOperation({ kind, entity, defaults, limits })
  }

  private bindingOf(target: unknown): EntityBinding | undefined {
    const known = this.runtime.bindingOf(target)
    if (known || typeof target === 'function' || !this.runtime.hasShardedEntities) return known
    if (!isTarget(target) || !this.dataSource.hasMetadata(target)) return undefined
    return this.runtime.bindingOf(this.dataSource.getMetadata(target).target)
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

  private get transactionRunner(): ShardedQueryRunner | undefined {
    const runner = this.queryRunner
    return runner instanceof ShardedQueryRunner ? runner.transaction : undefined
  }

  /** Runs one of TypeORM's operations: on the shards of a sharded entity, else as TypeORM does. */
  private async route(name: RoutedName, given: readonly unknown[]): Promise<unknown> {
    const [target, ...rest] = given
    const context = this.context(target)
    const checked = (criteria: unknown) => this.normalizeAndValidateWhereCriteria(criteria, name)
    // The caller's arguments are those of the operation's public types.
    const routed = context && Reflect.apply(routedOperations[name], undefined, [context, rest, checked])
    return routed ?? Reflect.apply(super[name], this, given)
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
        if (!(runner instanceof ShardedQueryRunner) || !runner.isInTransaction) return operation.apply(this, given)
        return runner.during(() => operation.apply(this, given))
      })
    }
  }
}

/** What TypeORM takes for the name of an entity. */
const isTarget = (value: unknown): value is Target =>
  typeof value === 'function' ||
  typeof value === 'string' ||
  InstanceChecker.isEntitySchema(value) ||
  (value !== null && typeof value === 'object')
