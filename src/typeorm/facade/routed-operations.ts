import type { DataSource, EntityManager, EntityTarget, ObjectLiteral, QueryRunner } from 'typeorm'
import { InstanceChecker } from 'typeorm/util/InstanceChecker'
import { ShardedError } from '../../errors/sharded-error'
import { type Operation, startOperation } from '../../execution/operation'
import type { CursorSigner } from '../../merging/cursor'
import type { EntityBinding } from '../binding/entity-binding'
import type { WholeReads } from '../find/whole-reads'
import type { Narrowing } from '../operations/hint'
import { openRunner } from '../operations/open-runner'
import { notSharded, type OperationContext } from '../operations/operation-context'
import { preload } from '../operations/preload'
import * as inserts from '../operations/sharded-inserts'
import { ShardedQueryRunner } from '../operations/sharded-query-runner'
import * as reads from '../operations/sharded-reads'
import * as writes from '../operations/sharded-writes'
import type { FollowMap } from '../runners/following-map'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { Statements } from '../statements/statements'
import type { Criteria } from '../writes/criteria'

/**
 * How an operation of TypeORM's manager, which takes an entity first, is done on the shards of the entity.
 *
 * @param given what the caller gave after the entity
 * @param checked criteria as TypeORM reads them, and refuses them
 * @returns undefined where TypeORM's own way is taken, whose statements are routed one by one
 */
type RoutedOperation<Name extends keyof EntityManager> = EntityManager[Name] extends (
  target: never,
  ...given: infer Given
) => infer Result
  ? (context: OperationContext, given: Given, checked: (criteria: unknown) => Criteria) => Result | undefined
  : never

/** Every operation of TypeORM's manager that is routed by its entity, with how it is done on shards. */
export const routedOperations = {
  find: (context, [options = {}]) => reads.find(context, options),
  findBy: (context, [where]) => reads.find(context, { where }),
  findAndCount: (context, [options = {}]) => reads.findAndCount(context, options),
  findAndCountBy: (context, [where]) => reads.findAndCount(context, { where }),
  // Without a condition TypeORM refuses, before it asks any database.
  findOne: (context, [options]) => (options.where ? reads.findOne(context, options) : undefined),
  findOneBy: (context, [where]) => reads.findOne(context, { where }),
  count: (context, [options = {}]) => reads.count(context, options),
  countBy: (context, [where]) => reads.count(context, { where }),
  exists: (context, [options = {}]) => reads.exists(context, options),
  existsBy: (context, [where]) => reads.exists(context, { where }),
  sum: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'SUM', propertyPath, where }),
  average: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'AVG', propertyPath, where }),
  minimum: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'MIN', propertyPath, where }),
  maximum: (context, [propertyPath, where]) => reads.aggregate(context, { fn: 'MAX', propertyPath, where }),
  preload: (context, [entityLike]) => preload(context, entityLike),
  insert: (context, [rows]) => inserts.insert(context, rows),
  upsert: (context, [rows, options]) => inserts.upsert(context, rows, options),
  update: (context, [criteria, values, options], checked) =>
    writes.update(context, checked(criteria), { values, options }),
  updateAll: (context, [values, options]) => writes.update(context, undefined, { values, options }),
  delete: (context, [criteria], checked) => writes.deleteBy(context, checked(criteria)),
  deleteAll: (context) => writes.deleteBy(context, undefined),
  softDelete: (context, [criteria], checked) => writes.softDeleteBy(context, 'softDelete', checked(criteria)),
  restore: (context, [criteria], checked) => writes.softDeleteBy(context, 'restore', checked(criteria)),
  clear: (context, [options]) => writes.clear(context, options),
} satisfies { readonly [Name in keyof EntityManager]?: RoutedOperation<Name> }

export type RoutedName = keyof typeof routedOperations

export const routedNames: readonly RoutedName[] = Object.keys(routedOperations).filter(isRouted)

function isRouted(name: string): name is RoutedName {
  return name in routedOperations
}

/** The operations that the end of a transaction waits for. */
export const operationNames = [
  ...routedNames,
  'findOneOrFail',
  'findOneByOrFail',
  'findPage',
  'save',
  'remove',
  'softRemove',
  'recover',
  'move',
  'load',
  'increment',
  'decrement',
]

/** The data source as a manager needs it. */
export interface RoutedDataSource extends DataSource {
  readonly runtime: ShardRuntime
  readonly statements: Statements
  readonly follow: FollowMap
  /** The query runner of the transaction that `currentManager` names. */
  currentRunner(): QueryRunner | undefined
  /** Undefined where the options have no secret. */
  readonly cursorSigner: CursorSigner | undefined
}

