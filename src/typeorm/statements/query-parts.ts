import type { RangeVar, SelectStmt } from '@pgsql/types'
import { unsupported } from '../../errors/sharded-error'
import { readInputs } from '../../execution/execute-gather'
import { executeRead } from '../../execution/execute-read'
import { rowBudgetOf } from '../../execution/operation'
import { bindShardNames, groupsOfTypes } from '../../planning/bind-shard-names'
import { detachedSelect, replacementOf, shippedSide, standFor } from '../../planning/detached-parts'
import { type ReadPlan, route } from '../../planning/read-plan'
import { expandedTargets, namesOfTargets } from '../../planning/rows-template'
import { isOfSides, withSharedCtes } from '../../planning/set-sides'
import {
  type Answer,
  type ShippedColumn,
  type ShippedRows,
  shipAnswer,
  withShippedRows,
} from '../../planning/shipped-rows'
import { localise, type Template, templateOf } from '../../planning/statement-template'
import { columnsOf, outputNames, textsOf, withBases } from '../../planning/text-query'
import type { Detached } from '../../routing/analysis/findings'
import type { CarriedTable } from '../../routing/carried-table'
import { withDecidedColumns } from '../../routing/gather-analysis'
import { isHomeTable } from '../../routing/home-table'
import { hasVolatile } from '../../routing/known-functions'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import { integerConstant } from '../../sql/nodes'
import { hasStar } from '../../sql/output-name'
import { leftmost, selectOf } from '../../sql/statement-parts'
import { someNode, type TreeObject, treeText } from '../../sql/tree'
import type { Shard } from '../../topology/shard'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ColumnTypes } from './column-types'
import { inputHost } from './gather-host'
import { tablesByPlace } from './held-columns'
import { type InputPlanner, type PlannedInputs, type PlannedSource, planInputs } from './plan-inputs'
import { refuseEarlyLocks } from './refuse-locks'
import { RowEstimates } from './row-estimates'
import type { StatementPlaces } from './statement-places'
import type { StatementReader } from './statement-reader'
import {
  askHome,
  askShard,
  namedUses,
  ofNoEntity,
  type Place,
  pick,
  type QueryRun,
  type Run,
  refusalOf,
  refuseFarSequence,
  type StatementContext,
  type Substitutes,
  sentTables,
  unknownTable,
  wholeText,
} from './statement-run'

const limitOption = 'LIMIT_OPTION_COUNT' as const

interface Given {
  readonly runtime: ShardRuntime
  readonly reader: StatementReader
  readonly places: StatementPlaces
  readonly types: ColumnTypes
  /** Plans a query over shards. */
  readonly planned: (run: QueryRun) => Promise<PlannedTexts>
}

/** A query that is planned; without a plan where what it reads first decides the rest. */
export type PlannedTexts =
  | { readonly plan: ReadPlan; readonly columns: Answer['columns'] }
  | { readonly plan: undefined; readonly run: () => Promise<Answer> }

const carriedOf = (part: Detached): readonly CarriedTable[] => (part.kind === 'table' ? [part.carried] : [])

/** Of a table that is carried, whether the statement means its columns by their places. */
const byPlaceOf = (part: Detached, { byPlace }: Run): readonly RangeVar[] | undefined =>
  part.kind === 'table' ? byPlace.filter((table) => table === part.node) : undefined

/** The parts of a statement that run by themselves: subqueries, sides of set operations, rows of unsharded tables. */
export class QueryParts {
  private readonly estimates = new RowEstimates()
  readonly inputPlanner: InputPlanner = {
    planTable: (select, run, carried) => this.planTable(select, run, carried),
    estimate: (source, { context }) => this.estimates.of(source, context),
  }

  constructor(private readonly given: Given) {}

