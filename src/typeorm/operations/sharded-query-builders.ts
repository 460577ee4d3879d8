import {
  type DataSource,
  DeleteQueryBuilder,
  type EntityTarget,
  InsertQueryBuilder,
  type InsertResult,
  type ObjectLiteral,
  type QueryBuilder,
  type QueryRunner,
  RelationQueryBuilder,
  SelectQueryBuilder,
  UpdateQueryBuilder,
} from 'typeorm'
import { DriverUtils } from 'typeorm/driver/DriverUtils'
import { RelationIdAttribute } from 'typeorm/query-builder/relation-id/RelationIdAttribute'
import { SoftDeleteQueryBuilder } from 'typeorm/query-builder/SoftDeleteQueryBuilder'
import { ShardedError } from '../../errors/sharded-error'
import type { Explanation } from '../../planning/explain-plan'
import { checkScatter } from '../../routing/scatter-policy'
import type { EntityBinding } from '../binding/entity-binding'
import { GivenIds } from '../binding/entity-ids'
import { idsApart, leadsApart } from '../binding/relation-apart'
import { TableInsertQueryBuilder } from '../runners/array-insert-query-builder'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import { inheritKeys } from '../writes/inherited-keys'
import { type BuilderNarrowing, explainFirst } from './builder-narrowing'
import { ShardedQueryRunner } from './sharded-query-runner'

/** A data source whose builders these are. */
interface RoutedDataSource extends DataSource {
  readonly runtime: ShardRuntime
}

/** What all builders have here. */
export interface NarrowedBuilder {
  /** Undefined for a builder that asks as TypeORM's does. */
  narrowing: BuilderNarrowing | undefined
}

// TypeScript demands this constructor of a class that is extended by a mixin.
// biome-ignore lint/suspicious/noExplicitAny: see above
type BuilderClass = new (...args: any[]) => QueryBuilder<ObjectLiteral>

/** TypeORM's methods that give a builder of another kind of statement, of their own class or of one in its registry. */
const derivingMethods = ['select', 'insert', 'update', 'delete', 'softDelete', 'restore', 'relation'] as const

/**
 * A builder class that carries a narrowing: to clones, to subqueries, to the builders of other statements made from it, and to
 * the query runner that executes. TypeORM makes all of these by `new this.constructor(…)` or from its registry.
 */
function narrowed<Class extends BuilderClass>(Base: Class): Class {
  // Of the abstract members, every class that this is made of has its own.
  abstract class Narrowed extends Base implements NarrowedBuilder {
    narrowing: BuilderNarrowing | undefined

    // biome-ignore lint/suspicious/noExplicitAny: a mixin's constructor
    constructor(...args: any[]) {
      super(...args)
      this.narrowing = narrowingOf(args[0])
    }

    override createQueryBuilder(queryRunner?: QueryRunner): this {
      return Object.assign(super.createQueryBuilder(queryRunner), { narrowing: this.narrowing })
    }

    override getParameters(): ObjectLiteral {
      return { ...super.getParameters(), ...this.narrowing?.parameters(this.expressionMap) }
    }

    protected override createWhereExpression(): string {
      const { expressionMap: map, narrowing } = this
      const condition = narrowing?.condition(map, this.queryRunner, (name) => this.escape(name))
      if (condition === undefined) return super.createWhereExpression()
      // The one place where TypeORM puts parentheses around everything else. Its pages of joins use it too.
      const { extraAppendedAndWhereCondition: own } = map
      map.extraAppendedAndWhereCondition = own ? `(${own}) AND ${condition}` : condition
      try {
        return super.createWhereExpression()
      } finally {
        map.extraAppendedAndWhereCondition = own
      }
    }

    protected override obtainQueryRunner(): QueryRunner {
      const open = () => super.obtainQueryRunner()
      return this.narrowing ? this.narrowing.runner(this.expressionMap, this.queryRunner, open) : open()
    }
  }
  for (const name of derivingMethods)
    Reflect.defineProperty(Narrowed.prototype, name, {
      configurable: true,
      writable: true,
      value(this: Narrowed, ...given: unknown[]): unknown {
        return derived(Reflect.apply(Reflect.get(Base.prototype, name), this, given), this.narrowing)
      },
    })
  return Narrowed
}

const narrowingOf = (source: Partial<NarrowedBuilder>): BuilderNarrowing | undefined => source.narrowing

