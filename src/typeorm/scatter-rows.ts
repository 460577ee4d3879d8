import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import type { Row } from '../merging/row'
import { armTag } from '../planning/bind-shard-names'
import { buildNodeStatements, type NodeStatement, type ScatterArm } from '../planning/scatter-statement'
import type { Shard } from '../topology/shard'
import { ArmQueryBuilder, type TemplateStatement } from './arm-query-builder'
import type { EntityBinding } from './entity-binding'
import { narrowWhere } from './narrow-where'
import { mergeInOrder } from './rank-texts'
import { addHiddenOrder, type OrderTerm } from './scatter-order'
import type { ShardAccess } from './shard-access'
import { hasPerShardTypes } from './sort-column'

/** The most arms in one statement; a node with more shards in the route gets several statements. */
export const maxArms = 128

export type FindOptions = FindManyOptions<ObjectLiteral>

/** A find over several shards, planned: what is sent, and how the answers are merged. */
export interface ScatterPlan {
  readonly builder: ArmQueryBuilder<ObjectLiteral>
  readonly statements: readonly NodeStatement[]
  readonly order: readonly OrderTerm[]
  readonly offset: number
  readonly limit: number | undefined
}

/**
 * Plans a find over shards. Where the rows are not entities one to one (joins, relations), the statements give primary
 * keys in the order of the page, and the entities are loaded by them.
 */
export function planScatter(
  access: ShardAccess,
  binding: EntityBinding,
  shards: readonly Shard[],
  options: FindOptions,
): ScatterPlan {
  const facts = [...new Set(shards.map((shard) => shard.node))].map((node) => access.runtime.pool(node).facts)
  const { skip, take, isPaged } = pageOf(access, binding, shards, options)
  const offset = isPaged ? (skip ?? 0) : 0
  const limit = isPaged ? take : undefined
  let order: readonly OrderTerm[] = []
  const build = (one: FindOptions) => {
    const builder = newBuilder(access, binding, shards, one)
    if (builder.needsReload) selectKeysOnly(builder, binding)
    order = addHiddenOrder(builder, { facts, total: isPaged })
    builder.addSelect(armTag, '__arm')
    builder.skip(undefined).take(undefined).offset(undefined)
    builder.limit(limit === undefined ? undefined : offset + limit)
    return builder
  }
  const builder = build(options)
  const statements = buildNodeStatements(
    armsOf(binding, shards, options, access, (one) => build(one).statement(), builder.statement()),
    {
      order: order.map((term) => term.node),
      limit: limit === undefined ? undefined : offset + limit,
      sharedParameters: sharesParameters(access, binding, options),
      maxArms,
    },
  )
  return { builder, statements, order, offset, limit }
}

/** Runs a planned scatter: the rows of the page, in order. */
export async function runScatter(
  access: ShardAccess,
  binding: EntityBinding,
  plan: ScatterPlan,
): Promise<readonly Row[]> {
  const sources = await access.query(plan.statements)
  const end = plan.limit === undefined ? undefined : plan.offset + plan.limit
  if (plan.order.length === 0) {
    const rows =
      sources.length === 1 ? (sources[0] ?? []) : sources.flat().sort((a, b) => Number(a['__arm']) - Number(b['__arm']))
    return plan.offset === 0 && end === undefined ? rows : rows.slice(plan.offset, end)
  }
  return mergeInOrder(sources, plan.order, plan, async (text, parameters) => {
    const { node = '', shards = [] } = plan.statements[0] ?? {}
    const [rows = []] = await access.query([{ node, shards, text, parameters }])
    return rows
  }).catch((error: unknown) => {
    throw error instanceof TypeError
      ? new TypeError(`${binding.entity.name}: ${error.message}`, { cause: error })
      : error
  })
}

/** Statements for each shard, of one kind that TypeORM makes (count, exists, an aggregate). */
export async function planArms(
  access: ShardAccess,
  binding: EntityBinding,
  { shards, options, limit }: { shards: readonly Shard[]; options: FindOptions; limit?: number },
  make: (builder: ArmQueryBuilder<ObjectLiteral>) => Promise<TemplateStatement> | TemplateStatement,
): Promise<readonly NodeStatement[]> {
  const narrow = narrowWhere(binding, options.where, (target) => access.runtime.bindingOf(target))
  const arms: ScatterArm[] = []
  const whole = narrow ? undefined : await make(newBuilder(access, binding, shards, options))
  for (const shard of shards) {
    const statement =
      whole ?? (await make(newBuilder(access, binding, shards, { ...options, where: narrow?.(shard.index) as never })))
    arms.push({ shard, ...statement })
  }
  return buildNodeStatements(arms, {
    order: [],
    limit,
    sharedParameters: sharesParameters(access, binding, options),
    maxArms,
  })
}

function newBuilder(
  access: ShardAccess,
  binding: EntityBinding,
  shards: readonly Shard[],
  options: FindOptions,
): ArmQueryBuilder<ObjectLiteral> {
  const [first] = shards
  if (!first) throw new RangeError('A scatter has at least one shard.')
  return ArmQueryBuilder.find<ObjectLiteral>(access.runtime.handle(first).dataSource, binding.metadata, options)
}

/** TypeORM takes no page where `take` and `skip` are 0 in a joined find; otherwise LIMIT 0 is a page of nothing. */
function pageOf(access: ShardAccess, binding: EntityBinding, shards: readonly Shard[], options: FindOptions) {
  const { skip, take } = options
  const builder = newBuilder(access, binding, shards, options)
  const isPaged = builder.isJoined ? Boolean(skip) || Boolean(take) : skip !== undefined || take !== undefined
  return {
    skip: builder.expressionMap.skip,
    take: builder.isJoined && !take ? undefined : builder.expressionMap.take,
    isPaged,
  }
}

function selectKeysOnly(builder: ArmQueryBuilder<ObjectLiteral>, { metadata }: EntityBinding): void {
  builder.select(metadata.primaryColumns.map((column) => `${builder.alias}.${column.propertyPath}`))
  builder.distinct(builder.isJoined)
}

function armsOf(
  binding: EntityBinding,
  shards: readonly Shard[],
  options: FindOptions,
  access: ShardAccess,
  make: (options: FindOptions) => TemplateStatement,
  whole: TemplateStatement,
): readonly ScatterArm[] {
  const narrow = narrowWhere(binding, options.where, (target) => access.runtime.bindingOf(target))
  return shards.map((shard) => ({
    shard,
    ...(narrow ? make({ ...options, where: narrow(shard.index) as never }) : whole),
  }))
}

/** One parameter list serves all arms, unless each shard has its own types for the parameters or its own values. */
function sharesParameters(access: ShardAccess, binding: EntityBinding, options: FindOptions): boolean {
  if (narrowWhere(binding, options.where, (target) => access.runtime.bindingOf(target))) return false
  const group = [binding.metadata, ...binding.metadata.relations.map((relation) => relation.inverseEntityMetadata)]
  return !group.some(hasPerShardTypes)
}
