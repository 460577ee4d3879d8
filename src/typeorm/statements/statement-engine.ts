import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { LRUCache } from 'lru-cache'
import type { EntityManager } from 'typeorm'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { CachesOf } from '../../collections/caches-of'
import { ofText } from '../../collections/of-text'
import { mayWriteRows } from '../../endpoints/is-read'
import { sqlState } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import { executeRead } from '../../execution/execute-read'
import { FunctionCatalog } from '../../execution/function-catalog'
import type { Row } from '../../merging/row'
import { bindShardNames, placeholderSchema } from '../../planning/bind-shard-names'
import {
  type CarriedValue,
  carriedAnswer,
  carriedQuestion,
  valuesOfTime,
  withCarriedValues,
} from '../../planning/carried-values'
import { describeQuery, typesOf } from '../../planning/describe-query'
import { detachedSelect } from '../../planning/detached-select'
import type { Explanation } from '../../planning/explanation'
import { draftFinish, type FinishTemplate, finishTemplate, refuseFinishedLock } from '../../planning/finish-template'
import { outputNames, withBases } from '../../planning/output-columns'
import { type ReadPlan, route } from '../../planning/read-plan'
import { replacementOf } from '../../planning/replace-detached'
import { draftRows, expandedTargets, type RowsTemplate, rowsTemplate } from '../../planning/rows-template'
import { type HeldTable, isFailedCheck } from '../../planning/schema-check'
import { type Answer, shipAnswer, tableNamed } from '../../planning/ship-answer'
import { type ShippedColumn, type ShippedRows, withShippedRows } from '../../planning/shipped-rows'
import { shippedSide } from '../../planning/shipped-side'
import { splitLists } from '../../planning/split-lists'
import { hasMistake } from '../../planning/statement-mistake'
import { localise, type Template, templateOf } from '../../planning/statement-template'
import { hasSuspiciousOrder } from '../../planning/suspicious-order'
import { columnsOf, textsOf } from '../../planning/text-query'
import type { ValueType } from '../../query/sort-form'
import { type CarriedCalls, carriedCalls } from '../../routing/carried-calls'
import { type CatalogProblem, catalogProblem, mayAskCatalog } from '../../routing/catalog-names'
import { functionNames, noFunctions } from '../../routing/known-functions'
import { relativeTime } from '../../routing/relative-times'
import { entityOf, routeCluster } from '../../routing/route-cluster'
import { checkScatter } from '../../routing/scatter-policy'
import type { TableUse } from '../../routing/scope'
import { analyseStatement, type Cluster, type StatementAnalysis } from '../../routing/statement-analysis'
import type { TableCatalog } from '../../routing/table-catalog'
import { hasVolatile, sequenceCall } from '../../routing/volatile-calls'
import { hasStar } from '../../sql/is-star'
import { columnNode, integerConstant, selectNode, targetNode } from '../../sql/nodes'
import { loadParser, type ParsedStatement, parseStatement } from '../../sql/parse-statement'
import { leftmost, selectOf, targetTable } from '../../sql/statement-parts'
import { parametersOf, someNode, type TreeObject, treeText } from '../../sql/tree'
import { withCtes } from '../../sql/with-ctes'
import { withStarNames } from '../../sql/with-star-names'
import type { Shard } from '../../topology/shard'
import { inBoth } from '../lookups/lookup-route'
import { readHost } from '../reads/read-host'
import { streamRead } from '../reads/stream-read'
import { readInTurn } from '../runners/read-cursors'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { NodeText } from '../runners/shard-transaction'
import { writeShards } from '../writes/write-shards'
import type { ClockDefaults } from './clock-defaults'
import { explainStatement, type Resolved } from './explain-statement'
import { HeldColumns, tablesByPlace } from './held-columns'
import { lookUpClusters } from './look-up-clusters'
import { moveStatement } from './move-statement'
import { refuseHiddenWrites } from './refuse-hidden-writes'
import { passesOver, refuseEarlyLocks, refuseLockedPage } from './refuse-locks'
import { finishPlan, rowsPlan } from './statement-arms'
import { armPageOf, statementPage, writtenPage } from './statement-page'
import {
  askHome,
  localisedFor,
  type Place,
  pick,
  queryOn,
  type ReadStatement,
  type Run,
  refuseFarSequence,
  refuseProblems,
  rowsOf,
  type ShardsRun,
  type StatementContext,
  type Substitutes,
  wholeText,
} from './statement-run'
import { keyChangeOf, type StatementWriter, type Write, writeStatement } from './write-statement'

type QueryTemplate = RowsTemplate | FinishTemplate

type Planned =
  /** The plan gives the rows of the answer, and the columns what they are called. */
  | { readonly plan: ReadPlan; readonly onShards: ShardsRun; readonly columns: Answer['columns'] }
  | { readonly plan: undefined; readonly run: () => Promise<Answer> }

/**
 * SQLSTATEs of a statement that is no longer right for its tables: an undefined column, function, table or type, another number of
 * columns, types that do not go together. PostgreSQL tells them before it reads a row.
 */
const namesUnknown: ReadonlySet<string> = new Set(['42703', '42883', '42P01', '42704', '42601', '42804', '42846'])

/** Types and plans are made anew after this: of a collation that was changed, no statement tells. */
const maxTypesAgeMs = 600_000

const limitOption = 'LIMIT_OPTION_COUNT' as const

/** Letters of the texts whose columns' types are remembered. */
const maxDescribedLetters = 4_000_000

/** Plans of one text: for each first shard, and each set of nodes, another one. They go with the text. */
const maxPlansOfText = 64

