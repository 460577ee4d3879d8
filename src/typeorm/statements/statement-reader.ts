import type { Node } from '@pgsql/types'
import { sqlState } from '../../endpoints/sql-state'
import { ShardedError, unsupported } from '../../errors/sharded-error'
import { FunctionCatalog } from '../../execution/function-catalog'
import { type HeldTable, isFailedCheck, planStale } from '../../planning/schema-check'
import { carriedCalls } from '../../routing/carried-calls'
import { catalogProblem } from '../../routing/catalog-names'
import type { GatherAnalysis } from '../../routing/gather-analysis'
import { functionNames, noFunctions, sequenceCall } from '../../routing/known-functions'
import type { Narrowing } from '../../routing/narrowing'
import { analyseGather, analyseStatement, type StatementAnalysis } from '../../routing/statement-analysis'
import type { TableCatalog } from '../../routing/table-catalog'
import { withStarNames } from '../../sql/output-name'
import { type ParsedStatement, parseStatement } from '../../sql/parse-statement'
import { loadParser } from '../../sql/parser'
import { writesRows } from '../../sql/statement-parts'
import { parametersOf } from '../../sql/tree'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ColumnTypes } from './column-types'
import { asFarTable } from './far-table'
import { HeldColumns, tablesByPlace } from './held-columns'
import type { StatementPlaces } from './statement-places'
import type { ReadStatement, Run, StatementContext } from './statement-run'
import { Views } from './views'

/**
 * SQLSTATEs of a statement that is no longer right for its tables: an undefined column, function, table or type, another number of
 * columns, types that do not go together. PostgreSQL tells them before it reads a row.
 */
const namesUnknown: ReadonlySet<string> = new Set(['42703', '42883', '42P01', '42704', '42601', '42804', '42846'])

/** Types and plans are made anew after this: of a collation that was changed, no statement tells. */
const maxTypesAgeMs = 600_000

interface ReaderParts {
  readonly runtime: ShardRuntime
  readonly catalog: TableCatalog
  readonly places: StatementPlaces
  readonly types: ColumnTypes
}

/**
 * Reads statements, and remembers what was read of a text while what is known of functions, columns and types holds. Work with
 * what is known goes through `asKnown`, which reads anew where tables were altered.
 */
export class StatementReader {
  readonly functions: FunctionCatalog
  readonly columns: HeldColumns
  private readonly read = new WeakMap<ParsedStatement, { readonly read: ReadStatement; readonly version: number }>()
  private readonly gathers = new WeakMap<Node, { readonly analysis: GatherAnalysis; readonly version: number }>()
  private readonly narrowed = new WeakMap<
    Node,
    { readonly known: Map<string, StatementAnalysis>; readonly version: number }
  >()
  private forgotten = 0
  private forgottenAt = Date.now()

  readonly catalog: TableCatalog
  private readonly places: StatementPlaces
  private readonly types: ColumnTypes
  readonly views: Views

  constructor({ runtime, catalog, places, types }: ReaderParts) {
    this.views = new Views(runtime.searchSchemaOf(runtime.map.home))
    this.catalog = catalog
    this.places = places
    this.types = types
    this.functions = new FunctionCatalog(
      new Map(homeFirst(runtime).map((node) => [node, runtime.pool(node).facts.version])),
      async (node, text, values) => runtime.pool(node).background.query(text, values),
    )
    this.columns = new HeldColumns(catalog, runtime)
  }

