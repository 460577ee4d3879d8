import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { type MergeHelp, mergeInOrder } from '../execution/merge-in-order'
import { mergeTiesHere } from '../execution/merge-ties-here'
import type { AskDatabase } from '../execution/rank-values'
import type { Row } from '../merging/row'
import { armTag } from '../planning/bind-shard-names'
import { buildNodeStatements, type NodeStatement, type ScatterArm } from '../planning/scatter-statement'
import type { Shard } from '../topology/shard'
import { ArmQueryBuilder, type TemplateStatement } from './arm-query-builder'
import type { EntityBinding } from './entity-binding'
import { helpMerge } from './help-merge'
import { lateTies, rememberTies } from './late-ties'
import { narrowWhere } from './narrow-where'
import { addHiddenOrder, type OrderTerm } from './scatter-order'
import type { ShardAccess } from './shard-access'
import { hasPerShardTypes } from './sort-column'

/** The most arms in one statement; a node with more shards in the route gets several statements. */
export const maxArms = 128

export type FindOptions = FindManyOptions<ObjectLiteral>

/** What a scatter is about: the entity, its shards of the route, and how they are reached. */
export interface ScatterScope {
  readonly access: ShardAccess
  readonly binding: EntityBinding
  readonly shards: readonly Shard[]
}

/** A find over several shards, planned: what is sent, and how the answers are merged. */
export interface ScatterPlan {
  readonly builder: ArmQueryBuilder<ObjectLiteral>
  readonly statements: readonly NodeStatement[]
  readonly order: readonly OrderTerm[]
  readonly isPaged: boolean
  readonly offset: number
  readonly limit: number | undefined
  /** The same find with statements that sort ties themselves, where these leave them to the merge. */
  readonly sortingTies: (() => ScatterPlan) | undefined
}

/** Where in its order a find starts, for all its builders alike. */
export interface Placement {
  /** Orders the builder, adds the condition of the start, and drops joins that are not needed to find it. */
  readonly place: (builder: ArmQueryBuilder<ObjectLiteral>) => void
  /** Adds hidden columns, after the columns of the rows are known. */
  readonly select: (builder: ArmQueryBuilder<ObjectLiteral>) => void
}

/**
 * Plans a find over shards. Where the rows are not entities one to one (joins, relations), the statements give primary
 * keys in the order of the page, and the entities are loaded by them.
 */
export function planScatter(
  scope: ScatterScope,
  options: FindOptions,
  { ties, placement }: { readonly ties?: 'sorted'; readonly placement?: Placement } = {},
): ScatterPlan {
  const { access, binding, shards } = scope
  const facts = nodesOf(scope).map((node) => access.runtime.pool(node).sortFacts)
  const builder = newBuilder(scope, options)
  const page = pageOf(builder)
  // A placement makes its order total itself.
  const late = ties === 'sorted' || placement ? undefined : lateTies(binding, builder, page)
  const limit = late !== undefined && page.end !== undefined ? page.end + 1 : page.end
  const prepare = (one: ArmQueryBuilder<ObjectLiteral>): readonly OrderTerm[] => {
    const { needsReload } = one
    placement?.place(one)
    if (needsReload) selectKeysOnly(one, binding)
    const order = addHiddenOrder(one, { facts, ties: late !== undefined ? 'late' : page.isPaged ? 'sorted' : 'any' })
    placement?.select(one)
    one.addSelect(armTag, '__arm').skip(undefined).take(undefined).limit(limit)
    return order
  }
  const order = prepare(builder)
  const sortingTies = () => {
    if (late !== undefined) rememberTies(binding, late)
    return planScatter(scope, options, { ties: 'sorted' })
  }
  // Without a tiebreak nothing is left to settle; ranks would be asked for to find the ties.
  const hasTiebreak = order.some((term) => term.isTiebreak) && order.every(({ merge }) => merge.kind !== 'ranked')
  if (late !== undefined && !hasTiebreak) return sortingTies()
  const narrow = narrowing(scope, options)
  const narrowed = (shard: Shard): TemplateStatement => {
    const own = newBuilder(scope, { ...options, where: narrow?.(shard.index) as never })
    prepare(own)
    return own.statement()
  }
  const whole = narrow ? undefined : builder.statement()
  const statements = buildNodeStatements(
    shards.map((shard): ScatterArm => ({ shard, ...(whole ?? narrowed(shard)) })),
    {
      order: order.filter((term) => late === undefined || !term.isTiebreak).map((term) => term.node),
      limit,
      sharedParameters: sharesParameters(binding, whole),
      maxArms,
    },
  )
  return { builder, statements, order, ...page, sortingTies: late === undefined ? undefined : sortingTies }
}

