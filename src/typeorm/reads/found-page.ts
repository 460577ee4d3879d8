import type { ObjectLiteral } from 'typeorm'
import type { Row } from '../../merging/row'
import type { ArmQueryBuilder } from '../find/arm-query-builder'

/** The rows of a page in order, and the builder that TypeORM makes entities of them by. */
export interface FoundPage {
  readonly builder: ArmQueryBuilder<ObjectLiteral>
  readonly rows: readonly Row[]
  /** The rows have primary keys only: entities are loaded by them. */
  readonly isKeys: boolean
}

/** Rows by the index of the shard that they come from; of each shard in their order. */
export function rowsByArm(rows: readonly Row[]): ReadonlyMap<number, readonly Row[]> {
  const arms = new Map<number, Row[]>()
  for (const row of rows) {
    const index = Number(row['__arm'])
    const list = arms.get(index)
    if (list) list.push(row)
    else arms.set(index, [row])
  }
  return arms
}