/** A statement, and what of it is asked of one node. */
interface Carrying {
  readonly statement: Node
  readonly carried: CarriedCalls
  readonly parameters: readonly unknown[]
  readonly context: StatementContext
  /** Values of parameters say what is carried: another run of the text may carry something else. */
  readonly isSaid?: boolean
}

/** A statement of one node that has a clock. */
type TimedStatement = Pick<Carrying, 'statement' | 'carried'> & { readonly parameterCount: number }

/** Without one of these words a statement says nothing of the time. */
const timeWords =
  /\b(?:now|current_date|current_time|current_timestamp|localtime|localtimestamp|transaction_timestamp|age|today|tomorrow|yesterday)\b/i

/**
 * Runs SQL over shards as if they were one database: reads a statement with PostgreSQL's parser, finds its shards, sends it
 * there, and puts the answers together. TypeORM's query builders and users' raw SQL come this way.
 */
export class StatementEngine implements StatementWriter {
  private readonly read = new WeakMap<ParsedStatement, { readonly read: ReadStatement; readonly version: number }>()
  private readonly plans = new CachesOf<ParsedStatement, Promise<QueryTemplate>>(
    () => new LRUCache({ max: maxPlansOfText }),
  )
  private readonly types = new LRUCache<string, Promise<readonly ValueType[]>>({
    maxSize: maxDescribedLetters,
    sizeCalculation: (_, key) => key.length,
  })
  private readonly carriedTexts = new WeakMap<Node, { readonly types: string; readonly template: Template }>()
  private readonly timed = new WeakMap<ParsedStatement, { readonly statement: TimedStatement | undefined }>()
  private readonly names: RegExp
  private readonly hasName = ofText((text) => this.names.test(text))
  private readonly hasTime = ofText((text) => timeWords.test(text) || this.clocks.mayTake(text))
  private readonly functions: FunctionCatalog
  private readonly columns: HeldColumns
  private forgotten = 0
  private forgottenAt = Date.now()

  constructor(
    readonly runtime: ShardRuntime,
    readonly catalog: TableCatalog,
    private readonly clocks: ClockDefaults,
  ) {
    this.functions = new FunctionCatalog(
      new Map(homeFirst(runtime).map((node) => [node, runtime.pool(node).facts.version])),
      async (node, text, values) => runtime.pool(node).background.query(text, values),
    )
    this.columns = new HeldColumns(catalog, runtime)
    const names = [...catalog.names, ...catalog.types].map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    this.names = new RegExp(`"__shard__"|(?<![\\p{L}\\p{N}_$])(?:${names.join('|')})(?![\\p{L}\\p{N}_$])`, 'iu')
  }

  /** False only for texts that certainly name no sharded table: they need not be parsed. */
  mentions(text: string, parameters: readonly unknown[] = []): boolean {
    if (this.catalog.names.length === 0) return false
    const isName = (value: unknown) => typeof value === 'string' && this.names.test(value)
    return this.hasName(text) || (mayAskCatalog(text) && parameters.some(isName))
  }

  /**
   * Runs one statement.
   *
   * @returns undefined where it names no sharded table: it is the home node's
   * @throws ShardedError JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED, ORDER_UNSUPPORTED, COLLATION_DIFFERS, KEY_NOT_OWNED,
   * SCATTER_FORBIDDEN, SCATTER_TOO_WIDE; for writes also KEY_MISSING, KEY_CHANGED, PARTIAL_COMMIT
   */
  async run(text: string, parameters: readonly unknown[], given: StatementContext): Promise<QueryResult | undefined> {
    return this.asKnown(text, given, () => this.runAsKnown(text, parameters, given))
  }

