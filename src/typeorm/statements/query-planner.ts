import type { Node, SelectStmt } from '@pgsql/types'
import { LRUCache } from 'lru-cache'
import { type Kept, SharedQuestions } from '../../collections/shared-questions'
import { ShardedError } from '../../errors/sharded-error'
import { executeGather } from '../../execution/execute-gather'
import { executeRead } from '../../execution/execute-read'
import type { ShardedEntity } from '../../model/sharded-entity'
import { bindShardNames } from '../../planning/bind-shard-names'
import { explainPlan } from '../../planning/explain-plan'
import { draftFinish, type FinishTemplate, finishTemplate, refuseFinishedLock } from '../../planning/finish-template'
import { type GatherPlan, manyGathered } from '../../planning/gather-plan'
import { type ReadPlan, route } from '../../planning/read-plan'
import { draftRows, type RowsTemplate, rowsTemplate } from '../../planning/rows-template'
import { gathersFewer, type SentRows, sendsFew } from '../../planning/sent-rows'
import { type Answer, type ShippedRows, withShippedRows } from '../../planning/shipped-rows'
import { splitLists } from '../../planning/split-lists'
import { hasSuspiciousOrder } from '../../planning/statement-mistake'
import { type Template, templateOf } from '../../planning/statement-template'
import { columnsOf, outputNames, textsOf } from '../../planning/text-query'
import type { ValueType } from '../../query/sort-form'
import type { GatherAnalysis } from '../../routing/gather-analysis'
import { entityOf } from '../../routing/route-cluster'
import { integerConstant, selectNode, targetNode } from '../../sql/nodes'
import { mayChangeSession } from '../../sql/session-text'
import { selectOf } from '../../sql/statement-parts'
import type { Shard } from '../../topology/shard'
import type { ShardRuntime } from '../runners/shard-runtime'
import { broadcastRun } from './broadcast'
import type { ColumnTypes } from './column-types'
import { gatherHost } from './gather-host'
import { type PlannedGather, planGather } from './plan-gather'
import { type PlannedInputs, planInputs } from './plan-inputs'
import { QueryParts } from './query-parts'
import { passesOver, refuseLockedPage } from './refuse-locks'
import { armPageOf, finishPlan, rowsPlan, statementPage, writtenPage } from './statement-page'
import type { StatementPlaces } from './statement-places'
import type { StatementReader } from './statement-reader'
import {
  localisedFor,
  pick,
  problemOf,
  type QueryRun,
  refusalOf,
  refuseProblems,
  type ShardsRun,
  type StatementContext,
} from './statement-run'
import { TextPlans } from './text-plans'

type QueryTemplate = RowsTemplate | FinishTemplate

type Planned =
  /** The plan gives the rows of the answer, and the columns what they are called. */
  { readonly plan: ReadPlan; readonly onShards: ShardsRun; readonly columns: Answer['columns'] } | Unplanned

interface Unplanned {
  readonly plan: undefined
  readonly run: () => Promise<Answer>
  /** What runs, where it is a plan all the same. */
  readonly gather?: GatherPlan
  /** The query as it runs on the shards of one group, to which the rows of other tables are sent. */
  readonly broadcast?: QueryRun
}

interface GatheredQuery extends Unplanned {
  readonly gather: GatherPlan
}

/** What a query sends to its shards. */
interface Sent extends SentRows {
  /** What is read of unsharded tables. */
  readonly homes: PlannedInputs | undefined
}

/** A query as it runs on the shards of one group, and the tables whose rows they are sent. */
interface Broadcast {
  readonly run: QueryRun
  readonly homes: PlannedInputs
}

/** The plan of a text that says the same each time. */
interface WholePlan {
  readonly plan: ReadPlan
  /** Of `StatementReader`, when the plan was made. */
  readonly version: number
  readonly entity: ShardedEntity | undefined
  /** How many shards it reaches. */
  readonly width: number
}

/** What a run of a query says beside its text. */
export type AgainContext = Pick<StatementContext, 'access' | 'isExplicit' | 'pinned' | 'own' | 'moves'>

/** True where all shards of the tables are meant. */
const isOfAll = ({ pinned, own, moves }: AgainContext): boolean => !pinned && !own && !moves

/** True for a query of which nothing is asked before it runs, each time, and that says nothing of its session. */
function saysTheSame({ parsed, statement, byPlace, carried, sequence, values, shipped }: ShardsRun): boolean {
  const select = selectOf(statement)
  const isFixed = (node: Node | undefined): boolean => node === undefined || 'A_Const' in node
  return (
    values.length === 0 &&
    shipped.length === 0 &&
    byPlace.length === 0 &&
    carried === undefined &&
    sequence.anywhere === undefined &&
    isFixed(select.limitCount) &&
    isFixed(select.limitOffset) &&
    !passesOver(select) &&
    !mayChangeSession(parsed.text)
  )
}