/** A manager of a sharded data source. */
export interface ScopedManager extends EntityManager {
  readonly dataSource: RoutedDataSource
}

type Target = EntityTarget<ObjectLiteral>

/** What the operations of a manager are narrowed to, and how each of them reaches the shards of its entity. */
export class OperationScope {
  private whole: WholeReads | undefined
  private readonly openRunner = () => openRunner(this.manager.dataSource)

  constructor(
    private readonly manager: ScopedManager,
    readonly narrowing: Narrowing,
    /** TypeORM's own reads, which the manager overrides. */
    private readonly readsOf: () => WholeReads,
  ) {}

  /** The context of an operation that plain TypeORM has not. @throws ShardedError NOT_SHARDED */
  required(target: Target, operation: string): OperationContext {
    const context = this.context(target)
    if (context) return context
    const { name } = this.manager.dataSource.getMetadata(target)
    throw new ShardedError('NOT_SHARDED', `${operation} needs a sharded entity, and ${name} is not sharded.`, {
      details: { entity: name },
    })
  }

  /** A hint names one of an entity's shards, and an unsharded one has none; `acrossShards` asks for nothing it lacks. */
  refuseUnsharded(target: unknown): void {
    this.refuseLimits('an operation on an unsharded entity')
    if (!this.narrowing.hint || this.narrowing.hint.kind === 'across' || !isTarget(target)) return
    throw notSharded(this.manager.dataSource.getMetadata(target).name)
  }

  /** @throws ShardedError LIMITS_UNSUPPORTED after `withLimits` */
  refuseLimits(what: string): void {
    if (this.narrowing.limits) throw new ShardedError('LIMITS_UNSUPPORTED', `withLimits does not apply to ${what}.`, {})
  }

  /** Undefined for an unsharded entity, which no hint may name. @throws ShardedError NOT_SHARDED, LIMITS_UNSUPPORTED */
  context(target: unknown): OperationContext | undefined {
    const binding = this.bindingOf(target)
    if (!binding) this.refuseUnsharded(target)
    return binding && this.contextOf(binding)
  }

  contextOf(binding: EntityBinding): OperationContext {
    this.whole ??= this.readsOf()
    return {
      access: this.access(binding),
      binding,
      hint: this.narrowing.hint,
      openRunner: this.openRunner,
      whole: this.whole,
    }
  }

  private access(binding: EntityBinding): ShardAccess {
    const { queryRunner: runner } = this.manager
    if (runner instanceof ShardedQueryRunner) return runner.access(this.startOperation('entity', binding))
    return new ShardAccess(this.runtime, this.startOperation('entity', binding))
  }

  /** An operation within the limits that the caller gave, which count from here. */
  startOperation<Transaction, Session>(
    kind: Operation['kind'],
    binding?: EntityBinding,
  ): Operation<Transaction, Session> {
    const { limits } = this.narrowing
    const { name: entity, scatter: defaults = this.runtime.limits } = binding?.entity ?? {}
    return startOperation({ kind, entity, defaults, limits })
  }

  bindingOf(target: unknown): EntityBinding | undefined {
    const known = this.runtime.bindingOf(target)
    if (known || typeof target === 'function' || !this.runtime.hasShardedEntities) return known
    if (!isTarget(target) || !this.manager.dataSource.hasMetadata(target)) return undefined
    return this.runtime.bindingOf(this.manager.dataSource.getMetadata(target).target)
  }

  /** @throws ShardedError CURSOR_SECRET_MISSING */
  cursorSigner(entity: string): CursorSigner {
    const { cursorSigner } = this.manager.dataSource
    if (cursorSigner) return cursorSigner
    throw new ShardedError('CURSOR_SECRET_MISSING', `Pages of ${entity} need a secret to sign their cursors.`, {
      details: { entity },
    })
  }

  /** The transaction that the manager is in. */
  get transactionRunner(): ShardedQueryRunner | undefined {
    const runner = this.manager.queryRunner
    return runner instanceof ShardedQueryRunner ? runner.transaction : undefined
  }

  private get runtime() {
    return this.manager.dataSource.runtime
  }
}

/** What TypeORM takes for the name of an entity. */
export const isTarget = (value: unknown): value is Target =>
  typeof value === 'function' ||
  typeof value === 'string' ||
  InstanceChecker.isEntitySchema(value) ||
  (value !== null && typeof value === 'object')
