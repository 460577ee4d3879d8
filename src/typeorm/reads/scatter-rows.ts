import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { type MergeHelp, mergeInOrder } from '../../execution/merge-in-order'
import { mergeOpen } from '../../execution/merge-open'
import type { AskDatabase } from '../../execution/rank-values'
import type { Row } from '../../merging/row'
import { armTag } from '../../planning/bind-shard-names'
import type { NodeSortFacts } from '../../planning/node-sort-facts'
import {
  buildNodeStatements,
  type NodeStatement,
  type ScatterArm,
  skipsByItself,
} from '../../planning/scatter-statement'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { hasPerShardTypes } from '../binding/sort-column'
import { ArmQueryBuilder, type TemplateStatement } from '../find/arm-query-builder'
import { narrowWhere } from '../find/narrow-where'
import type { ShardAccess } from '../runners/shard-access'
import { type Page, pageOf } from './builder-page'
import { helpMerge } from './help-merge'
import { addKeyTexts, selectKeysOnly } from './key-columns'
import {
  deepestUnsorted,
  glanceRows,
  glanceServed,
  isGivenUp,
  type MergeTactic,
  tacticFailed,
  tacticFor,
} from './merge-tactic'
import { addHiddenOrder, canGlance, type OrderTerm } from './scatter-order'

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
  readonly page: Page
  /** Rows of the merged answers that are before the page; the others are left out by the database. */
  readonly skip: number
  /** What was planned. */
  readonly options: FindOptions
  /** What the statements leave to the merge; undefined where they sort by all terms themselves. */
  readonly open: OpenOrder | undefined
}

/** An order of which ties are left to the merge. */
export interface OpenOrder {
  readonly name: string
  readonly tactic: Exclude<MergeTactic, 'sorted'>
  /** Rows that each statement was asked for. */
  readonly asked: number
}