/** The builder that TypeORM has made, as one of the classes here. */
function derived(builder: object, narrowing: BuilderNarrowing | undefined): object {
  const Derived = derivedClasses.get(builder.constructor)
  return Derived ? Object.assign(new Derived(builder), { narrowing }) : builder
}

const NarrowedSelect: typeof SelectQueryBuilder = narrowed(SelectQueryBuilder)
const NarrowedInsert: typeof TableInsertQueryBuilder = narrowed(TableInsertQueryBuilder)
const NarrowedRelation: typeof RelationQueryBuilder = narrowed(RelationQueryBuilder)

/**
 * TypeORM's builder of queries, which can also tell how it would be answered.
 *
 * @example
 * const builder = orders.createQueryBuilder('o').where('o.total > :least', { least: 100 })
 * console.log((await builder.explain()).text) // the shards and statements
 */
export class ShardedSelectQueryBuilder<Entity extends ObjectLiteral>
  extends NarrowedSelect<Entity>
  implements NarrowedBuilder
{
  declare narrowing: BuilderNarrowing | undefined

  /**
   * The plan of this query, without running it: its shards and why these, the statement of each node, the steps of merging.
   * A page of joined entities, which TypeORM reads in two statements, is explained by the first. Of columns whose types
   * are not known yet the types are asked.
   *
   * @throws ShardedError NOT_SHARDED where it names no sharded table, and what the query itself would refuse
   * @example
   * console.log((await orders.createQueryBuilder('o').where('o.total > 90').explain()).text)
   */
  async explain(): Promise<Explanation> {
    const { skip, take, joinAttributes } = this.expressionMap
    const query = this.clone().cache(false)
    const runner = query.obtainQueryRunner()
    try {
      if (!(runner instanceof ShardedQueryRunner))
        throw new ShardedError('NOT_SHARDED', 'The query builder belongs to no sharded data source.', {})
      const isPaged = (skip || take) && joinAttributes.length > 0
      return await explainFirst(runner, (view) =>
        isPaged ? query.executeEntitiesAndRawResults(view) : query.loadRawResults(view),
      )
    } finally {
      if (runner !== query.queryRunner) await runner.release()
    }
  }

  /** Over all shards the ids of relations to rows elsewhere are read as well. */
  protected override executeEntitiesAndRawResults(
    queryRunner: QueryRunner,
  ): Promise<{ entities: Entity[]; raw: unknown[] }> {
    const { mainAlias, joinAttributes, relationIdAttributes } = this.expressionMap
    const joined = joinAttributes.flatMap(({ metadata, alias }) => (metadata ? [{ metadata, name: alias.name }] : []))
    const own = mainAlias?.hasMetadata ? [mainAlias] : []
    for (const { metadata, name } of [...own, ...joined])
      for (const { relation, propertyName, alias, queryBuilderFactory } of idsApart(metadata))
        relationIdAttributes.push(
          new RelationIdAttribute(this.expressionMap, {
            relationName: `${name}.${relation.propertyName}`,
            mapToProperty: `${name}.${propertyName}`,
            ...(alias !== undefined && { alias }),
            ...(queryBuilderFactory && { queryBuilderFactory }),
          }),
        )
    return super.executeEntitiesAndRawResults(queryRunner)
  }
}

/** The arguments of TypeORM's `createQueryBuilder`. */
export type BuilderArguments = [
  of?: EntityTarget<ObjectLiteral> | QueryRunner,
  alias?: string,
  queryRunner?: QueryRunner,
]

type EntityArguments = [target: EntityTarget<ObjectLiteral>, alias: string, queryRunner?: QueryRunner]

/** A builder of queries; on an entity, of its rows. Where no query runner is given it has `own`. */
export function createBuilder(
  dataSource: DataSource,
  given: BuilderArguments,
  own: () => QueryRunner | undefined,
): ShardedSelectQueryBuilder<ObjectLiteral> {
  if (!isOfEntity(given)) {
    const [of, , another] = given
    return new ShardedSelectQueryBuilder<ObjectLiteral>(dataSource, isQueryRunner(of) ? of : (another ?? own()))
  }
  const [target, alias, queryRunner] = given
  const builder = new ShardedSelectQueryBuilder<ObjectLiteral>(dataSource, queryRunner ?? own())
  const name = DriverUtils.buildAlias(dataSource.driver, undefined, alias)
  builder.select(name).from(dataSource.getMetadata(target).target, name)
  return builder
}

