import { QueryFailedError } from 'typeorm'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { pushTo } from '../../collections/push-to'
import type { NodeConnection } from '../../endpoints/node-connection'
import { isServerRefusal, sqlState } from '../../endpoints/sql-state'
import { answersOf, type NodeWrite } from '../../planning/node-write'
import { isFailedCheck, planStale } from '../../planning/schema-check'
import type { TransactionPlan } from '../../planning/write-plan'
import type { Arm } from '../../query/arm-source'
import { causeOf } from './cause-of'
import type { ShardTransaction } from './shard-transaction'

/** A write in a transaction. */
export interface TransactionWrite extends Pick<TransactionPlan, 'pace' | 'nodes'> {
  readonly transaction: ShardTransaction
  /** The statements of the shards: what is told of the first is told of all that go with it. */
  readonly arms: readonly Arm[]
  /** Told of a node that has refused a united statement before it ran, and may take each shard's own. */
  readonly onRefused: (node: string) => void
}

/** How a write reaches its nodes, within the limits of its operation. */
interface WriteConnections extends Pick<TransactionWrite, 'onRefused' | 'pace' | 'nodes'> {
  /** Sends a statement on the connection of its node. Its shards are then part of the transaction. */
  readonly send: (
    write: NodeWrite,
  ) => Promise<{ readonly connection: Pick<NodeConnection, 'hasWritten'>; readonly result: QueryResult }>
}

/**
 * Sends the statements of a write, all nodes at once or in the order of the plan, those of a node one after the other. After a
 * failure nothing more is sent to its node. Every node is at rest when this settles: a write that still ran would send its next
 * statement after the rollback.
 *
 * @returns the result of each shard, by its name, as its own statement would have given it
 * @throws what went wrong first; ShardedError PLAN_STALE where a table has got a rule, or the tables of the shards differ
 */
export async function sendNodeWrites(
  writes: readonly NodeWrite[],
  connections: WriteConnections,
): Promise<ReadonlyMap<string, QueryResult>> {
  const results = new Map<string, QueryResult>()
  const byNode = new Map<string, NodeWrite[]>()
  for (const write of writes) pushTo(byNode, write.node, write)
  const runNode = async (ofNode: readonly NodeWrite[]): Promise<void> => {
    for (const write of ofNode)
      for (const [index, result] of (await send(write, connections)).entries())
        results.set(write.shards[index] ?? '', result)
  }
  if (connections.pace === 'in-turn') {
    for (const node of connections.nodes) await runNode(byNode.get(node) ?? [])
    return results
  }
  const cause = causeOf(await Promise.allSettled([...byNode.values()].map(runNode)))
  if (cause) throw cause.reason
  return results
}

async function send(write: NodeWrite, { send: sent, onRefused }: WriteConnections): Promise<readonly QueryResult[]> {
  const { united, shards, text, node } = write
  try {
    const { connection, result } = await sent(write)
    if (!united) return [result]
    const answers = answersOf(shards, united, result.records)
    // The server calls the whole a SELECT.
    if (answers.some(({ rowCount }) => rowCount > 0)) connection.hasWritten = true
    return answers.map(({ rows, rowCount }) => {
      const own = new QueryResult()
      own.records = [...rows]
      own.affected = rowCount
      own.raw = [own.records, rowCount]
      return own
    })
  } catch (thrown) {
    if (!united) throw thrown
    const error: unknown = thrown instanceof QueryFailedError ? thrown.driverError : thrown
    const isStale = isRuled(error) || (united.returning !== undefined && isFailedCheck(error, ''))
    if (isStale || sqlState(error) === unsupported) onRefused(node)
    if (isStale) throw planStale(text, error)
    if (sqlState(error) === readOnly)
      for (const one of [thrown, error])
        if (one instanceof Error) one.message = one.message.replace('SELECT', united.command)
    throw thrown
  }
}

/** SQLSTATE of a feature that is not supported. */
const unsupported = '0A000'

/**
 * True for the error of a table that has got a rule: of a WITH, or of a rule that returns no oid of a table. What a trigger does may
 * fail alike, and tells where.
 */
const isRuled = (error: unknown): boolean =>
  isServerRefusal(error) &&
  error.where === undefined &&
  (error.routine === 'RewriteQuery' || error.message.startsWith('could not find replacement targetlist entry'))

/** SQLSTATE of a write in a transaction that only reads. Its message names the command, and the whole is a SELECT. */
const readOnly = '25006'