  /** @throws ShardedError STATEMENT_UNSUPPORTED for a set operation whose sides do not run apart */
  refuseSides({ withClause }: SelectStmt): void {
    if (!hasVolatile(withClause, this.given.reader.functions)) return
    throw unsupported(
      'A WITH that calls a volatile function is read by both sides of a set operation, which run apart.',
    )
  }

  /** UNION, INTERSECT, EXCEPT: each side is read on its own, and the home node puts them together. */
  async setOperation(run: QueryRun, whole: SelectStmt): Promise<Answer> {
    const { parameters, context, asText } = run
    const shipped: ShippedRows[] = []
    const values = [...parameters]
    const sides: (readonly ShippedColumn[])[] = []
    const side = async (select: SelectStmt | undefined): Promise<SelectStmt> => {
      if (!select) throw new RangeError('A set operation has two sides.')
      if (isOfSides(select)) return { ...select, larg: await side(select.larg), rarg: await side(select.rarg) }
      const { rows, columns } = await this.asTexts(withSharedCtes(select, whole), run)
      sides.push(columns)
      const numbered = columns.map((column, index) => ({ ...column, name: `c${index}` }))
      return shippedSide(shipAnswer(shipped, values, { rows, columns: numbered }), select, columns)
    }
    const { withClause: _with, limitCount, limitOffset, ...rest } = whole
    const page = { ...(limitCount && { limitCount }), ...(limitOffset && { limitOffset }) }
    const asked = run.analysis.detached.filter(({ node }) => someNode(page, (object) => object === node))
    const replacements = await this.readDetached(asked, run, { shipped, values })
    const outer: SelectStmt = {
      ...rest,
      ...localise(page, [], replacements),
      larg: await side(whole.larg),
      rarg: await side(whole.rarg),
    }
    const answer = await this.atHome(withShippedRows(templateOf({ SelectStmt: outer }), shipped), {
      names: sides[0]?.map(({ name }) => name) ?? [],
      values,
      asText,
      context,
      typesOf: run.analysis,
      byPlace: [],
    })
    // An enum is found again by the column that it was on any side: all have one type.
    const baseAt = (index: number) => sides.map((one) => one[index]?.base).find((base) => base !== undefined)
    return { ...answer, columns: answer.columns.map((column, index) => ({ ...column, base: baseAt(index) })) }
  }

  /** The shard whose types a query without sharded tables needs, if it needs any. @throws ShardedError STATEMENT_UNSUPPORTED */
  typesAt({ text }: Template, { homeTables }: Pick<StatementAnalysis, 'homeTables'>): Shard | undefined {
    const groups = groupsOfTypes(text)
    return groups.size > 0 ? this.given.places.typesFor(groups, homeTables.length > 0) : undefined
  }

  /** Runs a query without sharded tables on the home node. */
  async atHome(
    template: Template,
    {
      names,
      values,
      asText,
      context,
      typesOf,
      byPlace,
    }: {
      readonly names: readonly string[]
      readonly values: readonly unknown[]
      readonly asText: boolean
      readonly context: StatementContext
      /** The tables whose shard it runs on instead, if it needs the types of one. */
      readonly typesOf: Pick<StatementAnalysis, 'homeTables'>
      readonly byPlace: readonly RangeVar[]
    },
  ): Promise<Answer> {
    const on = this.typesAt(template, typesOf)
    const parameters = pick(template.parameters, values)
    const ask = (text: string) =>
      on ? askShard(on, { text, parameters }, context) : askHome(text, parameters, context)
    if (!asText) return { rows: await ask(template.text), columns: [] }
    const types = await this.given.types.describe(template, names.length, { shard: on, values, context })
    const tables = this.given.reader.heldTables({ byPlace }, undefined)
    return { rows: await ask(textsOf(template.text, types, tables)), columns: columnsOf(names, types) }
  }

