import type { ObjectLiteral } from 'typeorm'
import type { Arm, ArmSource } from '../../query/arm-source'
import { hasPerShardTypes } from '../binding/describe-entities'
import type { EntityBinding } from '../binding/entity-binding'
import type { ArmQueryBuilder, TemplateStatement } from '../find/arm-query-builder'
import { narrowWhere } from '../find/narrow-where'
import { type FindOptions, type FindScope, newBuilder } from './find-scope'

type Builder = ArmQueryBuilder<ObjectLiteral>

/** The conditions that each shard gets of its own; undefined where one serves all. */
export const narrowing = ({ access, binding }: FindScope, { where }: FindOptions) =>
  where && narrowWhere(binding, where, (target) => access.runtime.bindingOf(target))

/**
 * The arms of a find: TypeORM makes one statement for all shards, or one a shard where lists of keys are split.
 *
 * @param made `make` prepares a builder of the find options, and makes the statement of it; `whole` is a builder of the find options
 *   that was made already
 */
export function shardArms(
  scope: FindScope,
  options: FindOptions,
  { make, whole }: { readonly make: (builder: Builder) => TemplateStatement; readonly whole?: Builder | undefined },
): ArmSource {
  const narrow = narrowing(scope, options)
  if (!narrow) {
    const builder = whole ?? newBuilder(scope, options)
    return common(scope, builder, make(builder))
  }
  const arms = scope.shards.map(
    (shard): Arm => ({ shard, ...make(newBuilder(scope, { ...options, where: narrow(shard.index) })) }),
  )
  return Object.freeze({ arms: Object.freeze(arms), sharedParameters: false })
}

/** As `shardArms`, where TypeORM makes the statement asynchronously. */
export async function shardArmsLater(
  scope: FindScope,
  options: FindOptions,
  make: (builder: Builder) => Promise<TemplateStatement> | TemplateStatement,
): Promise<ArmSource> {
  const narrow = narrowing(scope, options)
  if (!narrow) {
    const builder = newBuilder(scope, options)
    return common(scope, builder, await make(builder))
  }
  const arms: Arm[] = []
  for (const shard of scope.shards)
    arms.push({ shard, ...(await make(newBuilder(scope, { ...options, where: narrow(shard.index) }))) })
  return Object.freeze({ arms: Object.freeze(arms), sharedParameters: false })
}

const common = ({ shards, binding }: FindScope, builder: Builder, statement: TemplateStatement): ArmSource =>
  Object.freeze({
    arms: Object.freeze(shards.map((shard): Arm => ({ shard, ...statement }))),
    sharedParameters: sharesParameters(binding, builder),
  })

/** One parameter list serves all arms, unless each shard has its own types for them. */
function sharesParameters({ metadata }: EntityBinding, builder: Builder): boolean {
  if (Object.keys(builder.getParameters()).length === 0) return true
  // The relations of the condition and of the order are joined, however far away; a column of SQL may name what is near.
  const joined = builder.expressionMap.aliases.flatMap((alias) => (alias.hasMetadata ? [alias.metadata] : []))
  const near = metadata.relations.map((relation) => relation.inverseEntityMetadata)
  return ![metadata, ...near, ...joined].some(hasPerShardTypes)
}
