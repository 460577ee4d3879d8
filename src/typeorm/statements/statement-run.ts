import type { Node, RangeVar } from '@pgsql/types'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError, unsupported } from '../../errors/sharded-error'
import type { Row } from '../../merging/row'
import { bindShardNames, placeholderSchema, tableOn } from '../../planning/bind-shard-names'
import type { ShippedRows } from '../../planning/shipped-rows'
import type { SplitLists } from '../../planning/split-lists'
import { localise, type NamedTable, templateOf, templateText } from '../../planning/statement-template'
import type { Cluster } from '../../routing/analysis/findings'
import type { CarriedCalls } from '../../routing/carried-calls'
import type { CatalogProblem } from '../../routing/catalog-names'
import type { Problem } from '../../routing/problem'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import type { TableCatalog } from '../../routing/table-catalog'
import { withoutUnusedCtes } from '../../sql/ctes'
import type { ParsedStatement } from '../../sql/parse-statement'
import { targetTable } from '../../sql/statement-parts'
import { someNode, type TreeObject, visit } from '../../sql/tree'
import type { Shard } from '../../topology/shard'
import type { LookupRoute } from '../lookups/lookup-route'
import type { ShardAccess } from '../runners/shard-access'
import type { RowMoves, ShardTransaction } from '../runners/shard-transaction'

/** How a statement reaches databases: shards, the home node, and a transaction of its own where it writes to several. */
export interface StatementContext {
  readonly access: ShardAccess
  /** Sends a text as it is to the home node. */
  readonly home: (text: string, parameters: readonly unknown[]) => Promise<QueryResult>
  readonly openRunner: () => ShardTransaction
  /** The caller asked for all shards: the scatter policy neither warns nor forbids. */
  readonly isExplicit?: boolean
  /** The shard of its group that the caller named: no condition is asked which it is. */
  readonly pinned?: Shard | undefined
  /**
   * The shard that tables of the placeholder schema mean: TypeORM made the statement for it. What the application's own words
   * name in it means all rows.
   */
  readonly own?: Shard | undefined
  /** A move that the caller asked for: it needs no leave of the entity. */
  readonly moves?: RowMoves | undefined
  /** What lookups leave of the shards of clusters of the statement. */
  readonly lookedUp?: ReadonlyMap<Cluster, LookupRoute>
}

/** One shard of each group that a statement names, all of one node. */
export interface Place {
  readonly shard: Shard
  readonly shards: ReadonlyMap<string, Shard>
}

/** A statement that was read, with all that is the same each time it runs. */
export interface ReadStatement {
  readonly parsed: ParsedStatement
  readonly statement: Node
  readonly analysis: StatementAnalysis
  /** What it says of sharded tables other than by their rows: it is then not run. */
  readonly refused: CatalogProblem | undefined
  /** Tables whose columns it means by their places, as a `*` does. */
  readonly byPlace: readonly RangeVar[]
  /** It writes rows, by itself or in a query of its WITH. */
  readonly writes: boolean
  /** The highest number of a parameter in it: how many it takes. */
  readonly parameterCount: number
  /** What has one value for all shards. */
  readonly carried: CarriedCalls | undefined
  /** The function of sequences that it calls: in all of it, and beside the parts that are run by themselves. */
  readonly sequence: { readonly anywhere: string | undefined; readonly beside: string | undefined }
}

/** One run of a statement. */
export interface Run extends ReadStatement {
  readonly parameters: readonly unknown[]
  readonly context: StatementContext
}

/** One run of a query. */
export interface QueryRun extends Run {
  /** All values as texts, to be sent to another node. */
  readonly asText: boolean
}

/** A run of a planned query on its shards. */
export interface ShardsRun extends QueryRun {
  readonly shards: readonly [Shard, ...Shard[]]
  /** The parameters, and behind them the arrays of shipped rows and of split lists. */
  readonly values: readonly unknown[]
  /** The rows of detached parts, which LIMIT may name as well. */
  readonly shipped: readonly ShippedRows[]
  /** The values with a shard's own part of each list; undefined where all shards have the same. */
  readonly valuesOn: SplitLists['valuesOn']
}

/** Detached parts that were run: what stands in their places. */
export interface Substitutes {
  readonly shipped: readonly ShippedRows[]
  readonly replacements: ReadonlyMap<unknown, (wrapper: TreeObject) => unknown>
  /** The statement's parameters, and the arrays of the shipped rows behind them. */
  readonly values: readonly unknown[]
}

/** The whole text, for one place: with the placeholder schema, or the names of several groups' shards. */
export function wholeText({ parsed, analysis, statement }: ReadStatement, place?: Place): string {
  if (place && place.shards.size > 1) {
    const groups = new Map(analysis.uses.map(({ rangeVar, table }) => [rangeVar, table.group]))
    return templateText(parsed, namedUses(analysis), ({ rangeVar, name }) => {
      const shard = place.shards.get(groups.get(rangeVar) ?? '') ?? place.shard
      return tableOn(name, shard)
    })
  }
  if (
    analysis.uses.some(({ rangeVar: { schemaname } }) => schemaname !== undefined && schemaname !== placeholderSchema)
  ) {
    // `public.order.id` names the column by a place that the table does not have.
    return templateOf(localise(statement, namedUses(analysis))).text
  }
  const tables = namedUses(analysis).filter(({ rangeVar }) => rangeVar.schemaname !== placeholderSchema)
  return tables.length === 0 ? parsed.text : templateText(parsed, tables)
}

