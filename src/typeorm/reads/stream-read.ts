import { executeRead, questionsOf } from '../../execution/execute-read'
import { onlyColumns } from '../../merging/only-columns'
import type { Row } from '../../merging/row'
import type { Cut, MergePlan, ReadPlan } from '../../planning/read-plan'
import { readInTurn, readMerged } from '../runners/read-cursors'
import type { ShardAccess } from '../runners/shard-access'

/**
 * The rows of a plan as they are asked for: a fold that reads merges and concatenations from cursors. Every other node runs
 * whole.
 *
 * @throws what `executeRead` throws; nothing is asked before the first row
 */
export async function* streamRead(plan: ReadPlan, access: ShardAccess): AsyncGenerator<Row, void, undefined> {
  switch (plan.kind) {
    case 'merge':
      yield* cut(merged(plan, access), plan)
      return
    case 'append':
      yield* cut(readInTurn(access, plan.source.statements), plan)
      return
    case 'route':
      yield* readInTurn(access, plan.statements)
      return
    // Batch by batch no more rows are asked for than are needed.
    case 'shares':
      yield* streamRead(plan.otherwise.get(), access)
      return
    case 'project': {
      const keep = onlyColumns(plan)
      for await (const row of streamRead(plan.source, access)) yield keep(row)
      return
    }
    default:
      yield* await executeRead(plan, access)
  }
}

function merged({ source: { statements }, order, shard }: MergePlan, access: ShardAccess): AsyncGenerator<Row> {
  const { ask } = questionsOf(statements, shard, access)
  return readMerged(access, statements, { terms: order, ask })
}

async function* cut(rows: AsyncIterable<Row>, { offset, limit }: Cut): AsyncGenerator<Row, void, undefined> {
  const end = limit === undefined ? undefined : offset + limit
  let position = 0
  for await (const row of rows) {
    if (position >= offset) yield row
    position += 1
    if (end !== undefined && position >= end) return
  }
}
