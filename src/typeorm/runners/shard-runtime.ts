import { LRUCache } from 'lru-cache'
import { type DataSource, type EntityManager, QueryFailedError } from 'typeorm'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { BindText } from '../../endpoints/bound-client'
import type { NodePool } from '../../endpoints/node-pool'
import type { StatementResult } from '../../endpoints/statement-result'
import { ShardedError } from '../../errors/sharded-error'
import type { DefaultLimits } from '../../execution/operation'
import { RuleCatalog } from '../../execution/rule-catalog'
import type { GatherBudget } from '../../model/limits'
import { bindShardNames } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import type { ShardMap } from '../../topology/shard-map'
import type { ControlPoints } from '../../transactions/control-point'
import type { TransactionMode } from '../../transactions/transaction-mode'
import type { TwoPhase } from '../../transactions/two-phase'
import type { EntityBinding } from '../binding/entity-binding'
import type { EntityShards } from '../binding/entity-shards'
import { Lookups } from '../binding/lookups'
import { References } from '../binding/references'
import type { ShardDataSource } from './shard-data-source'

/** A shard's data source, and how its statements are bound. */
export interface ShardHandle {
  readonly shard: Shard
  readonly dataSource: ShardDataSource
  readonly bind: BindText
}

/** How the data source's transactions are committed. */
export interface TransactionSettings {
  readonly mode: TransactionMode
  /** In the mode `two-phase`, where there are several nodes. */
  readonly twoPhase: TwoPhase | undefined
}

/** What a runtime is made of. */
interface RuntimeParts {
  readonly map: ShardMap
  /** By the names of nodes. */
  readonly pools: ReadonlyMap<string, NodePool>
  /** By the names of shards. */
  readonly handles: ReadonlyMap<string, ShardHandle>
  /** By class and by name. */
  readonly bindings: ReadonlyMap<unknown, EntityBinding>
  readonly entityShards: EntityShards
  readonly warn: (text: string) => void
  /** What bounds a scatter that is of no one entity. */
  readonly limits: DefaultLimits
  readonly gatherBudget: GatherBudget
  readonly transactions: TransactionSettings & { readonly points: ControlPoints }
  /** Default: none. */
  readonly lookups?: Lookups
  /** Default: none. */
  readonly references?: References
}

/** All that an initialised data source has: the topology, the pools, the shards' data sources, the sharded entities. */
export type ShardRuntime = ReturnType<typeof createRuntime>

export function createRuntime({
  pools,
  handles,
  bindings,
  lookups = new Lookups([]),
  references = new References([]),
  ...shared
}: RuntimeParts) {
  const pool = (node: string): NodePool => {
    const found = pools.get(node)
    if (!found) throw new RangeError(`There is no node ${node}.`)
    return found
  }
  /** @throws ShardedError SHARD_UNKNOWN */
  const handle = ({ name }: Pick<Shard, 'name'>): ShardHandle => {
    const found = handles.get(name)
    if (found) return found
    throw new ShardedError('SHARD_UNKNOWN', `There is no shard "${name}".`, { details: { shard: name } })
  }
  return Object.freeze({
    ...shared,
    lookups,
    references,
    /** The schema where a node looks for names first, and where tables of this package's own are. */
    searchSchemaOf: (node: string): string => pool(node).facts.searchSchema,
    /** Whether the application has subscribers, which the data sources of all shards share. */
    hasSubscribers: (): boolean => {
      const [first] = handles.values()
      return first !== undefined && first.dataSource.subscribers.length > 0
    },
    pool,
    handle,
    nodes: Object.freeze([...pools.keys()]),
    hasShardedEntities: bindings.size > 0,
    /** The binding of a sharded entity, by its class or name; undefined for an unsharded one. */
    bindingOf: (target: unknown): EntityBinding | undefined => bindings.get(target),
    /** The entity manager of a shard outside any transaction. */
    managerOf: (shard: Shard): EntityManager => handle(shard).dataSource.manager,
    /** Which tables of shards have rules. */
    rules: new RuleCatalog({
      atStart: (node) => pool(node).facts.ruledTables,
      ask: (node, text) => pool(node).background.query(text),
      learned: (node, tables) => pool(node).noteRules(tables),
    }),
  })
}

/** A statement as its log and its error have it. */
interface LoggedStatement {
  readonly text: string
  readonly parameters: readonly unknown[]
}

/**
 * Sends a statement as `PostgresQueryRunner.query` does where nobody sees the query runner: the same logs and the same error. To make a
 * query runner, its manager and its broadcaster takes longer than all that they then do.
 *
 * @throws QueryFailedError
 */
export async function loggedQuery(
  { logger, options: { maxQueryExecutionTime } }: DataSource,
  { text, parameters }: LoggedStatement,
  send: () => Promise<StatementResult>,
): Promise<QueryResult> {
  const logged = [...parameters]
  logger.logQuery(text, logged)
  const startedAt = Date.now()
  try {
    const result = await send()
    const milliseconds = Date.now() - startedAt
    if (maxQueryExecutionTime && milliseconds > maxQueryExecutionTime) logger.logQuerySlow(milliseconds, text, logged)
    return resultOf(result)
  } catch (error) {
    // TypeORM tells its logger of whatever was thrown.
    const failure = error instanceof Error ? error : new Error(String(error))
    logger.logQueryError(failure, text, logged)
    throw new QueryFailedError(text, logged, failure)
  }
}

/** What TypeORM makes of the answer of pg. */
function resultOf({ command, rows, rowCount }: Partial<StatementResult>): QueryResult {
  const result = new QueryResult()
  // Of several statements in one text pg gives a list, which has neither.
  if (rows) result.records = rows
  if (rowCount != null) result.affected = rowCount
  result.raw = command === 'UPDATE' || command === 'DELETE' ? [rows, rowCount] : rows
  return result
}

/** Letters of bound texts that the shards of a data source remember together: with more shards each remembers fewer. */
const maxLetters = 32_000_000
/** Longer texts are bulk statements, which rarely come back. */
const maxRememberedLength = 4_096

/** Binds texts to one of so many shards, remembering those of ordinary length: TypeORM makes the same few texts again and again. */
export function shardBinder(shard: Shard, shards: number): BindText {
  const known = new LRUCache<string, string>({
    maxSize: Math.ceil(maxLetters / shards),
    // A text may be empty, and a weight may not be 0.
    sizeCalculation: (bound, text) => 1 + bound.length + text.length,
  })
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const bound = bindShardNames(text, shard)
    if (text.length <= maxRememberedLength) known.set(text, bound)
    return bound
  }
}
