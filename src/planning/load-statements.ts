import { pushTo } from '../collections/push-to'
import type { Row } from '../merging/row'
import { type Arm, armsOf } from '../query/arm-source'
import { KeyList } from '../query/page-query'
import type { LoadByKeyPlan } from './read-plan'
import { buildNodeStatements, type NodeStatement } from './scatter-statement'

/** The statements that fetch the rows of some keys: one a node, of the shards that have any of them. */
export function loadStatements({ arms }: LoadByKeyPlan, keys: readonly Row[]): readonly NodeStatement[] {
  const byArm = rowsByArm(keys)
  const loaded = armsOf(arms, byArm.keys()).map((arm): Arm => {
    const own = byArm.get(arm.shard.index) ?? []
    const parameters = arm.parameters.map((value) =>
      value instanceof KeyList ? own.map((row) => row[`__p${value.column}`]) : value,
    )
    return { ...arm, parameters }
  })
  return buildNodeStatements(loaded, { sharedParameters: false })
}

/** What tells a row: its shard and its primary key. */
export function identityOf(row: Row): string {
  const parts: unknown[] = [row['__arm']]
  for (let index = 0; row[`__p${index}`] !== undefined; index++) parts.push(row[`__p${index}`])
  return JSON.stringify(parts)
}

/** The index of the shard that a row comes from. */
export const armOf = (row: Row): number => Number(row['__arm'])

/** Rows by the index of the shard that they come from; of each shard in their order. */
export function rowsByArm(rows: readonly Row[]): ReadonlyMap<number, readonly Row[]> {
  const arms = new Map<number, Row[]>()
  for (const row of rows) pushTo(arms, armOf(row), row)
  return arms
}