/** Each table once: a CTE that is used twice is written once. */
export const namedUses = ({ uses }: StatementAnalysis): readonly NamedTable[] =>
  [...new Map(uses.map((use) => [use.rangeVar, use])).values()].map(({ table, rangeVar }) => ({
    rangeVar,
    name: table.name,
  }))

/**
 * A part of a statement as the shards of one group get it. A query of a WITH that nothing names any more, since its rows were
 * read before, goes where it reads tables that they do not have.
 *
 * @param group undefined for the home node
 */
export function localisedFor<T>(
  tree: T,
  { analysis, group }: { readonly analysis: StatementAnalysis; readonly group: string | undefined },
  replacements: Substitutes['replacements'] = new Map(),
): T {
  const local = localise(tree, namedUses(analysis), replacements)
  const others = new Set(analysis.uses.flatMap(({ table }) => (table.group === group ? [] : [table.name])))
  return others.size === 0 ? local : withoutUnusedCtes(local, (cte) => readsAny(cte, others))
}

const readsAny = (tree: unknown, names: ReadonlySet<string>): boolean =>
  someNode(
    tree,
    ({ schemaname, relname }) => schemaname === placeholderSchema && typeof relname === 'string' && names.has(relname),
  )

/** The tables whose rows are sent to where a statement runs: those that it reads beside the parts that are run first. */
export function sentTables({ statement, analysis }: Run): ReadonlySet<RangeVar> {
  const target = targetTable(statement)
  const apart = new Set<unknown>(analysis.detached.map(({ node }) => node))
  const sent = new Set<RangeVar>()
  if (analysis.sent.length === 0) return sent
  visit(statement, (object) => {
    if (apart.has(object)) return false
    const table = analysis.sent.find((rangeVar) => rangeVar !== target && Object.is(rangeVar, object))
    if (table) sent.add(table)
    return undefined
  })
  return sent
}

/** A table of no entity whose rows would be sent to where a statement runs: its columns are not known. */
export const unknownTable = (run: Run, catalog: TableCatalog): RangeVar | undefined =>
  [...sentTables(run)].find(
    ({ schemaname, relname = '' }) =>
      catalog.table(schemaname, relname) === undefined && catalog.homeColumns(schemaname, relname) === undefined,
  )

export const ofNoEntity = ({ relname = '' }: RangeVar): Problem => ({
  code: 'JOIN_NOT_LOCAL',
  text: `The table ${relname} is of no entity, so that its columns are not known. Name them in a query in FROM.`,
})

/** Why a statement cannot run on its shards; undefined where it can. */
export const problemOf = ({ problems, unproven, main }: StatementAnalysis): Problem | undefined =>
  (main ? [...problems, ...unproven] : problems)[0]

/** @throws ShardedError JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED */
export function refuseProblems(analysis: StatementAnalysis): void {
  const problem = problemOf(analysis)
  if (problem) throw refusalOf(problem, analysis)
}

export const refusalOf = ({ code, text }: Problem, { uses }: StatementAnalysis): ShardedError =>
  new ShardedError(code, text, { details: { tables: [...new Set(uses.map(({ table }) => table.name))] } })

/** @throws ShardedError STATEMENT_UNSUPPORTED where another node than that of the sequences would be asked for a number */
export function refuseFarSequence(call: string | undefined, nodes: readonly string[], home: string): void {
  if (call === undefined || nodes.every((node) => node === home)) return
  throw unsupported(
    `${call}() is about a sequence of the home node, and the statement runs on ${nodes.join(', ')}: ask for the number in a query of its own and pass it as a parameter; in VALUES write (SELECT ${call}(…)).`,
    { function: call, nodes },
  )
}

export const pick = (numbers: readonly number[], values: readonly unknown[]): readonly unknown[] =>
  numbers.map((number) => values[number - 1])

/** A text with its values. */
export interface Question {
  /** With the placeholder schema. */
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** Asks the node of a shard. */
export async function askShard(
  shard: Shard,
  { text, parameters }: Question,
  { access }: StatementContext,
): Promise<readonly Row[]> {
  const [rows = []] = await access.query([
    { node: shard.node, shards: [shard.name], text: bindShardNames(text, shard), parameters },
  ])
  return rows
}

/** Asks the home node. */
export const askHome = async (
  text: string,
  parameters: readonly unknown[],
  { home }: Pick<StatementContext, 'home'>,
): Promise<readonly Row[]> => rowsOf(await home(text, parameters))

/** How statements that run in a transaction of their own reach the home node. */
export const homeWithin =
  (transaction: ShardTransaction): StatementContext['home'] =>
  (text, values) =>
    transaction.query(text, [...values], true)

export const rowsOf = (result: QueryResult): readonly Row[] => result.records ?? []
