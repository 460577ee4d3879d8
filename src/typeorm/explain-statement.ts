import type { SelectStmt } from '@pgsql/types'
import { type Explanation, explain } from '../planning/explanation'
import type { FinishPlan } from '../planning/finish-plan'
import type { RowsPlan } from '../planning/rows-plan'
import type { NodeStatement } from '../planning/scatter-statement'
import type { StatementAnalysis } from '../routing/statement-analysis'
import type { Shard } from '../topology/shard'

/** The parts of a statement that are run first, and the shards of the whole. */
export interface ExplainedParts {
  readonly first: readonly Explanation[]
  /** The node that puts together what no shard has a part in. */
  readonly home: string
  readonly main: { readonly shards: readonly string[]; readonly reason: string } | undefined
}

export const noPage = { offset: 0, limit: undefined, end: undefined } as const

/** The sharded tables of a statement, by their entities' names. */
export const entityNames = ({ uses }: StatementAnalysis): string =>
  [...new Set(uses.map(({ table }) => table.entity?.name ?? table.name))].join(', ')

/** The queries of a set operation, from left to right. */
export const sidesOf = (select: SelectStmt): readonly SelectStmt[] =>
  select.larg && select.rarg ? [...sidesOf(select.larg), ...sidesOf(select.rarg)] : [select]

export function rowsSteps({
  plan,
  statements,
  offset,
  limit,
}: {
  readonly plan: RowsPlan
  readonly statements: readonly NodeStatement[]
  readonly offset: number
  readonly limit: number | undefined
}): readonly string[] {
  const steps: string[] = []
  if (statements.length > 1)
    steps.push(
      plan.order.length > 0
        ? `merge ${statements.length} sorted answers`
        : `append ${statements.length} answers in the order of the shards`,
    )
  if (offset > 0) steps.push(`skip ${offset} rows`)
  if (limit !== undefined) steps.push(`take ${limit} rows`)
  return steps
}

export const finishSteps = ({ step, final }: FinishPlan, { node }: Shard): readonly string[] => [
  step,
  `ask node ${node}: ${final.text}`,
]

export function explainParts(
  about: { readonly entity: string; readonly operation: string },
  { first, home, main }: ExplainedParts,
): Explanation {
  const shards = new Set([...first.flatMap((part) => part.shards), ...(main?.shards ?? [])])
  return explain({
    ...about,
    shards: [...shards],
    reason: [...first, ...(main ? [main] : [])].map(({ reason }) => reason).join('; '),
    statements: first.flatMap(({ statements }) => statements),
    steps: [
      ...first.flatMap(({ steps }) => steps),
      main
        ? `ask ${main.shards.length} shard(s) the whole, with the rows of its other parts in their places`
        : `let node ${home} put the parts together`,
    ],
  })
}
