import type { EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm'
import type { Alias } from 'typeorm/query-builder/Alias'
import type { QueryExpressionMap } from 'typeorm/query-builder/QueryExpressionMap'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError } from '../../errors/sharded-error'
import type { Explanation } from '../../planning/explain-plan'
import type { Shard } from '../../topology/shard'
import { ownerOfJunction } from '../binding/colocation-group'
import { type EntityBinding, preparedKey } from '../binding/entity-binding'
import { fillKey, keyValues } from '../find/with-key'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { Narrowing } from './hint'
import { hintedShard, notSharded, shardOfHint } from './operation-context'
import { ShardedQueryRunner } from './sharded-query-runner'

/** A query runner whose statements can be narrowed. @throws ShardedError LIMITS_UNSUPPORTED for one of another data source */
export function ownRunner(runner: QueryRunner): ShardedQueryRunner {
  if (runner instanceof ShardedQueryRunner) return runner
  throw new ShardedError(
    'LIMITS_UNSUPPORTED',
    'A hint or withLimits does not apply to a query runner of another data source.',
    {},
  )
}

/** Parameters of different narrowings may meet in one statement, as those of its subqueries. */
let made = 0

/** What a query builder of a narrowed repository, and every builder made from it, does otherwise than TypeORM's. */
export class BuilderNarrowing {
  private readonly prefix = `shard_key_${made++}_`

  constructor(
    private readonly runtime: ShardRuntime,
    readonly narrowing: Narrowing,
  ) {}

  /**
   * The runner of one operation: of the builder's own where it has one, else of a new one.
   *
   * @throws ShardedError NOT_SHARDED, SHARD_UNKNOWN, KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, LIMITS_UNSUPPORTED
   */
  runner({ mainAlias }: QueryExpressionMap, own: QueryRunner | undefined, open: () => QueryRunner): QueryRunner {
    if (isView(own)) return own
    const { hint, limits } = this.narrowing
    const narrowing = {
      isExplicit: hint?.kind === 'across',
      pinned: this.shardOf(mainAlias),
      cacheScope: hint?.kind === 'shard' ? hint.shard.name : undefined,
      limits,
    }
    return ownRunner(own ?? open()).narrowed(narrowing, { borrowed: own !== undefined })
  }

  /** The shard that the hint names; undefined where it names none. */
  shardOf(main: Alias | undefined): Shard | undefined {
    const { hint } = this.narrowing
    if (!hint || hint.kind === 'across') return undefined
    const metadata = main?.hasMetadata ? main.metadata : undefined
    const binding = metadata && (this.bindingOf(metadata) ?? this.ownerOf(metadata))
    if (binding) return hint.kind === 'shard' ? hintedShard(binding, hint.shard) : shardOfHint(binding, hint.value)
    if (hint.kind === 'shard' && !metadata) return hint.shard
    throw notSharded(metadata?.name ?? 'its main table')
  }

  /** `key = value` for the main entity of a statement; undefined where the hint names no key, or it stands elsewhere. */
  condition(
    { mainAlias, aliasNamePrefixingEnabled, subQuery }: QueryExpressionMap,
    own: QueryRunner | undefined,
    quote: (name: string) => string,
  ): string | undefined {
    const binding = this.keyBinding(mainAlias)
    if (!binding || !mainAlias || subQuery || isView(own)) return undefined
    const prefix = aliasNamePrefixingEnabled ? `${quote(mainAlias.name)}.` : ''
    return binding.keyColumns
      .map(({ databaseName }, index) => `${prefix}${quote(databaseName)} = :${this.prefix}${index}`)
      .join(' AND ')
  }

  /** The values of `condition`. */
  parameters({ mainAlias }: QueryExpressionMap): ObjectLiteral {
    const { hint } = this.narrowing
    const binding = this.keyBinding(mainAlias)
    if (!binding || hint?.kind !== 'key') return {}
    const values = preparedKey(binding, keyValues(binding, hint.value))
    return Object.fromEntries(values.map((value, index) => [`${this.prefix}${index}`, value]))
  }

  /** Gives rows the key where they have none. */
  fill({ mainAlias }: QueryExpressionMap, rows: readonly ObjectLiteral[]): void {
    const { hint } = this.narrowing
    const binding = this.keyBinding(mainAlias)
    if (!binding || hint?.kind !== 'key') return
    for (const row of rows) fillKey(binding, row, keyValues(binding, hint.value))
  }

  private keyBinding(main: Alias | undefined): EntityBinding | undefined {
    return this.narrowing.hint?.kind === 'key' && main?.hasMetadata ? this.bindingOf(main.metadata) : undefined
  }

  private bindingOf({ target }: EntityMetadata): EntityBinding | undefined {
    return this.runtime.bindingOf(target)
  }

  /** Of a junction table, the entity whose rows it is placed with. */
  private ownerOf(metadata: EntityMetadata): EntityBinding | undefined {
    const owner = ownerOfJunction(metadata)
    return owner && this.bindingOf(owner)
  }
}

/** A statement that an operation sends for another of its own is narrowed by its runner already. */
const isView = (runner: QueryRunner | undefined): runner is ShardedQueryRunner =>
  runner instanceof ShardedQueryRunner && runner.narrowing !== undefined

/** Explains the first statement that `ask` would send; to `ask`, each of its statements finds no rows. */
export async function explainFirst(
  runner: ShardedQueryRunner,
  ask: (view: QueryRunner) => Promise<unknown>,
): Promise<Explanation> {
  const asked: Parameters<ShardedQueryRunner['explain']>[] = []
  const query = async (...statement: Parameters<ShardedQueryRunner['explain']>): Promise<QueryResult> => {
    asked.push(statement)
    return Object.assign(new QueryResult(), { records: [], raw: [] })
  }
  await ask(
    new Proxy(runner, { get: (target, name, view) => (name === 'query' ? query : Reflect.get(target, name, view)) }),
  )
  const [first] = asked
  if (!first) throw new RangeError('Nothing was asked.')
  return runner.explain(...first)
}
