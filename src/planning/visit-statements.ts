import { type Arm, armsOf } from '../query/arm-source'
import { armTag } from './bind-shard-names'
import type { VisitQuestion } from './ordered-shards'
import type { VisitPlan } from './read-plan'
import { buildNodeStatements, type NodeStatement } from './scatter-statement'

/** The statements of a question of a visit: one a node. */
export function visitStatements({ rows, counted }: VisitPlan, question: VisitQuestion): readonly NodeStatement[] {
  if (question.kind === 'count') {
    if (!counted) throw new RangeError('A visit that skips no shards counts none.')
    const arms = armsOf(counted, question.shards).map(
      (arm): Arm => ({
        ...arm,
        text: `SELECT ${armTag} AS "__arm", COUNT(*)::text AS "__n" FROM (${arm.text}) AS "rows"`,
      }),
    )
    return buildNodeStatements(arms, { sharedParameters: counted.sharedParameters })
  }
  const arms = armsOf(
    rows,
    question.windows.map(({ shard }) => shard),
  ).map((arm, index): Arm => {
    const { limit = 0, offset = 0 } = question.windows[index] ?? {}
    return { ...arm, text: `${arm.text} LIMIT ${limit}${offset > 0 ? ` OFFSET ${offset}` : ''}` }
  })
  return buildNodeStatements(arms, { sharedParameters: rows.sharedParameters })
}
