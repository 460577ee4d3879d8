import type { MergeTerm } from '../../execution/merge-term'
import type { Row } from '../../merging/row'
import { type ArmTemplate, armText, type RowsPlan } from '../../planning/rows-plan'
import { type ArmOrder, buildNodeStatements, type NodeStatement } from '../../planning/scatter-statement'
import type { Shard } from '../../topology/shard'
import { maxArms } from '../reads/scatter-rows'
import { pick, type ShardsRun } from './statement-run'

/** The statements of a query on its shards: one a node, of an arm for each shard. */
export function arms(
  arm: ArmTemplate,
  { shards, values, valuesOn, analysis }: ShardsRun,
  {
    limit,
    order,
    isMerged = true,
  }: {
    readonly limit: number | undefined
    readonly order: readonly ArmOrder[]
    /** The arms of a node are one ordered answer; else each gives its own rows, and none may be cut away. */
    readonly isMerged?: boolean
  },
): readonly NodeStatement[] {
  const text = armText(arm, limit)
  const parameters = pick(arm.parameters, values)
  const parametersOn = (shard: Shard) => (valuesOn ? pick(arm.parameters, valuesOn(shard)) : parameters)
  return buildNodeStatements(
    shards.map((shard) => ({ shard, text, parameters: parametersOn(shard) })),
    {
      order,
      limit: isMerged ? limit : undefined,
      sharedParameters: parameters.length === 0 || (!valuesOn && !analysis.uses.some(({ table }) => table.hasOwnTypes)),
      maxArms,
    },
  )
}

/** How a node merges its arms. */
export const nodeOrder = ({ order }: RowsPlan): readonly ArmOrder[] =>
  order.map(({ nodeColumn, descending, nullsFirst }) => ({ column: nodeColumn, descending, nullsFirst }))

/** How the answers of nodes are merged. */
export const mergeTerm = ({
  name,
  type,
  form,
  column,
  descending,
  nullsFirst,
  witness,
}: RowsPlan['order'][number]): MergeTerm => ({
  merge: { column, kind: form.kind, descending, nullsFirst },
  rankBy: form.rankBy,
  name,
  type,
  witness: form.witness && witness !== undefined ? { column: witness, of: form.witness.of } : undefined,
})

/** Without an order, the shards' rows follow each other. */
export function inShardOrder(sources: readonly (readonly Row[])[]): readonly Row[] {
  const [only = [], another] = sources
  return another ? sources.flat().sort((a, b) => Number(a['__arm']) - Number(b['__arm'])) : only
}
