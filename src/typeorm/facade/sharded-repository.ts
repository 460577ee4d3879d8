import { type FindManyOptions, type ObjectLiteral, type QueryRunner, Repository } from 'typeorm'
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity'
import type { ScatterLimits } from '../../execution/operation'
import type { Explanation } from '../../planning/explain-plan'
import type { Page, PageOptions } from '../find/page'
import type { LoadOptions, LoadReport } from '../loads/load-options'
import type { MoveOptions } from '../operations/move-entity'
import type { ShardedSelectQueryBuilder } from '../operations/sharded-query-builders'
import type { EntityStream, StreamOptions } from '../reads/stream-entities'
import type { RoutingManager } from './routing-manager'

/**
 * TypeORM's repository, with what is about shards besides. For an unsharded entity it is a plain one.
 *
 * @example
 * const orders = dataSource.getRepository(Order)
 * await orders.findBy({ userId: '42' })                       // one shard
 * await orders.find({ order: { createdAt: 'DESC' }, take: 20 }) // all shards, merged
 */
export class ShardedRepository<Entity extends ObjectLiteral> extends Repository<Entity> {
  declare readonly manager: RoutingManager

  /** This repository on one shard, whatever the conditions say. @throws ShardedError SHARD_UNKNOWN */
  onShard(name: string): this {
    return this.with(this.manager.onShard(name))
  }

  /**
   * This repository on the rows of one shard key: conditions get the key, rows without one are given it.
   * A composite key is given as a list or an object of its columns.
   */
  withShardKey(value: unknown): this {
    return this.with(this.manager.withShardKey(value))
  }

  /** This repository on all shards, where the scatter policy would warn or forbid. */
  acrossShards(): this {
    return this.with(this.manager.acrossShards())
  }

  /**
   * This repository, each of its operations within limits: an `AbortSignal`, milliseconds, rows of all shards together.
   * What runs when a limit is reached is cancelled on the servers. Later limits go before earlier ones, field by field.
   *
   * @throws ShardedError OPTIONS_INVALID; and from the operations DEADLINE_EXCEEDED, ROW_BUDGET_EXCEEDED, or the reason
   *   of the abort
   * @example
   * await orders.withLimits({ signal: request.signal, deadlineMs: 2_000 }).find({ take: 20 })
   */
  withLimits(limits: ScatterLimits): this {
    return this.with(this.manager.withLimits(limits))
  }

  /**
   * TypeORM's query builder over all shards as one database, as the repository is narrowed: on its shard, with its key in the
   * condition, past the scatter policy, within its limits. So are the builders made from it.
   */
  override createQueryBuilder(alias?: string, queryRunner?: QueryRunner): ShardedSelectQueryBuilder<Entity> {
    const { target, name } = this.metadata
    return this.manager.createQueryBuilder<Entity>(target, alias || name, queryRunner ?? this.queryRunner)
  }

  /**
   * The plan of a find, without running it: its shards and why these, the statement of each node, the steps of merging.
   * @throws ShardedError NOT_SHARDED, and what the find itself would refuse
   */
  async explain(options?: FindManyOptions<Entity>): Promise<Explanation> {
    return this.manager.explain(this.target, options)
  }

  /**
   * A page of a find: the `take` rows after (or before) a cursor, in an order that the primary key makes total. However
   * deep it lies, it costs no more than the first; rows that come or go on other pages neither repeat nor skip one.
   *
   * @example
   * const page = await orders.findPage({ where: { userId: '42' }, order: { createdAt: 'DESC' }, take: 20, after })
   * page.rows; page.endCursor; page.hasNextPage
   *
   * @throws ShardedError PAGE_INVALID, CURSOR_INVALID, CURSOR_SECRET_MISSING, ORDER_UNSUPPORTED, and what `find` refuses
   */
  async findPage(options: PageOptions<Entity>): Promise<Page<Entity>> {
    return this.manager.findPage(this.target, options)
  }