  private async runAsKnown(
    text: string,
    parameters: readonly unknown[],
    given: StatementContext,
  ): Promise<QueryResult | undefined> {
    const resolved = await this.resolve(text, parameters, given)
    switch (resolved.kind) {
      case 'home':
        return undefined
      case 'move':
        return moveStatement(this, resolved.run, resolved.use)
      case 'place':
        return this.atPlace(resolved.place, resolved.run)
      case 'shards':
        if ('SelectStmt' in resolved.run.statement)
          return selected((await this.select({ ...resolved.run, asText: false })).rows)
        return writeStatement(this, resolved.run)
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
    const { rows, first } = await this.asKnown(text, given, async () => {
      const opened = this.streamAsKnown(text, parameters, given)
      return { rows: opened, first: await opened.next() }
    })
    try {
      if (first.done) return
      yield first.value
      yield* rows
    } catch (error) {
      this.tellOutdated(error, text)
    } finally {
      await rows.return()
    }
  }

  private async *streamAsKnown(
    text: string,
    parameters: readonly unknown[],
    given: StatementContext,
  ): AsyncGenerator<Row, void, undefined> {
    const resolved = await this.resolve(text, parameters, given)
    switch (resolved.kind) {
      case 'home':
        yield* rowsOf(await given.home(text, parameters))
        return
      case 'move':
        yield* rowsOf(await moveStatement(this, resolved.run, resolved.use))
        return
      case 'place':
        yield* this.streamPlace(resolved.place, resolved.run)
        return
      case 'shards':
        yield* this.streamShards(resolved.run)
    }
  }

  /** What running, streaming and explaining a statement all begin with: where it goes. @throws what `run` refuses */
  async resolve(text: string, parameters: readonly unknown[], given: StatementContext): Promise<Resolved> {
    if (Date.now() - this.forgottenAt > maxTypesAgeMs) this.forget()
    const statement = await this.understand(text)
    this.refuseCatalog(text, parameters)
    if (!statement) return { kind: 'home' }
    refuseCatalogNames(statement.refused, text)
    const context = await this.lookedUp(statement, parameters, given)
    const only = this.onePlace(statement, parameters, context)
    const isScattered = !only && statement.parameterCount === parameters.length
    if (isScattered && !(await this.hearsAll(statement, parameters, context)))
      return this.resolve(text, parameters, given)
    const carrying = await this.carrying(statement, parameters, context)
    if (carrying) return this.resolve(carrying.text, carrying.parameters, given)
    const run = { ...statement, parameters, context }
    const use = this.movedBy(statement, parameters, context)
    if (use) return { kind: 'move', use, run }
    const place = only ?? this.placeOfMistake(statement, parameters)
    return place ? { kind: 'place', place, run } : { kind: 'shards', run }
  }

  private async *streamPlace(place: Place, run: Write): AsyncGenerator<Row, void, undefined> {
    const { parsed, parameters, context } = run
    if (this.isMaintained(place, parsed.text)) {
      yield* rowsOf(await this.atPlace(place, run))
      return
    }
    this.checkPlace(place, run, parameters)
    const { shard } = place
    const text = bindShardNames(wholeText(run, place), shard)
    yield* readInTurn(context.access, [{ node: shard.node, shards: [shard.name], text, parameters }])
  }

  private async *streamShards(run: Write): AsyncGenerator<Row, void, undefined> {
    if (!('SelectStmt' in run.statement)) {
      yield* rowsOf(await writeStatement(this, run))
      return
    }
    const planned = await this.planned({ ...run, asText: false })
    if (planned.plan) yield* streamRead(planned.plan, run.context.access)
    else yield* (await planned.run()).rows
  }

  /**
   * How a query would be answered: it is planned, and not run.
   *
   * @throws ShardedError NOT_SHARDED, STATEMENT_UNSUPPORTED, and what `run` refuses
   */
  explain(text: string, parameters: readonly unknown[], context: StatementContext): Promise<Explanation> {
    return this.asKnown(text, context, () => explainStatement(this, { text, parameters, context }))
  }

  /** The table whose rows an UPDATE may move to other shards. @throws ShardedError KEY_CHANGED where they may not move */
  private movedBy(
    statement: ReadStatement,
    parameters: readonly unknown[],
    { moves }: StatementContext,
  ): TableUse | undefined {
    return keyChangeOf(
      statement,
      parameters,
      ({ entity, isOwn }) => isOwn && (entity?.onKeyChange === 'move' || moves !== undefined),
    )
  }

  /** A parameter may be a name that the catalog is asked for. @throws ShardedError STATEMENT_UNSUPPORTED */
  private refuseCatalog(text: string, parameters: readonly unknown[]): void {
    if (parameters.length === 0 || !mayAskCatalog(text)) return
    const [statement] = parseStatement(text)?.statements ?? []
    if (statement) refuseCatalogNames(catalogProblem(statement, this.catalog, parameters), text)
  }

  /**
   * Works with what is known of columns and types, and once more where that is outdated.
   *
   * @throws ShardedError PLAN_STALE in a transaction, and where the shards of a table differ
   */
  private async asKnown<T>(text: string, given: StatementContext, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      await this.forgetOutdated(error, text, given)
      return work().catch((again: unknown) => this.tellOutdated(again, text))
    }
  }

  /**
   * After the failure of a statement that was made of columns and types which are no longer those of its tables: all types and
   * plans that are remembered may be so. A mistake of the statement's own forgets nothing.
   *
   * @throws ShardedError PLAN_STALE in a transaction, which the server has aborted; the error where it has another cause
   */
  private async forgetOutdated(error: unknown, text: string, { access }: StatementContext): Promise<void> {
    const isRefusal = error instanceof ShardedError
    if (isRefusal ? error.code !== 'STATEMENT_UNSUPPORTED' : !namesUnknown.has(sqlState(error) ?? '')) throw error
    const parsed = parseStatement(text)
    const read = parsed && this.read.get(parsed)?.read
    const tables = read ? [...read.byPlace, ...read.analysis.homeTables] : []
    const hasNews = await this.columns.refresh(tables).catch(() => false)
    if (!hasNews && !isFailedCheck(error, text)) throw error
    this.forget()
    if (access.transaction && !isRefusal) throw planStale(text, error)
  }

  /** Where shards are altered one after the other, their tables differ for a while. */
  private tellOutdated(error: unknown, text: string): never {
    throw isFailedCheck(error, text) ? planStale(text, error) : error
  }

  /** Tells that a table may have been altered: columns and types are asked for anew. */
  schemaChanged(): void {
    this.columns.doubt()
    this.forget()
  }

  private forget(): void {
    this.types.clear()
    this.forgotten += 1
    this.forgottenAt = Date.now()
  }

  heldTables({ byPlace }: Pick<ReadStatement, 'byPlace'>, group: string | undefined): readonly HeldTable[] {
    return byPlace.length === 0 ? [] : this.columns.of(byPlace, group)
  }

  /** Grows when something new is known of functions or tables. */
  private get version(): number {
    return this.functions.version + this.columns.version + this.forgotten
  }

  /** What was read of a text, where nothing new was heard of functions and tables since. */
  private known(parsed: ParsedStatement): ReadStatement | undefined {
    const known = this.read.get(parsed)
    return known?.version === this.version ? known.read : undefined
  }

  /** Hears of functions from all nodes that a statement runs on. @returns false where the statement has to be read again */
  private async hearsAll(
    { parsed, analysis }: ReadStatement,
    parameters: readonly unknown[],
    context: StatementContext,
  ): Promise<boolean> {
    const shards = analysis.clusters.flatMap((cluster) => this.shardsOf(cluster, parameters, context))
    await this.functions.of([...new Set(shards.map(({ node }) => node))])
    return this.known(parsed) !== undefined
  }