  /** Reads a text. @returns undefined where it is no SQL, or names no sharded table */
  async understand(text: string): Promise<ReadStatement | undefined> {
    await loadParser()
    const parsed = this.parsed(text)
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
      throw unsupported('Several statements stand in one text.', { statement: text.slice(0, 500) })
    }
    const refused = catalogProblem(statement, this.catalog)
    const read: ReadStatement = {
      parsed,
      statement,
      analysis,
      refused,
      byPlace: tablesByPlace(statement),
      writes: writesRows(statement),
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

  /** A text as it is run: with the queries of the views over shards that it names. */
  private parsed(text: string): ParsedStatement | undefined {
    const parsed = parseStatement(text)
    return parsed && this.views.expand(parsed)
  }

  /**
   * Reads a statement with what is known of its functions and of the columns of its tables; its outputs say the names that they
   * have from the `*` of a subquery.
   */
  async analysed(written: Node): Promise<Pick<ReadStatement, 'statement' | 'analysis'>> {
    await this.functions.ofAny()
    await this.functions.lookFor(functionNames(written))
    await this.columns.learn(tablesByPlace(written))
    const analysis = analyseStatement(written, this.columns.for(written), this.functions)
    if (analysis.starNames.size === 0 || !('SelectStmt' in written)) return { statement: written, analysis }
    const statement = withStarNames(written, (select) => analysis.starNames.get(select))
    return { statement, analysis: analyseStatement(statement, this.columns.for(written), this.functions) }
  }

  /** What a query needs to be answered on one node. */
  gathered({ statement }: Pick<ReadStatement, 'statement'>): GatherAnalysis {
    const known = this.gathers.get(statement)
    if (known?.version === this.version) return known.analysis
    const analysis = analyseGather(statement, this.columns.for(statement), this.functions)
    this.gathers.set(statement, { analysis, version: this.version })
    return analysis
  }

  /** A statement as it is read where only some of its tables are on shards. */
  narrowedTo(narrowing: Narrowing, { statement }: Pick<ReadStatement, 'statement'>): StatementAnalysis {
    const kept = this.narrowed.get(statement)
    const known = kept?.version === this.version ? kept.known : new Map<string, StatementAnalysis>()
    const analysis =
      known.get(narrowing.name) ?? analyseStatement(statement, this.columns.for(statement), this.functions, narrowing)
    this.narrowed.set(statement, { known: known.set(narrowing.name, analysis), version: this.version })
    return analysis
  }

  /** Hears of functions from all nodes that a statement runs on. @returns false where the statement has to be read again */
  async hearsAll(run: Run): Promise<boolean> {
    const shards = run.analysis.clusters.flatMap((cluster) => this.places.shardsOf(cluster, run))
    await this.functions.of([...new Set(shards.map(({ node }) => node))])
    return this.known(run.parsed) !== undefined
  }

  /** What was read of a text, where nothing new was heard of functions and tables since. */
  private known(parsed: ParsedStatement): ReadStatement | undefined {
    const known = this.read.get(parsed)
    return known?.version === this.version ? known.read : undefined
  }

  /** Grows when something new is known of functions or tables. */
  get version(): number {
    return this.functions.version + this.columns.version + this.forgotten
  }

  heldTables({ byPlace }: Pick<ReadStatement, 'byPlace'>, group: string | undefined): readonly HeldTable[] {
    return byPlace.length === 0 ? [] : this.columns.of(byPlace, group)
  }

  /**
   * Works with what is known of columns and types, and once more where that is outdated.
   *
   * @throws ShardedError PLAN_STALE in a transaction, and where the shards of a table differ
   */
  async asKnown<T>(text: string, given: Pick<StatementContext, 'access'>, work: () => Promise<T>): Promise<T> {
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
  private async forgetOutdated(
    error: unknown,
    text: string,
    { access }: Pick<StatementContext, 'access'>,
  ): Promise<void> {
    const isRefusal = error instanceof ShardedError
    if (isRefusal ? error.code !== 'STATEMENT_UNSUPPORTED' : !namesUnknown.has(sqlState(error) ?? '')) throw error
    const parsed = this.parsed(text)
    const read = parsed && this.read.get(parsed)?.read
    const tables = read ? [...read.byPlace, ...read.analysis.homeTables, ...read.analysis.copies] : []
    const hasNews = await this.columns.refresh(tables).catch(() => false)
    if (!hasNews && !isFailedCheck(error, text)) throw asFarTable(error, this.catalog)
    this.forget()
    if (access.transaction && !isRefusal) throw planStale(text, error)
  }

  /** Where shards are altered one after the other, their tables differ for a while. */
  tellOutdated(error: unknown, text: string): never {
    throw isFailedCheck(error, text) ? planStale(text, error) : asFarTable(error, this.catalog)
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

  /** Forgets types and plans that are old: of a collation that was changed, no statement tells. */
  forgetOld(): void {
    if (Date.now() - this.forgottenAt > maxTypesAgeMs) this.forget()
  }
}

const homeFirst = ({ map, nodes }: ShardRuntime): readonly string[] => [
  map.home,
  ...nodes.filter((node) => node !== map.home),
]

const isOfShards = ({ analysis, refused }: ReadStatement): boolean => analysis.uses.length > 0 || refused !== undefined

export const tablesOf = ({ uses }: StatementAnalysis) => [...new Set(uses.map(({ table }) => table))]