/** Letters of those plans, at most. */
const maxWholeLetters = 4_000_000

const lettersOf = (plan: ReadPlan): number =>
  explainPlan(plan).statements.reduce((sum, { text }) => sum + text.length, 0)

/** Refusals to run a query on its shards: a gather does not need what they miss. */
const notLocal: ReadonlySet<string> = new Set(['JOIN_NOT_LOCAL', 'STATEMENT_UNSUPPORTED', 'ORDER_UNSUPPORTED'])

const isNotLocal = (error: unknown): error is ShardedError => error instanceof ShardedError && notLocal.has(error.code)

const limitOption = 'LIMIT_OPTION_COUNT' as const

interface PlannerParts {
  readonly runtime: ShardRuntime
  readonly reader: StatementReader
  readonly places: StatementPlaces
  readonly types: ColumnTypes
}

/** Plans queries over shards. */
export class QueryPlanner {
  private readonly plans = new TextPlans<SharedQuestions<QueryTemplate>>()
  private readonly wholePlans = new LRUCache<string, WholePlan>({
    maxSize: maxWholeLetters,
    sizeCalculation: ({ plan }, text) => text.length + lettersOf(plan),
  })
  readonly parts: QueryParts

  constructor(private readonly given: PlannerParts) {
    this.parts = new QueryParts({ ...given, planned: (run) => this.planned(run) })
  }

  async select(run: QueryRun): Promise<Answer> {
    const planned = await this.planned(run)
    if (!planned.plan) return planned.run()
    if (!run.asText && saysTheSame(planned.onShards)) this.rememberPlan(planned.onShards, planned.plan)
    return { rows: await executeRead(planned.plan, run.context.access), columns: planned.columns }
  }

  /** Remembers the plan of a query in which nothing is said anew each time. */
  private rememberPlan({ parsed, analysis, context, shards }: ShardsRun, plan: ReadPlan): void {
    const [cluster, another] = analysis.clusters
    if (!cluster || another || !isOfAll(context) || context.lookedUp) return
    const { version } = this.given.reader
    this.wholePlans.set(parsed.text, { plan, version, entity: entityOf(cluster), width: shards.length })
  }

  /**
   * The plan of a query that has run before, and whose plan no parameter, time or lookup changes: it need not be read again.
   *
   * @throws ShardedError SCATTER_FORBIDDEN, SCATTER_TOO_WIDE
   */
  planAgain(text: string, context: AgainContext): ReadPlan | undefined {
    const known = this.wholePlans.get(text)
    if (known?.version !== this.given.reader.version || !isOfAll(context) || this.given.runtime.lookups.anyReady())
      return undefined
    this.given.places.askPolicy(known.entity, context, { width: known.width, writes: false })
    return known.plan
  }

  /**
   * A query with its plan, ready to run; without a plan where no shard has a part in it but for its subqueries. One that is not
   * local is gathered, or the rows of all tables but those of one group are sent to the shards of that group; so is one that would
   * send more rows to its shards.
   */
  async planned(run: QueryRun): Promise<Planned> {
    try {
      const sent = await this.sent(run)
      const gather = sent && (await this.cheaperGather(run, sent))
      return gather ?? (await this.plannedOnShards(run, sent?.homes))
    } catch (error) {
      if (!isNotLocal(error)) throw error
      return this.plannedApart(run, this.gatherOf(run, error))
    }
  }

  /** The gather of a query that sends rows to its shards, where it is answered sooner so. */
  async insteadOfSending(run: QueryRun): Promise<GatherPlan | undefined> {
    const sent = await this.sent(run)
    return sent && (await this.cheaperGather(run, sent))?.gather
  }

  /** The rows that a query sends to its shards; undefined where it sends none. */
  private async sent(run: QueryRun): Promise<Sent | undefined> {
    const { analysis, statement } = run
    const { main, detached } = analysis
    const tables = detached.flatMap((part) => (part.kind === 'table' ? [part.carried] : []))
    const hasHomes = main !== undefined && analysis.homeTables.length > 0
    if ((tables.length === 0 && !hasHomes) || selectOf(statement).larg || problemOf(analysis)) return undefined
    const gathered = this.given.reader.gathered(run)
    const read = new Set(tables.map(({ use }) => use.rangeVar))
    const wanted = { gathered: { tables, links: [] }, read, helping: new Set<never>(), isCosted: true }
    const carried = await planInputs(run, wanted, this.parts.inputPlanner)
    const homes = hasHomes ? await this.parts.homeInputs(run, true) : undefined
    const inputs = [...carried.inputs, ...(homes?.inputs ?? [])]
    const asked = inputs.filter(({ places }) => places.some(({ use }) => gathered.askedByRow.has(use.rangeVar)))
    return {
      rows: carried.rows + (homes?.rows ?? 0),
      nodes: main ? this.nodesOf([...main.uses][0]?.table.group ?? '') : 1,
      askedByRow: Math.max(0, ...asked.map(({ rows }) => rows)),
      isOnShards: main !== undefined,
      homes,
    }
  }