  /** Reads a text. @returns undefined where it is no SQL, or names no sharded table */
  async understand(text: string): Promise<ReadStatement | undefined> {
    await loadParser()
    const parsed = parseStatement(text)
    if (!parsed) return undefined
    const byPlace = this.read.get(parsed)?.read.byPlace
    if (byPlace) await this.columns.learn(byPlace)
    const known = this.known(parsed)
    if (known) return isOfShards(known) ? known : undefined
    const [written, another] = parsed.statements
    if (!written) return undefined
    const { statement, analysis } = await this.analysed(written)
    if (another) {
      if (!parsed.statements.some((one) => analyseStatement(one, this.catalog, noFunctions).uses.length > 0))
        return undefined
      throw new ShardedError('STATEMENT_UNSUPPORTED', 'Several statements stand in one text.', {
        details: { statement: text.slice(0, 500) },
      })
    }
    const refused = catalogProblem(statement, this.catalog)
    const read: ReadStatement = {
      parsed,
      statement,
      analysis,
      refused,
      byPlace: tablesByPlace(statement),
      parameterCount: parametersOf(statement).at(-1) ?? 0,
      carried: carriedCalls(statement, this.functions, { parameters: [], tables: tablesOf(analysis) }),
      sequence: {
        anywhere: sequenceCall(statement, this.functions),
        beside: sequenceCall(statement, this.functions, new Set<unknown>(analysis.detached.map(({ node }) => node))),
      },
    }
    this.read.set(parsed, { read, version: this.version })
    return isOfShards(read) ? read : undefined
  }

  /**
   * Reads a statement with what is known of its functions and of the columns of its tables; its outputs say the names that they
   * have from the `*` of a subquery.
   */
  private async analysed(written: Node): Promise<Pick<ReadStatement, 'statement' | 'analysis'>> {
    await this.functions.ofAny()
    await this.functions.lookFor(functionNames(written))
    await this.columns.learn(tablesByPlace(written))
    const analysis = analyseStatement(written, this.columns, this.functions)
    if (analysis.starNames.size === 0 || !('SelectStmt' in written)) return { statement: written, analysis }
    const statement = withStarNames(written, (select) => analysis.starNames.get(select))
    return { statement, analysis: analyseStatement(statement, this.columns, this.functions) }
  }

  /**
   * The statement with values in the places of what one database would say once: the time, the user. They are asked of one
   * node, in a transaction of the one that it opened first. undefined where all of it runs on that node anyway.
   */
  private async carrying(
    statement: ReadStatement,
    parameters: readonly unknown[],
    context: StatementContext,
  ): Promise<{ readonly text: string; readonly parameters: readonly unknown[] } | undefined> {
    const { analysis, parameterCount } = statement
    const isSaid = parameters.some((value) => typeof value === 'string' && relativeTime.test(value))
    const carried = isSaid
      ? carriedCalls(statement.statement, this.functions, { parameters, tables: tablesOf(analysis) })
      : statement.carried
    if (!carried || parameterCount !== parameters.length) return undefined
    const { transaction } = context.access
    const place = this.onePlace(statement, parameters, context)
    const node = transaction?.firstNode ?? place?.shard.node ?? this.someShard(analysis)?.node
    if (node === undefined || node === place?.shard.node || (place && !transaction)) return undefined
    return this.carriedFrom(node, { statement: statement.statement, carried, parameters, context, isSaid })
  }

  /** False only for texts that certainly say nothing of the time, and take no default that does. */
  mayTellTime(text: string): boolean {
    return this.hasTime(text)
  }

  /**
   * A statement of one node, as TypeORM makes it for a shard or the application for the home node, with the time of a
   * transaction that began on another node. undefined where it says nothing of the time, and on the node that began.
   */
  async withTransactionTime(
    { node, text, parameters }: NodeText,
    context: StatementContext,
  ): Promise<NodeText | undefined> {
    const { transaction } = context.access
    const first = transaction?.firstNode
    if (first === undefined) return undefined
    await loadParser()
    const timed = this.timedStatement(text)
    if (!timed || timed.parameterCount !== parameters.length) return undefined
    if (first !== node) return { node, ...(await this.carriedFrom(first, { ...timed, parameters, context })) }
    // Before its own statement, which the others would wait for.
    transaction?.time().catch(() => undefined)
    return undefined
  }

  private timedStatement(text: string): TimedStatement | undefined {
    const parsed = parseStatement(text)
    const [written, another] = parsed?.statements ?? []
    if (!parsed || !written || another) return undefined
    const known = this.timed.get(parsed)
    if (known) return known.statement
    const statement = this.clocks.written(written)
    const carried = carriedCalls(statement, noFunctions)
    const isTimed = carried?.hasClock === true || statement !== written
    const timed =
      carried && isTimed ? { statement, carried, parameterCount: parametersOf(statement).at(-1) ?? 0 } : undefined
    this.timed.set(parsed, { statement: timed })
    return timed
  }

  private async carriedFrom(
    node: string,
    { statement, carried, parameters, context, isSaid = false }: Carrying,
  ): Promise<{ readonly text: string; readonly parameters: readonly unknown[] }> {
    const values = await this.carriedValues(node, { carried, parameters, context })
    const types = JSON.stringify(values.map(({ type }) => type))
    const known = this.carriedTexts.get(statement)
    const template =
      !isSaid && known?.types === types
        ? known.template
        : withCarriedValues(statement, carried, values, parameters.length + 1)
    if (!isSaid) this.carriedTexts.set(statement, { types, template })
    return {
      text: template.text,
      parameters: pick(template.parameters, [...parameters, ...values.map((value) => value.text)]),
    }
  }