export interface PlanSettings {
  /** A builder of the find options that was made already. */
  readonly builder?: ArmQueryBuilder<ObjectLiteral>
  /** Asks for no more than the keys of the rows, by which `loadPage` fetches them. */
  readonly keysOnly?: boolean
  /** Instead of the one that experience tells. */
  readonly tactic?: MergeTactic
  readonly placement?: Placement
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
export function planScatter(scope: ScatterScope, options: FindOptions, given: PlanSettings = {}): ScatterPlan {
  const { binding, shards } = scope
  const { builder = newBuilder(scope, options), keysOnly = false, placement } = given
  const page = pageOf(builder)
  const facts = factsOf(scope)
  // What a node skips by itself it has to have sorted in whole; a placement makes its order total itself.
  const sorts = keysOnly || placement || (page.offset > 0 && nodesOf(scope).length === 1)
  const open = sorts ? undefined : openOrder(scope, builder, page, given.tactic)
  const limit = open?.asked ?? page.end
  const prepare = (one: ArmQueryBuilder<ObjectLiteral>): readonly OrderTerm[] => {
    const { needsReload } = one
    placement?.place(one)
    if (needsReload || keysOnly) selectKeysOnly(one, binding)
    if (keysOnly) addKeyTexts(one, binding)
    const order = addHiddenOrder(one, { facts, ties: open?.tactic ?? (page.isPaged ? 'sorted' : 'any') })
    placement?.select(one)
    one.addSelect(armTag, '__arm').skip(undefined).take(undefined).limit(limit)
    return order
  }
  const order = prepare(builder)
  // Without a tiebreak nothing is left to settle; ranks would be asked for to find the ties.
  const hasTiebreak = order.some((term) => term.isTiebreak) && order.every(({ merge }) => merge.kind !== 'ranked')
  if (open?.tactic === 'late' && !hasTiebreak) return planAfter(scope, options, open)
  const templates = shardTemplates(
    scope,
    options,
    (one) => {
      if (one !== builder) prepare(one)
      return one.statement()
    },
    builder,
  )
  const statements = buildNodeStatements(
    shards.map((shard): ScatterArm => ({ shard, ...templates.of(shard) })),
    {
      order: order.filter((term) => !open || !term.isTiebreak).map((term) => term.node),
      limit,
      offset: open ? 0 : page.offset,
      sharedParameters: templates.sharedParameters,
      maxArms,
    },
  )
  const skip = !open && skipsByItself(statements) ? 0 : page.offset
  return { builder, statements, order, page, skip, options, open }
}

/** What of the order of a page is left to the merge. */
function openOrder(
  scope: ScatterScope,
  builder: ArmQueryBuilder<ObjectLiteral>,
  { end }: Page,
  given: MergeTactic | undefined,
): OpenOrder | undefined {
  const { allOrderBys, selectDistinct } = builder.expressionMap
  if (end === undefined || end < 1 || end > deepestUnsorted) return undefined
  const name = JSON.stringify(allOrderBys)
  const tactic = given ?? tacticFor(scope.binding, name)
  if (tactic === 'sorted') return undefined
  const isSimple = !builder.needsReload && !selectDistinct && name !== '{}'
  return tactic === 'glance' && isSimple && canGlance(builder, factsOf(scope))
    ? { name, tactic: 'glance', asked: glanceRows(end, greatestShare(scope)) }
    : { name, tactic: 'late', asked: end + 1 }
}

/** Of the shards asked, on the node that has most of them. */
function greatestShare({ shards }: ScatterScope): number {
  const counts = new Map<string, number>()
  for (const { node } of shards) counts.set(node, (counts.get(node) ?? 0) + 1)
  return Math.max(...counts.values()) / shards.length
}

/** The same find by the tactic that follows one that did not serve. */
const planAfter = (scope: ScatterScope, options: FindOptions, { name, tactic }: OpenOrder): ScatterPlan =>
  planScatter(scope, options, { tactic: tacticFailed(scope.binding, name, tactic) })

/** True where experience has not shown since that the plan's tactic does not serve. */
export const isStillTried = ({ binding }: ScatterScope, { open }: ScatterPlan): boolean =>
  !open || !isGivenUp(binding, open.name, open.tactic)

/** Runs a planned scatter: the rows of the page, in order. */
export async function runScatter(scope: ScatterScope, plan: ScatterPlan): Promise<readonly Row[]> {
  const { statements, order, skip, page, options, open } = plan
  const sources = await scope.access.query(statements)
  if (open && page.limit !== undefined && order.length > 0) {
    const rows = mergeOpen(sources, order, { ...open, offset: skip, limit: page.limit })
    if (!rows) return runScatter(scope, planAfter(scope, options, open))
    if (open.tactic === 'glance') glanceServed(scope.binding, open.name)
    return rows
  }
  return mergeAnswers(scope, sources, { order, offset: skip, limit: page.limit })
}

/** The answers of statements as one, in order; without an order, shard after shard. */
export async function mergeAnswers(
  scope: ScatterScope,
  sources: readonly (readonly Row[])[],
  {
    order,
    offset,
    limit,
  }: {
    readonly order: readonly OrderTerm[]
    readonly offset: number
    readonly limit: number | undefined
  },
): Promise<readonly Row[]> {
  const end = limit === undefined ? undefined : offset + limit
  if (order.length === 0) {
    // A statement's rows already follow each other, shard by shard.
    const [only = [], another] = sources
    const rows = another ? sources.flat().sort((a, b) => Number(a['__arm']) - Number(b['__arm'])) : only
    return offset === 0 && end === undefined ? rows : rows.slice(offset, end)
  }
  return mergeInOrder(sources, order, { offset, limit }, mergeHelp(scope))
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
  const templates = shardTemplates(scope, options, make)
  const arms: ScatterArm[] = []
  for (const shard of scope.shards) arms.push({ shard, ...(await templates.of(shard)) })
  return buildNodeStatements(arms, { order: [], limit, sharedParameters: templates.sharedParameters, maxArms })
}

/** The statements of an operation, each made once: one that serves all shards, or one a shard. */
export interface ShardTemplates<T> {
  readonly of: (shard: Shard) => T
  readonly sharedParameters: boolean
}

/** @param whole a builder of the find options that was made already */
export function shardTemplates<T extends TemplateStatement | Promise<TemplateStatement>>(
  scope: ScatterScope,
  options: FindOptions,
  make: (builder: ArmQueryBuilder<ObjectLiteral>) => T,
  whole?: ArmQueryBuilder<ObjectLiteral>,
): ShardTemplates<T> {
  const narrow = narrowing(scope, options)
  if (!narrow) {
    const builder = whole ?? newBuilder(scope, options)
    const one = make(builder)
    return { of: () => one, sharedParameters: sharesParameters(scope.binding, builder) }
  }
  const made = new Map<Shard, T>()
  const of = (shard: Shard): T => {
    const own = made.get(shard) ?? make(newBuilder(scope, { ...options, where: narrow(shard.index) as never }))
    made.set(shard, own)
    return own
  }
  return { of, sharedParameters: false }
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

/** What says which rows a find is about, without their order and what is loaded with them. */
export const rowOptions = ({ where, withDeleted }: FindOptions): FindOptions => ({
  loadEagerRelations: false,
  ...(where !== undefined && { where }),
  ...(withDeleted !== undefined && { withDeleted }),
})

/** How the nodes that are asked sort. */
export const factsOf = (scope: ScatterScope): readonly NodeSortFacts[] =>
  nodesOf(scope).map((node) => scope.access.runtime.pool(node).sortFacts)

/** The conditions that each shard gets of its own; undefined where one serves all. */
export const narrowing = ({ access, binding }: ScatterScope, { where }: FindOptions) =>
  narrowWhere(binding, where, (target) => access.runtime.bindingOf(target))

/** One parameter list serves all arms, unless each shard has its own types for them. */
function sharesParameters({ metadata }: EntityBinding, builder: ArmQueryBuilder<ObjectLiteral>): boolean {
  if (Object.keys(builder.getParameters()).length === 0) return true
  // The relations of the condition and of the order are joined, however far away; a column of SQL may name what is near.
  const joined = builder.expressionMap.aliases.flatMap((alias) => (alias.hasMetadata ? [alias.metadata] : []))
  const near = metadata.relations.map((relation) => relation.inverseEntityMetadata)
  return ![metadata, ...near, ...joined].some(hasPerShardTypes)
}