  /**
   * Runs what is detached, so that its rows can stand in its place.
   *
   * @param homes what is read of tables that the shards do not have, where it is planned
   */
  async substitute(run: Run, homes?: PlannedInputs): Promise<Substitutes> {
    const { analysis, statement, parameters } = run
    const shipped: ShippedRows[] = []
    const values = [...parameters]
    if (!('SelectStmt' in statement) && !run.context.access.transaction) refuseEarlyLocks(analysis)
    const replacements = await this.readDetached(analysis.detached, run, { shipped, values })
    const { inputs } = homes ?? (await this.homeInputs(run))
    const rows = await readInputs(
      inputs.map(({ input }) => input),
      inputHost(run.context),
    )
    for (const [index, { places, columns }] of inputs.entries())
      standFor(places, shipAnswer(shipped, values, { rows: rows[index] ?? [], columns }), replacements)
    const sent = [...inputs.flatMap(({ places }) => places), ...analysis.detached.flatMap(carriedOf)]
    // Rows that are sent have no primary key by which a query that groups by it would know their other columns.
    for (const grouping of sent.length > 0 ? this.given.reader.gathered(run).groupings : []) {
      const groupClause = withDecidedColumns(grouping, sent)
      const select = groupClause && { ...grouping.select, groupClause: [...groupClause] }
      if (select && !replacements.has(grouping.select))
        replacements.set(grouping.select, () => localise(select, namedUses(analysis), replacements))
    }
    return { shipped, values, replacements }
  }

  /**
   * What is read of tables whose rows are sent to where a statement runs.
   *
   * @throws ShardedError JOIN_NOT_LOCAL for a table of no entity
   */
  async homeInputs(run: Run, isCosted = false): Promise<PlannedInputs> {
    const gathered = this.given.reader.gathered(run)
    const unknown = unknownTable(run, this.given.reader.catalog)
    if (unknown) throw refusalOf(ofNoEntity(unknown), run.analysis)
    return planInputs(run, { gathered, read: sentTables(run), helping: new Set(), isCosted }, this.inputPlanner)
  }

  /**
   * Runs detached parts, those that say the same once: a term of GROUP BY is then still that of the output.
   *
   * @returns what stands in their places, over the rows that are noted in `shipped` and `values`
   */
  private async readDetached(
    parts: StatementAnalysis['detached'],
    run: Run,
    { shipped, values }: { readonly shipped: ShippedRows[]; readonly values: unknown[] },
  ): Promise<Map<unknown, (wrapper: TreeObject) => unknown>> {
    const replacements = new Map<unknown, (wrapper: TreeObject) => unknown>()
    const known = new Map<string, unknown>()
    for (const part of parts) {
      if (replacements.has(part.node)) continue
      const select = detachedSelect(part)
      const isShared = part.kind !== 'table' && !hasVolatile(select, this.given.reader.functions)
      const text = isShared ? `${part.kind} ${treeText(select)}` : undefined
      const replaced =
        (text !== undefined && known.get(text)) ||
        replacementOf(part, await this.asTexts(select, run, byPlaceOf(part, run)), (own) =>
          shipAnswer(shipped, values, own),
        )
      if (text !== undefined) known.set(text, replaced)
      replacements.set(part.node, () => replaced)
    }
    return replacements
  }

  /** Plans what is read of one table for a statement. */
  private async planTable(select: SelectStmt, run: Run, carried: CarriedTable): Promise<PlannedSource> {
    const byPlace = run.byPlace.filter((table) => table === carried.use.rangeVar)
    if (isHomeTable(carried)) return this.planHomeTable(select, run, { table: carried.use.table.name, byPlace })
    const planned = await this.planTexts(select, run, byPlace)
    if (!planned.plan) throw new RangeError('The rows of one table have a plan.')
    return { source: planned.plan, columns: planned.columns }
  }