  /** A transaction remembers its time; everything else is asked of the node. */
  private async carriedValues(
    node: string,
    { carried, parameters, context }: Pick<Carrying, 'carried' | 'parameters' | 'context'>,
  ): Promise<readonly CarriedValue[]> {
    const { transaction } = context.access
    const ofTime = transaction?.firstNode === node ? valuesOfTime(carried) : undefined
    if (transaction && ofTime) return ofTime(await transaction.time())
    const shard = this.shardOn(node)
    const ask = async (question: Template | undefined, on: Shard | undefined): Promise<Row> => {
      if (!question) return {}
      const asked = pick(question.parameters, parameters)
      const rows = on
        ? await this.askShard(on, question.text, asked, context)
        : await askHome(question.text, asked, context)
      return rows[0] ?? {}
    }
    const ofHome = await ask(carriedQuestion(carried, true), undefined)
    return carriedAnswer(carried, { ...ofHome, ...(await ask(carriedQuestion(carried, false), shard)) })
  }

  /**
   * The one node where all that a statement reads and writes lies, each group's part on one shard; undefined where there
   * is none.
   */
  onePlace(read: ReadStatement, parameters: readonly unknown[], context: StatementContext): Place | undefined {
    // The rows of an INSERT are placed one by one.
    return 'InsertStmt' in read.statement ? undefined : this.placeOf(read, parameters, context)
  }

  /** The one place of all tables that a statement names; the rows that an INSERT brings are not looked at. */
  placeOf(
    { analysis }: ReadStatement,
    parameters: readonly unknown[],
    context: Pick<StatementContext, 'pinned' | 'own' | 'lookedUp'>,
  ): Place | undefined {
    const shards = new Map<string, Shard>()
    for (const cluster of analysis.clusters) {
      const [shard, another] = this.shardsOf(cluster, parameters, context)
      if (!shard || another) return undefined
      const known = shards.get(shard.group)
      if (known && known.name !== shard.name) return undefined
      shards.set(shard.group, shard)
    }
    const [first, ...others] = shards.values()
    // A WITH that nothing names is on no route; its tables would have to be there all the same.
    if (analysis.uses.some(({ table }) => !shards.has(table.group))) return undefined
    if (!first || others.some(({ node }) => node !== first.node)) return undefined
    if (analysis.homeTables.length > 0 && first.node !== this.runtime.map.home) return undefined
    return { shard: first, shards }
  }

  /** Where PostgreSQL is to refuse a statement that it certainly refuses: of too few or too many parameters, say. */
  private placeOfMistake(
    { analysis, statement, parameterCount }: ReadStatement,
    parameters: readonly unknown[],
  ): Place | undefined {
    const isMistaken = parameterCount !== parameters.length || hasMistake(statement)
    const shard = isMistaken ? this.someShard(analysis) : undefined
    return shard && { shard, shards: new Map([[shard.group, shard]]) }
  }

  /** The context of a statement with what lookups say of it. A statement with too few parameters is not looked up. */
  async lookedUp(
    statement: ReadStatement,
    parameters: readonly unknown[],
    context: StatementContext,
  ): Promise<StatementContext> {
    if (!this.runtime.lookups.anyReady() || statement.parameterCount !== parameters.length) return context
    return lookUpClusters(this.runtime, statement, { parameters, context })
  }

  shardsOf(
    cluster: Cluster,
    parameters: readonly unknown[],
    { pinned, own, lookedUp }: Pick<StatementContext, 'pinned' | 'own' | 'lookedUp'>,
  ): readonly Shard[] {
    const [use] = cluster.uses
    if (pinned && pinned.group === use?.table.group) return [pinned]
    if (own && own.group === use?.table.group && [...cluster.uses].some(isTemplated)) return [own]
    const shards = this.runtime.map.groups.get(use?.table.group ?? '') ?? []
    const { shards: indexes } = routeCluster(cluster, parameters, shards.length)
    const found = lookedUp?.get(cluster)
    return (found ? inBoth(indexes, found) : indexes).flatMap((index) => shards[index] ?? [])
  }

  /** The shards of a statement over several, when the scatter policy allows them. */
  allowedShards(
    cluster: Cluster,
    { parameters, context }: Pick<Run, 'parameters' | 'context'>,
    writes: boolean,
  ): readonly Shard[] {
    const shards = this.shardsOf(cluster, parameters, context)
    const entity = entityOf(cluster)
    const explicit = context.isExplicit ?? false
    const warning = entity && checkScatter(entity, { name: 'query', writes, width: shards.length, explicit })
    if (warning) this.runtime.warn(warning)
    return shards
  }

  /** Sends a statement to one shard, as TypeORM would. */
  async onShard(access: ShardAccess, shard: Shard, text: string, parameters: readonly unknown[]): Promise<QueryResult> {
    return access.onShard(shard, (manager) => queryOn(manager, text, parameters))
  }

  /** Sends a statement to the one place where all of it lies; a write keeps the lookups of its shards. */
  private async atPlace(place: Place, run: ReadStatement & Pick<Run, 'parameters' | 'context'>): Promise<QueryResult> {
    const { parsed, parameters, context } = run
    this.checkPlace(place, run, parameters)
    const text = wholeText(run, place)
    if (!this.isMaintained(place, parsed.text)) return this.onShard(context.access, place.shard, text, parameters)
    const others = [...place.shards.values()].filter((shard) => shard !== place.shard)
    const writes = [
      { shard: place.shard, work: (manager: EntityManager) => queryOn(manager, text, parameters) },
      // Not touched themselves: the one statement writes there too.
      ...others.map((shard) => ({ shard, work: async () => new QueryResult() })),
    ]
    const [result = new QueryResult()] = await writeShards(context.access, writes, context.openRunner)
    return result
  }

