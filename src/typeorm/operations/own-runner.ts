import type { QueryRunner } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
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
