import {
  type DataSource,
  DeleteQueryBuilder,
  type EntityTarget,
  InsertQueryBuilder,
  type ObjectLiteral,
  type QueryBuilder,
  type QueryRunner,
  RelationQueryBuilder,
  SelectQueryBuilder,
  UpdateQueryBuilder,
} from 'typeorm'
import { DriverUtils } from 'typeorm/driver/DriverUtils'
import { SoftDeleteQueryBuilder } from 'typeorm/query-builder/SoftDeleteQueryBuilder'
import { ShardedError } from '../../errors/sharded-error'
import type { Explanation } from '../../planning/explanation'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import { TableInsertQueryBuilder } from '../runners/table-insert-query-builder'
import type { BuilderNarrowing } from './builder-narrowing'
import { ExplainingRunner } from './explaining-runner'
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
      this.narrowing = (args[0] as Partial<NarrowedBuilder>).narrowing
    }

    override createQueryBuilder(queryRunner?: QueryRunner): this {
      return Object.assign(super.createQueryBuilder(queryRunner) as this, { narrowing: this.narrowing })
    }

    override getParameters(): ObjectLiteral {
      return { ...super.getParameters(), ...this.narrowing?.parameters(this.expressionMap) }
    }

    // The overloads of these are TypeORM's: what is given and what is returned is passed on.
    override select(...args: unknown[]): never {
      return this.derived(super.select(...(args as [])))
    }
    override insert(): never {
      return this.derived(super.insert())
    }
    override update(...args: unknown[]): never {
      return this.derived(super.update(...(args as [])))
    }
    override delete(): never {
      return this.derived(super.delete())
    }
    override softDelete(): never {
      return this.derived(super.softDelete())
    }
    override restore(): never {
      return this.derived(super.restore())
    }
    override relation(...args: unknown[]): never {
      return this.derived(super.relation(...(args as [never])))
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

    private derived(builder: object): never {
      const Derived = derivedClasses.get(builder.constructor)
      if (!Derived) return builder as never
      return Object.assign(new Derived(builder), { narrowing: this.narrowing }) as never
    }
  }
  return Narrowed as unknown as Class
}

/** TypeORM's builder of queries, which can also tell how it would be answered. */
export class ShardedSelectQueryBuilder<Entity extends ObjectLiteral>
  extends (narrowed(SelectQueryBuilder) as typeof SelectQueryBuilder)<Entity>
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
        throw new ShardedError('NOT_SHARDED', 'The query builder is of no sharded data source.', {})
      const explaining = new ExplainingRunner(runner)
      if ((skip || take) && joinAttributes.length > 0) await query.executeEntitiesAndRawResults(explaining.view)
      else await query.loadRawResults(explaining.view)
      return await explaining.explanation()
    } finally {
      if (runner !== query.queryRunner) await runner.release()
    }
  }
}

/** A builder of queries; on an entity, of its rows. */
export function createBuilder(
  dataSource: DataSource,
  runner: QueryRunner | undefined,
  on?: { readonly target: EntityTarget<ObjectLiteral>; readonly alias: string },
): ShardedSelectQueryBuilder<ObjectLiteral> {
  const builder = new ShardedSelectQueryBuilder<ObjectLiteral>(dataSource, runner)
  if (!on) return builder
  const name = DriverUtils.buildAlias(dataSource.driver, undefined, on.alias)
  return builder.select(name).from(dataSource.getMetadata(on.target).target, name) as never
}

class ShardedInsertQueryBuilder<Entity extends ObjectLiteral> extends (narrowed(
  TableInsertQueryBuilder,
) as typeof TableInsertQueryBuilder)<Entity> {
  declare narrowing: BuilderNarrowing | undefined

  protected override getValueSets(): ObjectLiteral[] {
    const rows = super.getValueSets()
    this.narrowing?.fill(this.expressionMap, rows)
    return rows
  }
}

class ShardedRelationQueryBuilder<Entity extends ObjectLiteral> extends (narrowed(
  RelationQueryBuilder,
) as typeof RelationQueryBuilder)<Entity> {
  declare narrowing: BuilderNarrowing | undefined

  /** On the shard that a hint names; else where the entity came from. @throws ShardedError LIMITS_UNSUPPORTED */
  override async loadMany<T = ObjectLiteral>(): Promise<T[]> {
    const { expressionMap: map, narrowing } = this
    const { mainAlias, relationMetadata, of } = map
    if (narrowing?.narrowing.limits)
      throw new ShardedError('LIMITS_UNSUPPORTED', 'withLimits does not reach the relations that a builder loads.', {})
    const shard = narrowing?.shardOf(mainAlias)
    if (!shard) return super.loadMany<T>()
    const { runtime } = this.dataSource as RoutedDataSource
    const given = this.queryRunner
    const access = given instanceof ShardedQueryRunner ? given.access() : new ShardAccess(runtime, undefined)
    const isEntity = of !== null && typeof of === 'object'
    const [key] = mainAlias?.metadata.primaryColumns ?? []
    return access.onShard(shard, ({ dataSource, queryRunner }) =>
      dataSource.relationLoader.load(
        relationMetadata,
        (isEntity ? of : (key?.createValueMap(of) ?? {})) as ObjectLiteral,
        queryRunner,
      ),
    ) as Promise<T[]>
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
