import {
  type DeleteQueryBuilder,
  In,
  type ObjectLiteral,
  type SelectQueryBuilder,
  type UpdateQueryBuilder,
} from 'typeorm'
import type { SoftDeleteQueryBuilder } from 'typeorm/query-builder/SoftDeleteQueryBuilder'
import type { Arm } from '../../query/arm-source'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
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

/** A builder of TypeORM for an UPDATE or DELETE of an entity's rows. */
export type WriteBuilder =
  | UpdateQueryBuilder<ObjectLiteral>
  | DeleteQueryBuilder<ObjectLiteral>
  | SoftDeleteQueryBuilder<ObjectLiteral>

/** A write by condition, as TypeORM is to build it. */
export interface CriteriaWrite {
  /** Undefined for all rows. */
  readonly criteria: Criteria | undefined
  /** The statement without its condition. */
  readonly start: (builder: SelectQueryBuilder<ObjectLiteral>) => WriteBuilder
}

/** The statement of a write as TypeORM's manager makes it. */
function buildWrite(from: SelectQueryBuilder<ObjectLiteral>, { criteria: given, start }: CriteriaWrite) {
  const builder = start(from)
  if (!given) return builder
  const { criteria, isPrimitive } = given
  // TypeORM has checked them before.
  return isPrimitive ? builder.whereInIds(criteria) : builder.where(criteria as ObjectLiteral)
}

/** What each shard gets: its own ids and values of the shard key, and a copy that TypeORM may change. */
function criteriaOn(
  binding: EntityBinding,
  given: Criteria,
  bindingOf: BindingOf,
): ((shard: Shard) => Criteria) | undefined {
  const narrow = narrowWhere(binding, criteriaWhere(binding, given), bindingOf)
  return narrow && (({ index }) => ({ criteria: narrow(index), isPrimitive: false }))
}

/**
 * The statement of each shard of a write: made once where all have the same condition.
 *
 * @param builderOn a builder of TypeORM whose tables are those of the placeholder schema
 */
export function criteriaArms(
  binding: EntityBinding,
  {
    shards,
    write,
    bindingOf,
    builderOn,
  }: {
    readonly shards: readonly Shard[]
    readonly write: CriteriaWrite
    readonly bindingOf: BindingOf
    readonly builderOn: (shard: Shard) => SelectQueryBuilder<ObjectLiteral>
  },
): readonly Arm[] {
  const build = (shard: Shard, own: CriteriaWrite) => {
    const [text, parameters] = buildWrite(builderOn(shard), own).getQueryAndParameters()
    return { text, parameters }
  }
  const [first, another] = shards
  const narrowed = another && write.criteria && criteriaOn(binding, write.criteria, bindingOf)
  if (narrowed) return shards.map((shard) => ({ shard, ...build(shard, { ...write, criteria: narrowed(shard) }) }))
  const same = first && build(first, write)
  return same ? shards.map((shard) => ({ shard, ...same })) : []
}
