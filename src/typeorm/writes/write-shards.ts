import type { ObjectLiteral } from 'typeorm'
import { executeWrite } from '../../execution/execute-write'
import type { WriteOrder } from '../../lookups/write-order'
import { maxArms } from '../../planning/scatter-statement'
import { planWrite, type WriteFacts, type WritePlan } from '../../planning/write-plan'
import type { OperationWrite, UnitedWrite, WriteQuery } from '../../query/write-query'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import type { ShardWrite } from './run-parts'
import { ShardWriteHost } from './shard-write-host'

/** How an operation writes: within its limits, and in a transaction of its own where the caller has none. */
export interface WriteContext {
  readonly access: ShardAccess
  readonly openRunner: () => ShardTransaction
}

export interface WriteShardsOptions {
  readonly order?: WriteOrder | undefined
  readonly entities?: (() => readonly ObjectLiteral[]) | undefined
  /** Each shard's work is one UPDATE or DELETE, which may go to its node with those of other shards. */
  readonly united?: UnitedWrite | undefined
}

/**
 * Runs TypeORM's own operations on the shards of a write, as planned: see `planWrite`. On one shard it is the operation as it
 * is. On several it runs in one transaction a node, all committed only after all have succeeded. Inside a transaction of the
 * caller it joins that. Where entities of the group have lookups, one shard is written in a transaction too, and the lookups
 * with it. Where it fails, objects are what they were before.
 *
 * @param options.order of the rows on one database, where the operation has one
 * @param options.entities all that the operation changes, in the order in which one database would tell of them
 * @returns the results in the order of `writes`, or one for all that are alike
 * @throws ShardedError PARTIAL_COMMIT, LOOKUP_ORDER_UNKNOWN; QueryFailedError of a `@GlobalUnique`; else the first error, after everything is rolled back
 */
export async function writeShards<T>(
  { access, openRunner }: WriteContext,
  writes: readonly ShardWrite<T>[],
  { order, entities, united }: WriteShardsOptions = {},
): Promise<readonly T[]> {
  const query: OperationWrite = {
    kind: 'operation',
    shards: writes.map(({ shard }) => shard),
    united,
    order: order && (order.isByKind ? 'by-kind' : 'by-row'),
    isHeard: entities !== undefined && isHeard(access, writes),
  }
  const untold = writes.flatMap((write) => write.untold ?? [])
  const host = new ShardWriteHost(access, { openRunner, order, entities, untold, worksOf: () => writes })
  return executeWrite(await planWriteOf(access, query), host)
}

/** Plans a write with what is known of its nodes. */
export const planWriteOf = async (access: ShardAccess, query: WriteQuery): Promise<WritePlan> =>
  planWrite(query, await writeFacts(access, query))

/** What the planner has to know of the nodes of a write. */
export async function writeFacts(
  access: ShardAccess,
  query: WriteQuery | { readonly kind: 'values' },
): Promise<WriteFacts> {
  const { runtime, transaction } = access
  const nodes = query.kind === 'statement' && query.united ? query.arms.map(({ shard }) => shard.node) : []
  return {
    maintains: (group) => runtime.lookups.maintains(group),
    isInTransaction: transaction !== undefined,
    hasRules: nodes.length > 1 ? await access.waitFor(runtime.rules.of([...new Set(nodes)])) : () => true,
    maxArms,
  }
}

const isHeard = ({ runtime }: ShardAccess, [first, another]: readonly ShardWrite<unknown>[]): boolean =>
  first !== undefined && another !== undefined && runtime.handle(first.shard).dataSource.subscribers.length > 0
