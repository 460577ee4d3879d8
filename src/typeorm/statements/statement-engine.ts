import type { SelectStmt } from '@pgsql/types'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { unsupported } from '../../errors/sharded-error'
import { executeRead } from '../../execution/execute-read'
import { startOperation } from '../../execution/operation'
import type { Row } from '../../merging/row'
import { bindShardNames } from '../../planning/bind-shard-names'
import type { Explanation } from '../../planning/explain-plan'
import { refuseOwnNames } from '../../planning/own-names'
import type { ReadPlan } from '../../planning/read-plan'
import type { Answer } from '../../planning/shipped-rows'
import type { Template } from '../../planning/statement-template'
import { type CatalogProblem, catalogProblem, mayAskCatalog } from '../../routing/catalog-names'
import type { TableUse } from '../../routing/scope'
import type { TableCatalog } from '../../routing/table-catalog'
import { parseStatement } from '../../sql/parse-statement'
import { streamRead } from '../reads/stream-read'
import { readInTurn } from '../runners/read-cursors'
import { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import { executeStatement } from '../writes/execute-statement'
import { CarriedStatements } from './carried-statements'
import type { ClockDefaults } from './clock-defaults'
import { ColumnTypes } from './column-types'
import { type Asked, explainStatement, type Resolved, type StatementPlanner } from './explain-statement'
import { keyChangeOf } from './key-change'
import { moveStatement } from './move-statement'
import { type AgainContext, QueryPlanner } from './query-planner'
import { refuseHiddenColumns } from './refuse-hidden-columns'
import { refuseHiddenWrites } from './refuse-hidden-writes'
import { provenSteps, runWriteSteps } from './run-write-steps'
import { StatementPlaces } from './statement-places'
import { StatementReader } from './statement-reader'
import {
  type Place,
  type QueryRun,
  type Run,
  refuseFarSequence,
  rowsOf,
  type StatementContext,
  type Substitutes,
  wholeText,
} from './statement-run'
import { TextPlans } from './text-plans'
import { planAtPlace, writeStatement } from './write-statement'

/**
 * Runs SQL over shards as if they were one database: reads a statement with PostgreSQL's parser, finds its shards, sends it
 * there, and puts the answers together. TypeORM's query builders and users' raw SQL come this way.
 */
export class StatementEngine implements StatementPlanner {
  readonly reader: StatementReader
  readonly places: StatementPlaces
  readonly carried: CarriedStatements
  readonly templates = new TextPlans<Template>()
  private readonly queries: QueryPlanner

  constructor(
    readonly runtime: ShardRuntime,
    catalog: TableCatalog,
    clocks: ClockDefaults,
  ) {
    const types = new ColumnTypes()
    this.places = new StatementPlaces(runtime)
    this.reader = new StatementReader({ runtime, catalog, places: this.places, types })
    this.carried = new CarriedStatements(this.reader, this.places, clocks)
    this.queries = new QueryPlanner({ runtime, reader: this.reader, places: this.places, types })
  }

  /**
   * Runs one statement.
   *
   * @returns undefined where it names no sharded table: it is the home node's
   * @throws ShardedError JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED, ORDER_UNSUPPORTED, COLLATION_DIFFERS, KEY_NOT_OWNED,
   * SCATTER_FORBIDDEN, SCATTER_TOO_WIDE; for writes also KEY_MISSING, KEY_CHANGED, PARTIAL_COMMIT
   */
  async run(text: string, parameters: readonly unknown[], given: StatementContext): Promise<QueryResult | undefined> {
    return this.reader.asKnown(text, given, () => this.runAsKnown(text, parameters, given))
  }

  /**
   * Runs a query without parameters that has run before, outside of any query runner.
   *
   * @param otherwise runs it where its tables were altered
   * @returns undefined where its plan is not known, or something may change it
   */
  again<T>(text: string, otherwise: () => Promise<T>): Promise<T | Row[]> | undefined {
    const { limits: defaults } = this.runtime
    const given = { access: new ShardAccess(this.runtime, startOperation({ kind: 'statement', defaults })) }
    const plan = this.planAgain(text, given)
    let isFirst = true
    const run = async (): Promise<T | Row[]> => {
      if (!plan || !isFirst) return otherwise()
      isFirst = false
      return [...(await executeRead(plan, given.access))]
    }
    return plan && this.reader.asKnown(text, given, run)
  }

  private planAgain(text: string, given: AgainContext): ReadPlan | undefined {
    this.reader.forgetOld()
    return this.queries.planAgain(text, given)
  }

  private async runAsKnown(
    text: string,
    parameters: readonly unknown[],
    given: StatementContext,
  ): Promise<QueryResult | undefined> {
    const plan = parameters.length === 0 ? this.planAgain(text, given) : undefined
    if (plan) return selected(await executeRead(plan, given.access))
    return this.runResolved(await this.resolve({ text, parameters, context: given }))
  }

  private async runResolved(resolved: Resolved): Promise<QueryResult | undefined> {
    switch (resolved.kind) {
      case 'home':
        return undefined
      case 'move':
        return moveStatement(this, resolved.run, resolved.use)
      case 'place':
        return this.atPlace(resolved.place, resolved.run)
      case 'shards': {
        const steps = provenSteps(this, resolved.run)
        if (steps) return runWriteSteps(this, resolved.run, steps)
        if ('SelectStmt' in resolved.run.statement)
          return selected((await this.queries.select({ ...resolved.run, asText: false })).rows)
        return writeStatement(this, resolved.run)
      }
    }
  }

  /**
   * The rows of one query, as they are asked for: read from cursors on every node and merged in order, with a batch of each
   * statement in hand. A query that one node has to finish is run whole.
   *
   * @throws what `run` throws; nothing is asked before the first row
   */
  async *stream(
    text: string,
    parameters: readonly unknown[],
    given: StatementContext,
  ): AsyncGenerator<Row, void, undefined> {
    const { rows, first } = await this.reader.asKnown(text, given, async () => {
      const opened = this.streamAsKnown(text, parameters, given)
      return { rows: opened, first: await opened.next() }
    })
    try {
      if (first.done) return
      yield first.value
      yield* rows
    } catch (error) {
      this.reader.tellOutdated(error, text)
    } finally {
      await rows.return()
    }
  }

  private async *streamAsKnown(
    text: string,
    parameters: readonly unknown[],
    given: StatementContext,
  ): AsyncGenerator<Row, void, undefined> {
    const resolved = await this.resolve({ text, parameters, context: given })
    if (resolved.kind === 'place' && !(resolved.run.writes && this.isMaintained(resolved.place)))
      yield* this.streamPlace(resolved.place, resolved.run)
    else if (resolved.kind === 'shards' && 'SelectStmt' in resolved.run.statement && !resolved.run.writes)
      yield* this.streamShards(resolved.run)
    else yield* rowsOf((await this.runResolved(resolved)) ?? (await given.home(text, parameters)))
  }

  /** What running, streaming and explaining a statement all begin with: where it goes. @throws what `run` refuses */
  async resolve(asked: Asked): Promise<Resolved> {
    const { text, parameters, context } = asked
    this.reader.forgetOld()
    const statement = await this.reader.understand(text)
    this.refuseCatalog(text, parameters)
    if (!statement) return { kind: 'home' }
    refuseCatalogNames(statement.refused, text)
    refuseHiddenColumns(statement)
    const run = await this.places.lookedUp({ ...statement, parameters, context })
    const only = this.places.onePlace(run)
    const isScattered = !only && statement.parameterCount === parameters.length
    if (isScattered && !(await this.reader.hearsAll(run))) return this.resolve(asked)
    const carrying = await this.carried.carrying(run)
    if (carrying) return this.resolve({ ...carrying, context })
    const use = movedBy(run)
    if (use) return { kind: 'move', use, run }
    const place = only ?? this.places.placeOfMistake(run)
    if (place) return { kind: 'place', place, run }
    refuseOwnNames(text, statement.statement)
    return { kind: 'shards', run }
  }

  private async *streamPlace(place: Place, run: Run): AsyncGenerator<Row, void, undefined> {
    const { parameters, context } = run
    this.checkPlace(place, run)
    const { shard } = place
    const text = bindShardNames(wholeText(run, place), shard)
    yield* readInTurn(context.access, [{ node: shard.node, shards: [shard.name], text, parameters }])
  }

  private async *streamShards(run: Run): AsyncGenerator<Row, void, undefined> {
    const planned = await this.queries.planned({ ...run, asText: false })
    if (planned.plan) yield* streamRead(planned.plan, run.context.access)
    else yield* (await planned.run()).rows
  }

  /**
   * How a query would be answered: it is planned, and not run.
   *
   * @throws ShardedError NOT_SHARDED, STATEMENT_UNSUPPORTED, and what `run` refuses
   */
  explain(text: string, parameters: readonly unknown[], context: StatementContext): Promise<Explanation> {
    return this.reader.asKnown(text, context, () => explainStatement(this, { text, parameters, context }))
  }

  /** A parameter may be a name that the catalog is asked for. @throws ShardedError STATEMENT_UNSUPPORTED */
  private refuseCatalog(text: string, parameters: readonly unknown[]): void {
    if (parameters.length === 0 || !mayAskCatalog(text)) return
    const [statement] = parseStatement(text)?.statements ?? []
    if (statement) refuseCatalogNames(catalogProblem(statement, this.reader.catalog, parameters), text)
  }

  /** Sends a statement to the one place where all of it lies; a write keeps the lookups of its shards. */
  private async atPlace(place: Place, run: Run): Promise<QueryResult> {
    this.checkPlace(place, run)
    if (run.writes) return executeStatement({ plan: await planAtPlace(place, run), order: undefined }, run.context)
    return run.context.access.run(place.shard, { text: wholeText(run, place), parameters: run.parameters })
  }

  checkPlace(place: Place, run: Run): void {
    refuseFarSequence(run.sequence.anywhere, [place.shard.node], this.runtime.map.home)
    refuseHiddenWrites(run, place, (group) => this.runtime.map.groups.get(group)?.length ?? 0)
  }

  private isMaintained({ shards }: Place): boolean {
    return [...shards.keys()].some((group) => this.runtime.lookups.maintains(group))
  }

  planned(run: QueryRun): ReturnType<QueryPlanner['planned']> {
    return this.queries.planned(run)
  }

  insteadOfSending(run: QueryRun): ReturnType<QueryPlanner['insteadOfSending']> {
    return this.queries.insteadOfSending(run)
  }

  homeInputs(run: Run): ReturnType<QueryPlanner['parts']['homeInputs']> {
    return this.queries.parts.homeInputs(run, true)
  }

  substitute(run: Run): Promise<Substitutes> {
    return this.queries.parts.substitute(run)
  }

  texts(select: SelectStmt, run: Run): Promise<Answer> {
    return this.queries.parts.asTexts(select, run)
  }
}

/** The table whose rows an UPDATE may move to other shards. @throws ShardedError KEY_CHANGED where they may not move */
const movedBy = (run: Run): TableUse | undefined =>
  keyChangeOf(run, ({ entity, isOwn }) => isOwn && (entity?.onKeyChange === 'move' || run.context.moves !== undefined))

function refuseCatalogNames(problem: CatalogProblem | undefined, text: string): void {
  if (!problem) return
  throw unsupported(problem.text, { statement: text.slice(0, 500) })
}
function selected(rows: readonly Row[]): QueryResult {
  const result = new QueryResult()
  result.records = [...rows]
  result.raw = result.records
  result.affected = rows.length
  return result
}
