import type { Node } from '@pgsql/types'
import { bindShardNames, groupsOfTypes } from '../../planning/bind-shard-names'
import { nameOfUse, standFor } from '../../planning/detached-parts'
import {
  type GatherPlan,
  type GatherStatement,
  type ManyRows,
  manyAskedByRow,
  manyGathered,
} from '../../planning/gather-plan'
import { ColumnArray } from '../../planning/read-plan'
import {
  type Answer,
  noteShipped,
  type ShippedRows,
  temporaryTable,
  withShippedRows,
} from '../../planning/shipped-rows'
import { localise, type Template, templateOf } from '../../planning/statement-template'
import { columnsOf, outputNames, textsOf } from '../../planning/text-query'
import type { CarriedTable } from '../../routing/carried-table'
import { type GatherAnalysis, groupedTables, withDecidedColumns } from '../../routing/gather-analysis'
import { isHomeTable } from '../../routing/home-table'
import { selectOf } from '../../sql/statement-parts'
import { namesOf, someNode, type TreeObject } from '../../sql/tree'
import type { ColumnTypes } from './column-types'
import { type InputPlanner, type PlannedInput, planInputs } from './plan-inputs'
import type { StatementPlaces } from './statement-places'
import type { StatementReader } from './statement-reader'
import { localisedFor, namedUses, type QueryRun } from './statement-run'

interface Given extends InputPlanner {
  readonly places: StatementPlaces
  readonly reader: StatementReader
  readonly types: ColumnTypes
}

export interface PlannedGather {
  readonly gather: GatherPlan
  readonly columns: Answer['columns']
  /** How many rows are expected to be copied, and how many of the largest table; none where nobody asked. */
  readonly rows: number
  readonly most: number
}

/**
 * Plans a query that is not local: the rows that it needs of each sharded table go to one node, where it runs over them. Unsharded
 * tables are read where they are, but for those whose values leave few rows of others.
 *
 * @param isCosted how many rows are expected is asked whatever hangs on it
 * @throws ShardedError STATEMENT_UNSUPPORTED where a column has a type that the node lacks; SCATTER_FORBIDDEN, SCATTER_TOO_WIDE
 */
export async function planGather(
  run: QueryRun,
  { gathered, isCosted }: { readonly gathered: GatherAnalysis; readonly isCosted: boolean },
  given: Given,
): Promise<PlannedGather> {
  const copied = copiedTables(run, gathered, given.places)
  const { inputs, rows } = await planInputs(run, { gathered, ...copied, isCosted }, given)
  const shipped: ShippedRows[] = []
  const replacements = new Map<unknown, (wrapper: TreeObject) => unknown>()
  const values: unknown[] = [...run.parameters]
  for (const [input, { columns, places }] of inputs.entries()) {
    const cte = noteShipped(shipped, columns, values.length + 1)
    values.push(...columns.map((_, index) => new ColumnArray(`c${index}`, input)))
    standFor(places, cte, replacements)
  }
  for (const grouping of gathered.groupings) {
    const groupClause = withDecidedColumns(grouping, gathered.tables)
    // A copy: the query itself would be replaced without end.
    const select = groupClause && { ...grouping.select, groupClause: [...groupClause] }
    if (select) replacements.set(grouping.select, () => localise(select, namedUses(run.analysis), replacements))
  }
  const query = selectOf(run.statement)
  const local = localisedFor(query, { analysis: run.analysis, group: undefined }, replacements)
  const bare = templateOf({ SelectStmt: local })
  const homeTables = run.analysis.homeTables.filter(
    (table) => !inputs.some(({ places }) => places.some(({ use }) => use.rangeVar === table)),
  )
  const isAtHome = homeTables.length > 0 || gathered.callsUnproven
  const { statement, columns, textOf } = await finishing({ bare, shipped, isAtHome }, values, { run, given })
  const many = manyRows({ bare, shipped }, { ...statement, text: textOf(bare.text) }, { run, given, gathered, inputs })
  const gather: GatherPlan = Object.freeze({
    kind: 'gather',
    inputs: Object.freeze(inputs.map(({ input }) => input)),
    statement,
    many,
  })
  const most = Math.max(0, ...inputs.map(({ rows }) => rows))
  return { gather, columns, rows, most }
}

/**
 * The sharded tables, and those of the home node by whose values others may be read; all of the home node, where the query needs
 * types that only shards have, and the home node has no shard with them.
 */