  private async cheaperGather(run: QueryRun, sent: Sent): Promise<GatheredQuery | undefined> {
    const gathered = this.given.reader.gathered(run)
    if (gathered.problem || sendsFew(sent)) return undefined
    try {
      const planned = await planGather(run, { gathered, isCosted: true }, this.gathering)
      return gathersFewer(planned, sent) ? this.gather(run, planned) : undefined
    } catch (error) {
      if (!isNotLocal(error)) throw error
      return undefined
    }
  }

  /** A query that is not local: gathered, or run on the shards of one group with the rows of the other tables. */
  private async plannedApart(run: QueryRun, gathered: GatherAnalysis): Promise<Planned> {
    const groups = new Set(run.analysis.uses.map(({ table }) => table.group))
    const broadcasts: (Broadcast & { readonly rows: number })[] = []
    for (const group of groups) {
      const own = broadcastRun(run, { group, gathered }, this.given.reader)
      if (!own) continue
      const homes = await this.parts.homeInputs(own, true)
      broadcasts.push({ run: own, homes, rows: homes.rows * this.nodesOf(group) })
    }
    const planned = await planGather(run, { gathered, isCosted: broadcasts.length > 0 }, this.gathering)
    const [best] = broadcasts.sort((a, b) => a.rows - b.rows)
    const gather = this.gather(run, planned)
    // Few rows are copied as fast as they are sent, and from fewer shards.
    if (!best || planned.rows <= Math.max(manyGathered, best.rows)) return gather
    return { plan: undefined, broadcast: best.run, run: () => this.broadcast(best, gather) }
  }

  /** Runs a query on the shards of one group; by a gather where something else in it does not run shard by shard. */
  private async broadcast({ run, homes }: Broadcast, gather: Unplanned): Promise<Answer> {
    const planned = await this.plannedOnShards(run, homes).catch((error: unknown) => {
      if (isNotLocal(error)) return gather
      throw error
    })
    if (!planned.plan) return planned.run()
    return { rows: await executeRead(planned.plan, run.context.access), columns: planned.columns }
  }

  private gather({ context }: QueryRun, { gather, columns }: PlannedGather): GatheredQuery {
    const host = gatherHost(context)
    return { plan: undefined, gather, run: async () => ({ rows: await executeGather(gather, host), columns }) }
  }

  private get gathering(): Parameters<typeof planGather>[2] {
    return { ...this.given, ...this.parts.inputPlanner }
  }

  /** How many nodes have shards of a group. */
  private nodesOf(group: string): number {
    const shards = this.given.runtime.map.groups.get(group) ?? []
    return new Set(shards.map(({ node }) => node)).size
  }

  /** @throws the refusal, or of a query that is merely not local what hinders a gather, where it cannot be gathered */
  private gatherOf(run: QueryRun, refusal: ShardedError): GatherAnalysis {
    const gathered = this.given.reader.gathered(run)
    if (!gathered.problem) return gathered
    throw refusal.code === 'JOIN_NOT_LOCAL' ? refusalOf(gathered.problem, run.analysis) : refusal
  }

  /** @param homes what is read of tables that the shards do not have, where it is planned */
  private async plannedOnShards(run: QueryRun, homes?: PlannedInputs): Promise<Planned> {
    const { analysis, statement, asText, context } = run
    const select = selectOf(statement)
    if (select.larg) {
      this.parts.refuseSides(select)
      return { plan: undefined, run: () => this.parts.setOperation(run, select) }
    }
    refuseProblems(analysis)
    const substitutes = await this.parts.substitute(run, homes)
    const { shipped } = substitutes
    if (!analysis.main) {
      const local = localisedFor(select, { analysis, group: undefined }, substitutes.replacements)
      const names = outputNames(local, analysis)
      const template = withShippedRows(templateOf({ SelectStmt: local }), shipped)
      // Where they are not at home, the query is gathered.
      this.parts.typesAt(template, analysis)
      return {
        plan: undefined,
        run: () =>
          this.parts.atHome(template, {
            names,
            values: substitutes.values,
            asText,
            context,
            typesOf: analysis,
            byPlace: run.byPlace,
          }),
      }
    }
    const [first, ...others] = this.given.places.allowedShards(analysis.main, run, false)
    if (!first) throw new RangeError('A statement has at least one shard.')
    const { values, valuesOn, replacements, split } = splitLists(analysis.main, { ...run, ...substitutes })
    const onShards: ShardsRun = { ...run, values, valuesOn, shipped, shards: [first, ...others] }
    const local = () => localisedFor(select, { analysis, group: first.group }, replacements)
    const make = () => this.plan(onShards, local(), shipped)
    // A plan holds the names of the first shard's types, and how the nodes asked sort.
    const nodes = [...new Set(onShards.shards.map(({ node }) => node))]
    const { reader } = this.given
    const dependsOn = [asText, first.name, nodes, split, reader.heldTables(run, first.group), reader.version]
    const asked = () => new SharedQuestions<QueryTemplate>(new Map<string, Kept<QueryTemplate>>())
    const plan = await (shipped.length > 0
      ? make()
      : this.plans.remembered(run.parsed, dependsOn, asked).ask('', context.access, make))
    // After the plan: what PostgreSQL itself refuses is its to tell.
    if (others.length > 0 && context.access.transaction && passesOver(select))
      refuseLockedPage(await statementPage(writtenPage(local()), onShards))
    return { onShards, ...(await this.readPlan(plan, onShards)) }
  }