  private checkPlace(place: Place, statement: ReadStatement, parameters: readonly unknown[]): void {
    refuseFarSequence(statement.sequence.anywhere, [place.shard.node], this.runtime.map.home)
    refuseHiddenWrites(statement, parameters, place, (group) => this.runtime.map.groups.get(group)?.length ?? 0)
  }

  private isMaintained({ shards }: Place, text: string): boolean {
    return mayWriteRows(text) && [...shards.keys()].some((group) => this.runtime.lookups.maintains(group))
  }

  private async select(run: Run): Promise<Answer> {
    const planned = await this.planned(run)
    if (!planned.plan) return planned.run()
    return { rows: await executeRead(planned.plan, readHost(run.context.access)), columns: planned.columns }
  }

  /** A query with its plan, ready to run; without a plan where no shard has a part in it but for its subqueries. */
  async planned(run: Run): Promise<Planned> {
    const { analysis, statement, asText, context } = run
    const select = selectOf(statement)
    if (select.larg) return { plan: undefined, run: () => this.setOperation(run, select) }
    refuseProblems(analysis)
    const substitutes = await this.substitute(run)
    const { shipped } = substitutes
    if (!analysis.main) {
      const local = localisedFor(select, { analysis, group: undefined }, substitutes.replacements)
      const names = outputNames(local, analysis)
      const template = withShippedRows(templateOf({ SelectStmt: local }), shipped)
      return {
        plan: undefined,
        run: () =>
          this.atHome(template, {
            names,
            values: substitutes.values,
            asText,
            context,
            shard: this.shardAtHome(analysis),
            byPlace: run.byPlace,
          }),
      }
    }
    const [first, ...others] = this.allowedShards(analysis.main, run, false)
    if (!first) throw new RangeError('A statement has at least one shard.')
    const { values, valuesOn, replacements, split } = splitLists(analysis.main, { ...run, ...substitutes })
    const onShards: ShardsRun = { ...run, values, valuesOn, shipped, shards: [first, ...others] }
    const local = () => localisedFor(select, { analysis, group: first.group }, replacements)
    const make = () => this.plan(onShards, local(), shipped)
    // A plan holds the names of the first shard's types, and how the nodes asked sort.
    const nodes = [...new Set(onShards.shards.map(({ node }) => node))]
    const key = JSON.stringify([asText, first.name, nodes, split, this.heldTables(run, first.group), this.version])
    const plan = shipped.length > 0 ? await make() : await this.remembered(run.parsed, key, make)
    // After the plan: what PostgreSQL itself refuses is its to tell.
    if (others.length > 0 && context.access.transaction && passesOver(select))
      refuseLockedPage(await statementPage(writtenPage(local()), onShards))
    return { onShards, ...(await this.readPlan(plan, onShards)) }
  }

  private async remembered(
    parsed: ParsedStatement,
    key: string,
    make: () => Promise<QueryTemplate>,
  ): Promise<QueryTemplate> {
    const plans = this.plans.of(parsed)
    const known = plans.get(key)
    if (known) return known
    const plan = make()
    plans.set(key, plan)
    plan.catch(() => plans.delete(key))
    return plan
  }

  private async plan(run: ShardsRun, select: SelectStmt, shipped: readonly ShippedRows[]): Promise<QueryTemplate> {
    const { analysis, shards, values, context, asText } = run
    const { functions } = this
    const on = { shard: shards[0], values, context }
    const tables = this.heldTables(run, shards[0].group)
    if (analysis.isGroupedLocally && select.limitOption !== 'LIMIT_OPTION_WITH_TIES') {
      const draft = draftRows(select, analysis, functions)
      // A mistake that the query made of it would hide is PostgreSQL's to tell.
      if (hasSuspiciousOrder(select))
        await this.describe(withShippedRows(templateOf({ SelectStmt: select }), shipped), draft.outputs.length, on)
      const template = withShippedRows(templateOf({ SelectStmt: draft.select }), shipped)
      const types = await this.describe(template, draft.outputs.length + draft.sorts.length, on)
      return rowsTemplate(draft, template, { types, facts: await this.factsOf(shards, types), asText, tables })
    }
    const draft = draftFinish(select, analysis.scope, functions)
    // A mistake in the query is PostgreSQL's to tell, also where the halves of it would hide it.
    await this.describe(withShippedRows(templateOf({ SelectStmt: select }), shipped), draft.outputs.length, on)
    refuseFinishedLock(select)
    const template = withShippedRows(templateOf({ SelectStmt: draft.inner }), shipped)
    return finishTemplate(draft, template, await this.describe(template, draft.width, on), {
      rowsOfParts: shipped,
      tables,
    })
  }

  /** The types of a query's columns, asked once a text: of a shard, or of the home node. */
  private describe(
    template: Template,
    width: number,
    { shard, values, context }: { shard: Shard | undefined; values: readonly unknown[]; context: StatementContext },
  ): Promise<readonly ValueType[]> {
    if (width === 0) return Promise.resolve([])
    const { text, parameters } = describeQuery(template, width)
    // Names of types are those of the shard that was asked.
    const key = `${shard?.name ?? ''} ${text}`
    const known = this.types.get(key)
    if (known) return known
    const types = (
      shard
        ? this.askShard(shard, text, pick(parameters, values), context)
        : askHome(text, pick(parameters, values), context)
    ).then(typesOf)
    this.types.set(key, types)
    types.catch(() => this.types.delete(key))
    return types
  }

  private async askShard(
    shard: Shard,
    text: string,
    parameters: readonly unknown[],
    { access }: StatementContext,
  ): Promise<readonly Row[]> {
    const [rows = []] = await access.query([
      { node: shard.node, shards: [shard.name], text: bindShardNames(text, shard), parameters },
    ])
    return rows
  }