  private async planHomeTable(
    select: SelectStmt,
    { parameters, context }: Run,
    { table, byPlace }: { readonly table: string; readonly byPlace: readonly RangeVar[] },
  ): Promise<PlannedSource> {
    const { types: known, reader, runtime } = this.given
    const rowBudget = rowBudgetOf(context.access.operation)
    // One more tells that there are too many. What no integer of SQL can count is no bound.
    const page = rowBudget < 2 ** 31 - 1 && { limitCount: integerConstant(rowBudget + 1), limitOption }
    const template = templateOf({ SelectStmt: { ...select, ...page } })
    const names = namesOfTargets(select.targetList ?? [])
    const types = await known.describe(template, names.length, { shard: undefined, values: parameters, context })
    const text = textsOf(template.text, types, reader.heldTables({ byPlace }, undefined))
    const values = pick(template.parameters, parameters)
    const source = Object.freeze({ kind: 'home' as const, node: runtime.map.home, table, text, parameters: values })
    return { source, columns: columnsOf(names, types) }
  }

  /** Runs a query for its rows as texts, with their names and types. */
  async asTexts(written: SelectStmt, run: Run, byPlace?: readonly RangeVar[]): Promise<Answer> {
    const planned = await this.planTexts(written, run, byPlace)
    if (!planned.plan) return planned.run()
    return { rows: await executeRead(planned.plan, run.context.access), columns: planned.columns }
  }

  /** Plans a query for its rows as texts `c0 …`. */
  async planTexts(
    written: SelectStmt,
    { parameters, context: given }: Run,
    byPlace: readonly RangeVar[] = tablesByPlace({ SelectStmt: written }),
  ): Promise<PlannedTexts> {
    const select = await this.withoutStar(written)
    const template = templateOf({ SelectStmt: select })
    const values = pick(template.parameters, parameters)
    const numbered = values.map((_, index) => index + 1)
    const understood = await this.given.reader.understand(template.text)
    if (!understood) {
      const { analysis } = await this.given.reader.analysed({ SelectStmt: select })
      const names = outputNames(leftmost(select), analysis)
      const asked = { names, values, asText: true, context: given, typesOf: analysis, byPlace }
      return { plan: undefined, run: () => this.atHome({ text: template.text, parameters: numbered }, asked) }
    }
    // Where a `*` was written out, the names stand for it.
    const run = await this.given.places.lookedUp({ ...understood, byPlace, parameters: values, context: given })
    const withNames = (columns: Answer['columns']) =>
      withBases(columns, leftmost(selectOf(run.statement)), run.analysis)
    const place = this.given.places.onePlace(run)
    const planned = place ? await this.textsAt(place, run) : await this.given.planned({ ...run, asText: true })
    if (planned.plan) return { plan: planned.plan, columns: withNames(planned.columns) }
    const { run: ask } = planned
    return {
      plan: undefined,
      run: async () => {
        const { rows, columns } = await ask()
        return { rows, columns: withNames(columns) }
      },
    }
  }

  /** The names that are noted of a `*` are those of the columns that are read, in their order. */
  private async withoutStar(written: SelectStmt): Promise<SelectStmt> {
    if (!hasStar(written)) return written
    const { statement, analysis } = await this.given.reader.analysed({ SelectStmt: written })
    const select = selectOf(statement)
    return { ...select, targetList: expandedTargets(select, analysis.scope) }
  }

  private async textsAt(place: Place, run: Run): Promise<PlannedTexts> {
    const { parameters, context } = run
    const { shard } = place
    refuseFarSequence(run.sequence.anywhere, [shard.node], this.given.runtime.map.home)
    const names = outputNames(leftmost(selectOf(run.statement)), run.analysis)
    const whole: Template = { text: wholeText(run, place), parameters: parameters.map((_, index) => index + 1) }
    const types = await this.given.types.describe(whole, names.length, { shard, values: parameters, context })
    const tables = this.given.reader.heldTables(run, shard.group)
    const text = bindShardNames(textsOf(whole.text, types, tables), shard)
    const plan = route([{ node: shard.node, shards: [shard.name], text, parameters }])
    return { plan, columns: columnsOf(names, types) }
  }
}