/** As TypeORM tells: by the alias. */
export const isOfEntity = (given: BuilderArguments): given is EntityArguments => Boolean(given[1])

const isQueryRunner = (value: unknown): value is QueryRunner =>
  typeof value === 'object' && value !== null && 'startTransaction' in value

class ShardedInsertQueryBuilder<Entity extends ObjectLiteral> extends NarrowedInsert<Entity> {
  declare narrowing: BuilderNarrowing | undefined
  // Builders of these classes are made for one alone.
  declare readonly dataSource: RoutedDataSource

  /** Rows that only know what they refer to get its shard key. */
  override async execute(): Promise<InsertResult> {
    const { expressionMap: map, queryRunner } = this
    const { runtime } = this.dataSource
    const binding = map.mainAlias?.hasMetadata ? runtime.bindingOf(map.mainAlias.metadata.target) : undefined
    if (!binding || map.insertFromSelect) return super.execute()
    const given = new GivenIds()
    const source = accessOf(runtime, queryRunner)
    const explicit = this.narrowing?.narrowing.hint?.kind === 'across'
    const onScatter = ({ entity, shards }: EntityBinding) => {
      const warning = checkScatter(entity, { name: 'insert', writes: false, width: shards.length, explicit })
      if (warning) runtime.warn(warning)
    }
    try {
      await inheritKeys({ source, onScatter }, { binding, rows: this.getValueSets(), given })
      const result = await super.execute()
      given.settle()
      return result
    } catch (error) {
      given.takeBack()
      throw error
    }
  }

  protected override getValueSets(): ObjectLiteral[] {
    const rows = super.getValueSets()
    this.narrowing?.fill(this.expressionMap, rows)
    return rows
  }
}

const accessOf = (runtime: ShardRuntime, runner: QueryRunner | undefined): ShardAccess =>
  runner instanceof ShardedQueryRunner ? runner.access() : new ShardAccess(runtime)

class ShardedRelationQueryBuilder<Entity extends ObjectLiteral> extends NarrowedRelation<Entity> {
  declare narrowing: BuilderNarrowing | undefined
  // Builders of these classes are made for one alone.
  declare readonly dataSource: RoutedDataSource

  /** On the shard that a hint names; else where the entity came from. @throws ShardedError LIMITS_UNSUPPORTED */
  override async loadMany<T = ObjectLiteral>(): Promise<T[]> {
    const { expressionMap: map, narrowing } = this
    const { mainAlias, relationMetadata, of } = map
    if (narrowing?.narrowing.limits)
      throw new ShardedError('LIMITS_UNSUPPORTED', 'withLimits does not apply to relations that a builder loads.', {})
    const shard = narrowing?.shardOf(mainAlias)
    if (!shard || leadsApart(relationMetadata)) return super.loadMany<T>()
    const access = accessOf(this.dataSource.runtime, this.queryRunner)
    const [key] = mainAlias?.metadata.primaryColumns ?? []
    const isEntity = of !== null && typeof of === 'object'
    const entity: ObjectLiteral = isEntity ? of : (key?.createValueMap(of) ?? {})
    return access.onShard<T[]>(shard, ({ dataSource, queryRunner }) =>
      dataSource.relationLoader.load(relationMetadata, entity, queryRunner),
    )
  }
}

const ShardedUpdateQueryBuilder = narrowed(UpdateQueryBuilder)
const ShardedDeleteQueryBuilder = narrowed(DeleteQueryBuilder)
const ShardedSoftDeleteQueryBuilder = narrowed(SoftDeleteQueryBuilder)

const derivedClasses: ReadonlyMap<unknown, BuilderClass> = new Map<unknown, BuilderClass>([
  [SelectQueryBuilder, ShardedSelectQueryBuilder],
  [InsertQueryBuilder, ShardedInsertQueryBuilder],
  [UpdateQueryBuilder, ShardedUpdateQueryBuilder],
  [DeleteQueryBuilder, ShardedDeleteQueryBuilder],
  [SoftDeleteQueryBuilder, ShardedSoftDeleteQueryBuilder],
  [RelationQueryBuilder, ShardedRelationQueryBuilder],
])