  private shardOn(node: string): Shard | undefined {
    return [...this.runtime.map.groups.values()].flat().find((shard) => shard.node === node)
  }

  private someShard({ uses }: StatementAnalysis): Shard | undefined {
    return this.runtime.map.groups.get(uses[0]?.table.group ?? '')?.[0]
  }

  /** The shard whose types a query without sharded tables may use: it reads unsharded tables as well. */
  private shardAtHome({ uses, homeTables }: StatementAnalysis): Shard | undefined {
    const shards = this.runtime.map.groups.get(uses[0]?.table.group ?? '') ?? []
    const atHome = shards.find(({ node }) => node === this.runtime.map.home)
    return atHome ?? (homeTables.length === 0 ? shards[0] : undefined)
  }

  private factsOf(shards: readonly Shard[], types: readonly ValueType[]) {
    const collations = types.flatMap(({ collation }) => (collation === undefined ? [] : [collation]))
    const nodes = [...new Set(shards.map((shard) => shard.node))]
    return Promise.all(nodes.map((node) => this.runtime.pool(node).sortFactsWith(collations)))
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
    if (!run.asText) return { plan: finishPlan(template, run, page, final.text), columns: [] }
    const none = final.parameters.map((number) => (number < firstArray ? run.values[number - 1] : []))
    const typed: Template = { text: final.text, parameters: none.map((_, index) => index + 1) }
    const on = { shard: run.shards[0], values: none, context: run.context }
    const types = await this.describe(typed, outputs.length, on)
    return { plan: finishPlan(template, run, page, textsOf(final.text, types)), columns: columnsOf(outputs, types) }
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

  /** UNION, INTERSECT, EXCEPT: each side is read on its own, and the home node puts them together. */
  private async setOperation(run: Run, whole: SelectStmt): Promise<Answer> {
    const { parameters, context, asText } = run
    const shipped: ShippedRows[] = []
    const values = [...parameters]
    const { withClause } = whole
    if (hasVolatile(withClause, this.functions))
      throw new ShardedError(
        'STATEMENT_UNSUPPORTED',
        'A WITH that calls a volatile function is read by both sides of a set operation, which run apart.',
        {},
      )
    const sides: (readonly ShippedColumn[])[] = []
    const side = async (select: SelectStmt | undefined): Promise<SelectStmt> => {
      if (!select) throw new RangeError('A set operation has two sides.')
      const isSideOfMore =
        select.larg && !select.limitCount && !select.limitOffset && !select.sortClause && !select.withClause
      if (isSideOfMore) return { ...select, larg: await side(select.larg), rarg: await side(select.rarg) }
      const { rows, columns } = await this.asTexts(withClause ? withCtes(select, withClause) : select, run)
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
      shard: this.shardAtHome(run.analysis),
      byPlace: [],
    })
    // An enum is found again by the column that it was on any side: all have one type.
    const baseAt = (index: number) => sides.map((one) => one[index]?.base).find((base) => base !== undefined)
    return { ...answer, columns: answer.columns.map((column, index) => ({ ...column, base: baseAt(index) })) }
  }

  /** Runs a query without sharded tables on the home node. */
  private async atHome(
    template: Template,
    {
      names,
      values,
      asText,
      context,
      shard,
      byPlace,
    }: {
      readonly names: readonly string[]
      readonly values: readonly unknown[]
      readonly asText: boolean
      readonly context: StatementContext
      /** Where it runs instead, if it needs the types of a shard. */
      readonly shard: Shard | undefined
      readonly byPlace: readonly RangeVar[]
    },
  ): Promise<Answer> {
    const needsTypes = template.text.includes(`"${placeholderSchema}"`)
    if (needsTypes && !shard)
      throw new ShardedError(
        'STATEMENT_UNSUPPORTED',
        'An unsharded table stands beside a value of a type (an enum) that only shards have, and its node has no shard. Cast the value to text.',
        {},
      )
    const on = needsTypes ? shard : undefined
    const parameters = pick(template.parameters, values)
    const ask = (text: string) =>
      on ? this.askShard(on, text, parameters, context) : askHome(text, parameters, context)
    if (!asText) return { rows: await ask(template.text), columns: [] }
    const types = await this.describe(template, names.length, { shard: on, values, context })
    const tables = this.heldTables({ byPlace }, undefined)
    return { rows: await ask(textsOf(template.text, types, tables)), columns: columnsOf(names, types) }
  }

  /** Runs what is detached, so that its rows can stand in its place. */
  async substitute(run: Omit<Run, 'asText'>): Promise<Substitutes> {
    const { analysis, statement, parameters } = run
    const shipped: ShippedRows[] = []
    const values = [...parameters]
    if (!('SelectStmt' in statement) && !run.context.access.transaction) refuseEarlyLocks(analysis)
    const replacements = await this.readDetached(analysis.detached, run, { shipped, values })
    if (!analysis.main) return { shipped, values, replacements }
    for (const rangeVar of analysis.homeTables) {
      if (rangeVar === targetTable(statement)) continue
      const cte = shipAnswer(shipped, values, await this.homeRows(rangeVar, run))
      const alias = rangeVar.alias ?? { aliasname: rangeVar.relname ?? '' }
      replacements.set(rangeVar, () => ({ RangeVar: { ...tableNamed(cte), alias } }))
    }
    return { shipped, values, replacements }
  }

