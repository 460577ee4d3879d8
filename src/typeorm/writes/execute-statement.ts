import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { executeWrite } from '../../execution/execute-write'
import type { WriteOrder } from '../../lookups/write-order'
import type { WritePlan } from '../../planning/write-plan'
import { runArms } from './run-arms'
import { ShardWriteHost } from './shard-write-host'
import { uniteAnswers } from './unite-answers'
import type { WriteContext } from './write-shards'

/** A write whose statements are known, with the order of its rows on one database where it has one. */
export interface PlannedStatement {
  readonly plan: WritePlan
  readonly order: WriteOrder | undefined
}

/** Runs the plan of a statement. @throws what `writeShards` throws */
export async function executeStatement(
  { plan, order }: PlannedStatement,
  { access, openRunner }: WriteContext,
): Promise<QueryResult> {
  const host = new ShardWriteHost(access, {
    openRunner,
    order,
    write: async (parts, scope) =>
      parts.by === 'typeorm' ? [] : [uniteAnswers(parts.answer, await runArms(parts, scope))],
  })
  const [result = uniteAnswers({ kind: 'update' }, [])] = await executeWrite(plan, host)
  return result
}
