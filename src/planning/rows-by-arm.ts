import { pushTo } from '../collections/push-to'
import type { Row } from '../merging/row'

/** The index of the shard that a row comes from. */
export const armOf = (row: Row): number => Number(row['__arm'])

/** Rows by the index of the shard that they come from; of each shard in their order. */
export function rowsByArm(rows: readonly Row[]): ReadonlyMap<number, readonly Row[]> {
  const arms = new Map<number, Row[]>()
  for (const row of rows) pushTo(arms, armOf(row), row)
  return arms
}
