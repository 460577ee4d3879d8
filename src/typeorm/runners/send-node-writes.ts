import { pushTo } from '../../collections/push-to'
import type { Cancellation } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import { isServerRefusal, sqlState } from '../../endpoints/sql-state'
import type { StatementResult } from '../../endpoints/statement-result'
import { ShardedError } from '../../errors/sharded-error'
import { answersOf, type NodeWrite } from '../../planning/node-write'
import { isFailedCheck, planStale } from '../../planning/schema-check'
import { causeOf } from './cause-of'

/** How a write reaches its nodes: in a transaction, within the limits of its operation. */
interface WriteConnections {
  /** The connection of a shard's node. The shard is then part of the transaction. */
  readonly connectionOf: (shard: string) => Promise<NodeConnection>
  readonly cancellationOf: (shard: string) => Cancellation | undefined
  /** Told of a node that has refused a united statement before it ran, and may take each shard's own. */
  readonly onRefused: (node: string) => void
}

interface SentWrites {
  /** The result of each shard, by its name, as the server would have given it to the shard's own statement. */
  readonly results: ReadonlyMap<string, StatementResult>
  /** What went wrong first in the order of the nodes, and the shards of the statement that it is of. */
  readonly failure: WriteFailure | undefined
}

interface WriteFailure {
  readonly reason: unknown
  readonly shards: readonly string[]
}

/**
 * Sends the statements of a write, all nodes at once, those of a node one after the other. After a failure nothing more is
 * sent to its node. Every node is at rest when this resolves: a write that still ran would send its next statement after
 * the rollback.
 */
export async function sendNodeWrites(writes: readonly NodeWrite[], connections: WriteConnections): Promise<SentWrites> {
  const results = new Map<string, StatementResult>()
  const byNode = new Map<string, NodeWrite[]>()
  for (const write of writes) pushTo(byNode, write.node, write)
  const failures = new Map<unknown, readonly string[]>()
  const runNode = async (nodeWrites: readonly NodeWrite[]): Promise<void> => {
    for (const write of nodeWrites) {
      try {
        const answers = await send(write, connections)
        for (const [index, answer] of answers.entries()) results.set(write.shards[index] ?? '', answer)
      } catch (error) {
        failures.set(error, write.shards)
        if (isRefusal(write, error)) connections.onRefused(write.node)
        throw error
      }
    }
  }
  const cause = causeOf(await Promise.allSettled([...byNode.values()].map(runNode)))
  return { results, failure: cause && { reason: cause.reason, shards: failures.get(cause.reason) ?? [] } }
}

/** @throws ShardedError PLAN_STALE where a table has got a rule, or the tables of the shards differ */
async function send(
  { united, shards, text, parameters }: NodeWrite,
  { connectionOf, cancellationOf }: WriteConnections,
): Promise<readonly StatementResult[]> {
  const [first = ''] = shards
  const cancellation = cancellationOf(first)
  const [connection] = await Promise.all(shards.map(connectionOf))
  if (!connection) throw new RangeError('A statement has at least one shard.')
  if (!united) return [await connection.query(text, parameters, first, cancellation)]
  try {
    const { rows, fields } = await connection.query(text, parameters, undefined, cancellation)
    const answers = answersOf(shards, united, rows)
    // The server calls the whole a SELECT.
    if (answers.some(({ rowCount }) => rowCount > 0)) connection.hasWritten = true
    const ownFields = united.returning ? fields.slice(1) : []
    return answers.map((answer) => ({ ...answer, rows: [...answer.rows], fields: ownFields, oid: 0 }))
  } catch (error) {
    if (isRuled(error) || (united.returning && isFailedCheck(error, ''))) throw planStale(text, error)
    if (error instanceof Error && sqlState(error) === readOnly)
      error.message = error.message.replace('SELECT', united.command)
    throw error
  }
}

/** A table had got a rule, or the tables of the shards differ. */
const isRefusal = ({ united }: NodeWrite, error: unknown): boolean =>
  united !== undefined &&
  (sqlState(error) === unsupported || (error instanceof ShardedError && error.code === 'PLAN_STALE'))

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
