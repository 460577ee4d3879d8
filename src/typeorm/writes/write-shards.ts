import type { EntityManager, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { executeWrite } from '../../execution/execute-write'
import type { WriteOrder } from '../../lookups/write-order'
import { maxArms } from '../../planning/scatter-statement'
import { planWrite, type WriteFacts, type WriteParts, type WritePlan } from '../../planning/write-plan'
import type { OperationWrite, WriteQuery } from '../../query/write-query'
import { keepingIn } from '../runners/guarded-broadcaster'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { runInRounds, runInTurn, type ShardWrite } from './run-works'
import { ShardWriteHost, type WriteScope } from './shard-write-host'

/** How an operation writes: within its limits, and in a transaction of its own where the caller has none. */
export interface WriteContext {
  readonly access: ShardAccess
  readonly openRunner: () => ShardTransaction
}

export interface WriteShardsOptions {
  readonly order?: WriteOrder | undefined
  readonly entities?: (() => readonly ObjectLiteral[]) | undefined
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
  { order, entities }: WriteShardsOptions = {},
): Promise<readonly T[]> {
  const query: OperationWrite = {
    kind: 'operation',
    shards: writes.map(({ shard }) => shard),
    order: order && (order.isByKind ? 'by-kind' : 'by-row'),
    isHeard: entities !== undefined && writes.length > 1 && access.runtime.hasSubscribers(),
  }
  const untold = writes.flatMap((write) => write.untold ?? [])
  const write = (parts: WriteParts, scope: WriteScope) => runWorks(writes, { parts, scope, entities })
  const host = new ShardWriteHost(access, { openRunner, order, untold, write })
  return executeWrite(await planWriteOf(access, query), host)
}

interface WorksScope {
  readonly parts: WriteParts
  readonly scope: WriteScope
  readonly entities: WriteShardsOptions['entities']
}

async function runWorks<T>(
  writes: readonly ShardWrite<T>[],
  { parts, scope: { access, inside }, entities }: WorksScope,
): Promise<readonly T[]> {
  if (!inside) return runInTurn(access, writes)
  const keeping = writes.map((write): ShardWrite<T> => {
    const work = (manager: EntityManager) => keepingIn(manager.queryRunner, inside.snapshots, () => write.work(manager))
    return copyWith(write, { work })
  })
  return parts.by === 'typeorm' && parts.inRounds
    ? runInRounds(access, keeping, entities?.() ?? [])
    : runInTurn(access, keeping)
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
