import { explainPlan } from '../planning/explain-plan'
import type { ReadPlan } from '../planning/read-plan'
import type { ReadHost } from './execute-read'

/** How many rows the servers expect a plan to read, by their statistics: what its first statements give. */
export async function estimateRows(plan: ReadPlan, host: Pick<ReadHost, 'query'>): Promise<number> {
  const { statements } = explainPlan(plan)
  const answers = await host.query(
    statements.map((statement) => ({ ...statement, text: `EXPLAIN (FORMAT JSON) ${statement.text}` })),
  )
  return answers.flat().reduce((sum, row) => sum + planRows(row['QUERY PLAN']), 0)
}

/** PostgreSQL gives `[{ "Plan": { "Plan Rows": 42, … } }]`; a text where the program parses no JSON. */
function planRows(answer: unknown): number {
  const explained: unknown = typeof answer === 'string' ? JSON.parse(answer) : answer
  const rows: unknown = Array.isArray(explained) ? explained[0]?.Plan?.['Plan Rows'] : undefined
  return typeof rows === 'number' ? rows : 0
}