/** Runs a planned scatter: the rows of the page, in order. */
export async function runScatter(scope: ScatterScope, plan: ScatterPlan): Promise<readonly Row[]> {
  const { access } = scope
  const sources = await access.query(plan.statements)
  const end = plan.limit === undefined ? undefined : plan.offset + plan.limit
  if (plan.order.length === 0) {
    // Without an order, the shards' rows follow each other; a statement's rows already do.
    const [only = [], another] = sources
    const rows = another ? sources.flat().sort((a, b) => Number(a['__arm']) - Number(b['__arm'])) : only
    return plan.offset === 0 && end === undefined ? rows : rows.slice(plan.offset, end)
  }
  const { sortingTies, limit } = plan
  if (!sortingTies || limit === undefined) return mergeInOrder(sources, plan.order, plan, mergeHelp(scope))
  return mergeTiesHere(sources, plan.order, { offset: plan.offset, limit }) ?? runScatter(scope, sortingTies())
}

/** What a merge of the scope's rows may ask for. */
export function mergeHelp(scope: ScatterScope): MergeHelp<OrderTerm> {
  const { access, shards } = scope
  const [shard] = shards
  if (!shard) throw new RangeError('A scatter has at least one shard.')
  const ask: AskDatabase = async (text, parameters) => {
    const [rows = []] = await access.query([{ node: shard.node, shards: [shard.name], text, parameters }])
    return rows
  }
  const factsWith = (collations: readonly string[]) =>
    Promise.all(nodesOf(scope).map((node) => access.runtime.pool(node).sortFactsWith(collations)))
  return helpMerge({ ask, factsWith, shard })
}

const nodesOf = ({ shards }: ScatterScope): readonly string[] => [...new Set(shards.map((shard) => shard.node))]

/** Statements for each shard, of one kind that TypeORM makes (count, exists, an aggregate). */
export async function planArms(
  scope: ScatterScope,
  { options, limit }: { options: FindOptions; limit?: number },
  make: (builder: ArmQueryBuilder<ObjectLiteral>) => Promise<TemplateStatement> | TemplateStatement,
): Promise<readonly NodeStatement[]> {
  const narrow = narrowing(scope, options)
  const whole = narrow ? undefined : await make(newBuilder(scope, options))
  const arms: ScatterArm[] = []
  for (const shard of scope.shards) {
    const statement = whole ?? (await make(newBuilder(scope, { ...options, where: narrow?.(shard.index) as never })))
    arms.push({ shard, ...statement })
  }
  return buildNodeStatements(arms, {
    order: [],
    limit,
    sharedParameters: sharesParameters(scope.binding, whole),
    maxArms,
  })
}

/** A builder with the find options in it, from the data source of the first shard. */
export function newBuilder(
  { access, binding, shards }: ScatterScope,
  options: FindOptions,
): ArmQueryBuilder<ObjectLiteral> {
  const [first] = shards
  if (!first) throw new RangeError('A scatter has at least one shard.')
  return ArmQueryBuilder.find<ObjectLiteral>(access.runtime.handle(first).dataSource, binding.metadata, options)
}

const narrowing = ({ access, binding }: ScatterScope, { where }: FindOptions) =>
  narrowWhere(binding, where, (target) => access.runtime.bindingOf(target))

/** TypeORM takes no page where `take` and `skip` are 0 in a joined find; otherwise LIMIT 0 is a page of nothing. */
function pageOf(builder: ArmQueryBuilder<ObjectLiteral>) {
  const { skip, take } = builder.expressionMap
  const isPaged = builder.isJoined ? Boolean(skip) || Boolean(take) : skip !== undefined || take !== undefined
  const offset = isPaged ? (skip ?? 0) : 0
  const limit = isPaged ? take : undefined
  return { isPaged, offset, limit, end: limit === undefined ? undefined : offset + limit }
}

/** Leaves the primary keys of what is selected, each once. */
export function selectKeysOnly(
  builder: ArmQueryBuilder<ObjectLiteral>,
  { metadata }: Pick<EntityBinding, 'metadata'>,
): void {
  builder.select(metadata.primaryColumns.map((column) => `${builder.alias}.${column.propertyPath}`))
  builder.distinct(builder.isMultiplied)
}

/** One parameter list serves all arms, unless they have values of their own, or each shard its own types for them. */
function sharesParameters({ metadata }: EntityBinding, whole: TemplateStatement | undefined): boolean {
  if (!whole) return false
  if (whole.parameters.length === 0) return true
  return ![metadata, ...metadata.relations.map((relation) => relation.inverseEntityMetadata)].some(hasPerShardTypes)
}