  /**
   * The plan of a page, without running it: its shards and why these, the statement of each node, what is done here.
   * @throws ShardedError NOT_SHARDED, and what `findPage` itself would refuse
   */
  async explainPage(options: PageOptions<Entity>): Promise<Explanation> {
    return this.manager.explainPage(this.target, options)
  }

  /**
   * The entities of a find, one after the other in its order, however many: merged from cursors on every node, with some
   * thousand rows in hand. Leaving the loop, an error, or an abort closes the cursors and gives the connections back.
   *
   * @example
   * for await (const order of orders.stream({ order: { createdAt: 'ASC' } })) await archive(order)
   *
   * @throws what `find` refuses, and STATEMENT_UNSUPPORTED for options that a stream does not take: at the first entity
   */
  stream(options?: StreamOptions<Entity>): EntityStream<Entity> {
    return this.manager.stream(this.target, options)
  }

  /**
   * Gives an entity's row another shard key and moves it to the shard of that, in one transaction, or in the caller's. The row
   * is as it was but for its key, and for the version and update date, which an update of TypeORM sets; subscribers hear
   * of one update. The entity has the new key afterwards, and the old one again if the transaction rolls back.
   *
   * @param newKey the new shard key; a composite one as a list or an object of its columns
   * @throws ShardedError MOVE_LEAVES_CHILDREN, MOVE_TOO_LARGE, MOVE_NOT_EXACT, KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED,
   *   NOT_SHARDED; TypeORM's EntityNotFoundError where the row is gone
   * @example
   * await orders.move(order, '43')
   * await users.move(user, '43', { children: true }) // with the user's orders
   */
  async move(entity: Entity, newKey: unknown, options?: MoveOptions): Promise<Entity> {
    return this.manager.move(this.target, entity, newKey, options)
  }

  /**
   * Stores rows by COPY, streamed to all shards at once: many times faster than `insert`. Each row is placed by its shard key,
   * and stored as `insert` would; what it leaves out gets its column's default. Neither listeners nor subscribers are called,
   * and nothing is filled into the rows but a generated shard key. No more of the input is read than the servers take.
   *
   * @param options all rows are one transaction, unless `batch` says how many rows of a shard become durable at a time
   * @returns how many rows each shard took
   * @throws ShardedError LOAD_INCOMPLETE, with the report so far in `details.report`; OPTIONS_INVALID, NOT_SHARDED
   * @example
   * const { rows } = await orders.load(parse(file), { batch: 10_000 })
   */
  async load(
    rows: AsyncIterable<QueryDeepPartialEntity<Entity>> | Iterable<QueryDeepPartialEntity<Entity>>,
    options?: LoadOptions,
  ): Promise<LoadReport> {
    return this.manager.load(this.target, rows, options)
  }

  /**
   * Raw SQL, with the names of tables as in the entities, routed and merged as if there were one database.
   * `withShardKey(value).query(…)` adds `key = value` to the table that it is about. `onShard(name).query(…)` runs it on one
   * shard, `acrossShards().query(…)` on each, and gives a list of `{ shard, result }` in the order of the shards.
   *
   * @throws ShardedError what statements throw; with a hint also SHARD_UNKNOWN, WRONG_SHARD, NOT_SHARDED
   */
  // TypeORM's own default type of a raw result.
  // biome-ignore lint/suspicious/noExplicitAny: the signature is TypeORM's
  override query<T = any>(query: string, parameters?: unknown[] | ObjectLiteral): Promise<T> {
    return this.manager.queryFor(this.target, query, parameters)
  }

  /** The same repository over another manager, as TypeORM's `withRepository` makes it. */
  private with(narrowed: RoutingManager): this {
    const { target, manager: _manager, queryRunner, ...own } = this
    const repository: this = Object.assign(Reflect.construct(this.constructor, [target, narrowed, queryRunner]), own)
    // Its own: a getter that somebody put on TypeORM's class would give another manager, and the narrowing would be lost.
    return Object.defineProperty(repository, 'manager', { value: narrowed, configurable: true, enumerable: true })
  }
}
