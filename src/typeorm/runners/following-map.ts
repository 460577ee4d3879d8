import { sqlState, undefinedTable } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import type { ShardMap } from '../../topology/shard-map'

/** Asks the databases where shards are, and takes that over. Resolves to whether it is another map than the one given. */
export type FollowMap = (map: ShardMap) => Promise<boolean>

/** Times that one operation is planned anew. */
const maxRounds = 4

/** SQLSTATEs of a schema, and of a type, that is not there: a shard that has moved leaves nothing of its name. */
const missing: ReadonlySet<string> = new Set([undefinedTable, '3F000', '42704'])

/** True where a statement named what is not there. */
export const lacksName = (error: unknown): boolean => missing.has(sqlState(error) ?? '')

interface FollowedOperation {
  /** The map that the operation is planned by, when it is asked. */
  readonly map: () => ShardMap
  readonly follow: FollowMap
  /** False in a transaction of the caller: what it did before cannot be done again. */
  readonly isRepeatable: boolean
}

/**
 * Runs an operation, and runs it again by the present map where a shard was not where it was looked for. Nothing was done then: a statement
 * that names what is not there has failed as a whole, and with it the transaction that an operation has of its own.
 *
 * @throws ShardedError SHARD_MOVED where it cannot be repeated; what `work` throws
 */
export async function followingMap<T>(operation: FollowedOperation, work: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round++) {
    const map = operation.map()
    try {
      return await work()
    } catch (error) {
      if (!lacksName(error) || round === maxRounds) throw error
      // Where nobody can say, the error is what it was.
      if (!(await operation.follow(map).catch(() => false))) throw error
      if (!operation.isRepeatable) throw moved(error)
    }
  }
}

const moved = (cause: unknown): ShardedError =>
  new ShardedError('SHARD_MOVED', 'A shard has moved to another node during the transaction.', { details: {}, cause })