  /**
   * Runs detached parts, those that say the same once: a term of GROUP BY is then still that of the output.
   *
   * @returns what stands in their places, over the rows that are noted in `shipped` and `values`
   */
  private async readDetached(
    parts: StatementAnalysis['detached'],
    run: Omit<Run, 'asText'>,
    { shipped, values }: { readonly shipped: ShippedRows[]; readonly values: unknown[] },
  ): Promise<Map<unknown, (wrapper: TreeObject) => unknown>> {
    const replacements = new Map<unknown, (wrapper: TreeObject) => unknown>()
    const known = new Map<string, unknown>()
    for (const part of parts) {
      if (replacements.has(part.node)) continue
      const select = detachedSelect(part)
      const isShared = !part.carried && !hasVolatile(select, this.functions)
      const text = isShared ? `${part.kind} ${treeText(select)}` : undefined
      const replaced =
        (text !== undefined && known.get(text)) ||
        replacementOf(part, await this.asTexts(select, run), (own) => shipAnswer(shipped, values, own))
      if (text !== undefined) known.set(text, replaced)
      replacements.set(part.node, () => replaced)
    }
    return replacements
  }

  /** The rows of an unsharded table, for shards that do not have it. */
  private async homeRows(rangeVar: RangeVar, run: Omit<Run, 'asText'>): Promise<Answer> {
    const { schemaname, relname = '' } = rangeVar
    const columns = this.columns.homeColumns(schemaname, relname)
    if (!columns)
      throw new ShardedError(
        'JOIN_NOT_LOCAL',
        `The table ${relname} is of no entity, so that its columns are not known.`,
        {
          details: { table: relname },
        },
      )
    const { alias: _alias, ...table } = rangeVar
    const targetList = columns.map((name) => targetNode(columnNode(name), name))
    const { rowBudget } = run.context.access.limits
    // One more tells that there are too many. What no integer of SQL can count is no bound.
    const page = rowBudget < 2 ** 31 - 1 && {
      limitCount: integerConstant(rowBudget + 1),
      limitOption,
    }
    const answer = await this.asTexts(selectNode({ targetList, fromClause: [{ RangeVar: table }], ...page }), run, [
      table,
    ])
    if (answer.rows.length > rowBudget)
      throw new ShardedError(
        'ROW_BUDGET_EXCEEDED',
        `The table ${relname} gave more rows than rowBudget, ${rowBudget}.`,
        {
          details: { table: relname, rowBudget },
        },
      )
    return answer
  }

  /** Runs a query for its rows as texts, with their names and types. */
  private async asTexts(
    written: SelectStmt,
    { parameters, context: given }: Omit<Run, 'asText'>,
    byPlace = tablesByPlace({ SelectStmt: written }),
  ): Promise<Answer> {
    const select = await this.withoutStar(written)
    const template = templateOf({ SelectStmt: select })
    const values = pick(template.parameters, parameters)
    const numbered = values.map((_, index) => index + 1)
    const understood = await this.understand(template.text)
    if (!understood) {
      const { analysis } = await this.analysed({ SelectStmt: select })
      const names = outputNames(leftmost(select), analysis)
      return this.atHome(
        { text: template.text, parameters: numbered },
        { names, values, asText: true, context: given, shard: undefined, byPlace },
      )
    }
    // Where a `*` was written out, the names stand for it.
    const read = { ...understood, byPlace }
    const context = await this.lookedUp(read, values, given)
    const place = this.onePlace(read, values, context)
    const answer = place
      ? await this.textsAt(place, read, values, context)
      : await this.select({ ...read, parameters: values, context, asText: true })
    return { rows: answer.rows, columns: withBases(answer.columns, leftmost(selectOf(read.statement)), read.analysis) }
  }

  /** The names that are noted of a `*` are those of the columns that are read, in their order. */
  private async withoutStar(written: SelectStmt): Promise<SelectStmt> {
    if (!hasStar(written)) return written
    const { statement, analysis } = await this.analysed({ SelectStmt: written })
    const select = selectOf(statement)
    return { ...select, targetList: expandedTargets(select, analysis.scope) }
  }

  private async textsAt(
    place: Place,
    read: ReadStatement,
    values: readonly unknown[],
    context: StatementContext,
  ): Promise<Answer> {
    refuseFarSequence(read.sequence.anywhere, [place.shard.node], this.runtime.map.home)
    const names = outputNames(leftmost(selectOf(read.statement)), read.analysis)
    const whole: Template = { text: wholeText(read, place), parameters: values.map((_, index) => index + 1) }
    const types = await this.describe(whole, names.length, { shard: place.shard, values, context })
    const tables = this.heldTables(read, place.shard.group)
    const rows = await this.askShard(place.shard, textsOf(whole.text, types, tables), values, context)
    return { rows, columns: columnsOf(names, types) }
  }
}

const homeFirst = ({ map, nodes }: ShardRuntime): readonly string[] => [
  map.home,
  ...nodes.filter((node) => node !== map.home),
]

const planStale = (text: string, cause: unknown): ShardedError =>
  new ShardedError(
    'PLAN_STALE',
    `The tables of a statement are no longer what it was planned for, or not the same on all shards: ${String(cause)}.`,
    { details: { statement: text.slice(0, 500) }, cause },
  )

function refuseCatalogNames(problem: CatalogProblem | undefined, text: string): void {
  if (!problem) return
  throw new ShardedError('STATEMENT_UNSUPPORTED', problem.text, { details: { statement: text.slice(0, 500) } })
}

const tablesOf = ({ uses }: StatementAnalysis) => [...new Set(uses.map(({ table }) => table))]

const isOfShards = ({ analysis, refused }: ReadStatement): boolean => analysis.uses.length > 0 || refused !== undefined

/** TypeORM's own name of a table, rather than the application's. */
const isTemplated = ({ rangeVar }: TableUse): boolean => rangeVar.schemaname === placeholderSchema

function selected(rows: readonly Row[]): QueryResult {
  const result = new QueryResult()
  result.records = [...rows]
  result.raw = result.records
  result.affected = rows.length
  return result
}
