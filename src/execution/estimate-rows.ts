import { explainPlan } from '../planning/explain-plan'
import type { InputSource } from '../planning/gather-plan'
import type { InputHost } from './execute-gather'

/** How many rows the servers expect a plan to read, by their statistics: what its first statements give. */
export async function estimateRows(source: InputSource, host: Pick<InputHost, 'query' | 'home'>): Promise<number> {
  const explained = <T extends { readonly text: string }>(statement: T): T => ({
    ...statement,
    text: `EXPLAIN (FORMAT JSON) ${statement.text}`,
  })
  const answers =
    source.kind === 'home'
      ? [await host.home(explained(source))]
      : await host.query(explainPlan(source).statements.map(explained))
  return answers.flat().reduce((sum, row) => sum + planRows(row['QUERY PLAN']), 0)
}

/** PostgreSQL gives `[{ "Plan": { "Plan Rows": 42, … } }]`; a text where the program parses no JSON. */
function planRows(answer: unknown): number {
  const explained: unknown = typeof answer === 'string' ? JSON.parse(answer) : answer
  const rows: unknown = Array.isArray(explained) ? explained[0]?.Plan?.['Plan Rows'] : undefined
  return typeof rows === 'number' ? rows : 0
}
