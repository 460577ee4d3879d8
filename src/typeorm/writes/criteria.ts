import { In, type ObjectLiteral } from 'typeorm'
import type { EntityBinding } from '../binding/entity-binding'
import { cloneWhere } from '../find/clone-where'
import { narrowWhere } from '../find/narrow-where'
import { conditionAtCall } from '../find/options-at-call'
import type { BindingOf } from './entity-graph'

/** Criteria of update, delete and the like, as TypeORM has checked them. */
export interface Criteria {
  readonly criteria: unknown
  /** An id or a list of ids, rather than conditions. */
  readonly isPrimitive: boolean
}

/** A copy of criteria as they are at the call: TypeORM makes the SQL of them before it asks the database for anything. */
export async function criteriaAtCall(
  { metadata }: EntityBinding,
  { criteria, isPrimitive }: Criteria,
): Promise<Criteria> {
  if (!isPrimitive) return { criteria: await conditionAtCall(metadata, criteria), isPrimitive }
  return { criteria: Array.isArray(criteria) ? [...criteria] : criteria, isPrimitive }
}

/** Criteria as conditions: ids become conditions on the primary key. */
export function criteriaWhere({ metadata }: EntityBinding, { criteria, isPrimitive }: Criteria): unknown {
  if (!isPrimitive) return criteria
  const [column, another] = metadata.primaryColumns
  if (!column || another) return undefined
  const condition: unknown = Array.isArray(criteria) ? In(criteria) : criteria
  return column.propertyPath
    .split('.')
    .reduceRight<unknown>((inner, name): ObjectLiteral => ({ [name]: inner }), condition)
}

/** The criteria of each shard. */
export interface ShardCriteria {
  /** All shards have the same. */
  readonly isAlike: boolean
  on(shard: number): unknown
}

/** What each shard gets: its own ids and values of the shard key, and a copy that TypeORM may change. */
export function narrowCriteria(
  binding: EntityBinding,
  { criteria, isPrimitive }: Criteria,
  bindingOf: BindingOf,
): ShardCriteria {
  const where = isPrimitive ? criteriaWhere(binding, { criteria, isPrimitive }) : criteria
  const narrow = narrowWhere(binding, where, bindingOf)
  if (narrow) return { isAlike: false, on: narrow }
  return { isAlike: true, on: () => (isPrimitive ? criteria : cloneWhere(binding.metadata, criteria)) }
}