function copiedTables(
  { statement, analysis }: QueryRun,
  { tables, links, groupings }: GatherAnalysis,
  places: StatementPlaces,
) {
  const grouped = groupedTables(groupings)
  const homes = new Set(analysis.homeTables)
  const typed = tables.flatMap(({ use: { table } }) => (table.hasOwnTypes ? [table.group] : []))
  const isElsewhere = !places.hasTypesAtHome(new Set(typed))
  const isTelling = (carried: CarriedTable, number: number): boolean =>
    (isElsewhere ||
      (links.some((link) => link.by === number) &&
        (carried.conditions.length > 0 || links.some((link) => link.table === number)))) &&
    homes.has(carried.use.rangeVar) &&
    !grouped.has(carried.use.rangeVar) &&
    !isNamedWhole(carried, statement)
  const ranges = (isWanted: (carried: CarriedTable, number: number) => boolean) =>
    new Set(tables.filter(isWanted).map(({ use }) => use.rangeVar))
  return {
    read: ranges((carried, number) => !isHomeTable(carried) || isTelling(carried, number)),
    helping: ranges((carried) => isHomeTable(carried) && !isElsewhere),
  }
}

/** True where a statement names the rows of a table, or a column by the table's schema: a copy has neither. */
const isNamedWhole = ({ use }: CarriedTable, statement: Node): boolean =>
  someNode(statement, ({ ColumnRef: column }) => {
    const names = namesOf(column?.fields) ?? []
    return names.length > 2 || names.join('.') === nameOfUse(use)
  })

interface Copies {
  /** The query, in which the copies stand by their names. */
  readonly bare: Template
  readonly shipped: readonly ShippedRows[]
}

interface FinishedCopies extends Copies {
  /** It asks the home node for something: tables that are not copied, functions. */
  readonly isAtHome: boolean
}

/**
 * The copies as temporary tables. A transaction that has seen one cannot be prepared, so that within a transaction of the caller there
 * are none; nor where a table is of no entity, and so may be one of the caller's session; nor where a function may write, since
 * nothing stays of theirs.
 */
function manyRows(
  { bare, shipped }: Copies,
  { node, shard, text, parameters }: GatherStatement,
  {
    run,
    given: { places },
    gathered,
    inputs,
  }: {
    readonly run: QueryRun
    readonly given: Given
    readonly gathered: GatherAnalysis
    readonly inputs: readonly PlannedInput[]
  },
): ManyRows | undefined {
  const { operation } = run.context.access
  const at = shard ?? places.shardOn(node)
  if (!at || operation.transaction || gathered.homeTables.length > 0 || gathered.callsUnproven) return undefined
  const bound = (one: string) => (shard ? bindShardNames(one, shard) : one)
  const tables = shipped.map((rows, index) => {
    const { create, fill, ...rest } = temporaryTable(rows, inputs[index]?.indexed ?? new Set())
    return Object.freeze({ ...rest, create: bound(create), fill: bound(fill) })
  })
  const given = parameters.slice(0, bare.parameters.length)
  const isAskedByRow = inputs.some(({ places }) => places.some(({ use }) => gathered.askedByRow.has(use.rangeVar)))
  return Object.freeze({
    from: isAskedByRow ? manyAskedByRow : manyGathered,
    tables: Object.freeze(tables),
    statement: Object.freeze({ node, shard: at, text, parameters: Object.freeze(given) }),
  })
}

interface Finishing {
  readonly statement: GatherStatement
  readonly columns: Answer['columns']
  /** Another text of the query as it is sent: with the names of the shard, its values as texts where they go on. */
  readonly textOf: (text: string) => string
}

/** The query over the copies, as texts where another node is sent its rows. */
async function finishing(
  { bare, shipped, isAtHome }: FinishedCopies,
  values: readonly unknown[],
  { run, given: { places, reader, types: known } }: { readonly run: QueryRun; readonly given: Given },
): Promise<Finishing> {
  const { analysis, context, asText, byPlace } = run
  const template = withShippedRows(bare, shipped)
  const groups = groupsOfTypes(template.text)
  const shard = groups.size > 0 ? places.typesFor(groups, isAtHome) : undefined
  const parameters = template.parameters.map((number) => values[number - 1])
  const at = { node: shard?.node ?? places.home, shard, parameters: Object.freeze(parameters) }
  const bound = (text: string) => (shard ? bindShardNames(text, shard) : text)
  if (!asText) return { statement: Object.freeze({ ...at, text: bound(template.text) }), columns: [], textOf: bound }
  const names = outputNames(selectOf(run.statement), analysis)
  const none = values.map((value) => (value instanceof ColumnArray ? [] : value))
  const types = await known.describe(template, names.length, { shard, values: none, context })
  const held = reader.heldTables({ byPlace }, undefined)
  const textOf = (text: string) => bound(textsOf(text, types, held))
  const statement = Object.freeze({ ...at, text: textOf(template.text) })
  return { statement, columns: columnsOf(names, types), textOf }
}
