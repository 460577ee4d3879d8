import { ShardedError } from '../errors/sharded-error'
import type { ShardingFunction } from './sharding-function'

/** The error for a declaration that cannot be meant. */
export const functionInvalid = (kind: ShardingFunction['kind'], what: string, cause?: unknown): ShardedError =>
  new ShardedError('FUNCTION_INVALID', `${kind}(…): ${what}`, {
    details: { function: kind },
    ...(cause === undefined ? {} : { cause }),
  })