  private async plan(run: ShardsRun, select: SelectStmt, shipped: readonly ShippedRows[]): Promise<QueryTemplate> {
    const { analysis, shards, values, context, asText } = run
    const on = { shard: shards[0], values, context }
    const tables = this.given.reader.heldTables(run, shards[0].group)
    const templateFor = (asked: SelectStmt) => withShippedRows(templateOf({ SelectStmt: asked }), shipped)
    const describe = (template: Template, width: number) => this.given.types.describe(template, width, on)
    if (analysis.isGroupedLocally && select.limitOption !== 'LIMIT_OPTION_WITH_TIES') {
      const draft = draftRows(select, analysis)
      // A mistake that the query made of it would hide is PostgreSQL's to tell.
      if (hasSuspiciousOrder(select)) await describe(templateFor(select), draft.outputs.length)
      const template = templateFor(draft.select)
      const types = await describe(template, draft.outputs.length + draft.sorts.length)
      return rowsTemplate(draft, template, { types, facts: await this.factsOf(shards, types), asText, tables })
    }
    const draft = draftFinish(select, analysis.scope)
    // A mistake in the query is PostgreSQL's to tell, also where the halves of it would hide it.
    await describe(templateFor(select), draft.outputs.length)
    refuseFinishedLock(select)
    const template = templateFor(draft.inner)
    const types = await describe(template, draft.width)
    return finishTemplate(draft, template, { types, rowsOfParts: shipped, tables })
  }

  private factsOf(shards: readonly Shard[], types: readonly ValueType[]) {
    const collations = types.flatMap(({ collation }) => (collation === undefined ? [] : [collation]))
    const nodes = [...new Set(shards.map((shard) => shard.node))]
    return Promise.all(nodes.map((node) => this.given.runtime.pool(node).sortFactsWith(collations)))
  }

  /** The plan of a query with the values of one run, and what its columns are called. */
  private async readPlan(
    template: QueryTemplate,
    run: ShardsRun,
  ): Promise<{ readonly plan: ReadPlan; readonly columns: Answer['columns'] }> {
    const page = await statementPage(template.kind === 'rows' ? template : armPageOf(template), run)
    if (!page) return { plan: this.refusedPage(run), columns: [] }
    if (template.kind === 'rows') return { plan: rowsPlan(template, run, page), columns: template.outputs }
    const { final, outputs, firstArray } = template
    if (!run.asText) return { plan: finishPlan(template, run, { page, text: final.text }), columns: [] }
    const none = final.parameters.map((number) => (number < firstArray ? run.values[number - 1] : []))
    const typed: Template = { text: final.text, parameters: none.map((_, index) => index + 1) }
    const on = { shard: run.shards[0], values: none, context: run.context }
    const types = await this.given.types.describe(typed, outputs.length, on)
    const text = textsOf(final.text, types)
    return { plan: finishPlan(template, run, { page, text }), columns: columnsOf(outputs, types) }
  }

  /** A page that PostgreSQL refuses before it reads a row: the first shard says what is wrong with it, whatever the rows. */
  private refusedPage({ statement, shards: [shard], parameters }: ShardsRun): ReadPlan {
    const { limitCount, limitOffset } = selectOf(statement)
    const page = { ...(limitCount && { limitCount }), ...(limitOffset && { limitOffset }), limitOption }
    const targetList = [targetNode(integerConstant(1), 'one')]
    const template = templateOf({ SelectStmt: selectNode({ targetList, ...page }) })
    const text = bindShardNames(template.text, shard)
    return route([{ node: shard.node, shards: [shard.name], text, parameters: pick(template.parameters, parameters) }])
  }
}
