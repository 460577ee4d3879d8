import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { bindShardNames, placeholderSchema } from '../../planning/bind-shard-names'
import { carriedSelect, nameOfUse } from '../../planning/detached-parts'
import { gatherOrder, type OrderedTable } from '../../planning/gather-order'
import type { GatherInput, GatherPlan, GatherStatement, ManyRows, ReducedInput } from '../../planning/gather-plan'
import { ColumnArray, type ReadPlan } from '../../planning/read-plan'
import {
  type Answer,
  noteShipped,
  type ShippedRows,
  tableNamed,
  temporaryTable,
  withShippedRows,
} from '../../planning/shipped-rows'
import { localise, type Template, templateOf } from '../../planning/statement-template'
import { columnsOf, outputNames, textsOf } from '../../planning/text-query'
import type { CarriedTable } from '../../routing/carried-table'
import { type GatherAnalysis, type TableLink, withDecidedColumns } from '../../routing/gather-analysis'
import { anyOf, columnNode } from '../../sql/nodes'
import { selectOf } from '../../sql/statement-parts'
import type { TreeObject } from '../../sql/tree'
import type { ColumnTypes } from './column-types'
import type { PlannedTexts } from './query-parts'
import type { StatementPlaces } from './statement-places'
import type { StatementReader } from './statement-reader'
import { localisedFor, namedUses, type QueryRun, type Run } from './statement-run'

interface Given {
  readonly places: StatementPlaces
  readonly reader: StatementReader
  readonly types: ColumnTypes
  /** How many rows the servers expect of a plan. */
  readonly estimate: (plan: ReadPlan, run: Run) => Promise<number>
  /** Plans what is read of one table. */
  readonly planTexts: (select: SelectStmt, run: Run, byPlace: readonly RangeVar[]) => Promise<PlannedTexts>
}

export interface PlannedGather {
  readonly gather: GatherPlan
  readonly columns: Answer['columns']
}

interface PlannedTable {
  readonly carried: CarriedTable
  readonly plan: ReadPlan
  readonly columns: Answer['columns']
}

/**
 * Plans a query that is not local: the rows that it needs of each sharded table go to one node, where it runs over them. Unsharded
 * tables are read where they are.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED where a column has a type that the node lacks; SCATTER_FORBIDDEN, SCATTER_TOO_WIDE
 */
export async function planGather(run: QueryRun, gathered: GatherAnalysis, given: Given): Promise<PlannedGather> {
  const tables: PlannedTable[] = []
  for (const carried of gathered.tables) tables.push(await planTable(carried, run, { given }))
  const links = gathered.links.filter((link) => isOfOneType(tables, link))
  const expected = links.length > 0 ? await Promise.all(tables.map(({ plan }) => given.estimate(plan, run))) : undefined
  const order = gatherOrder(expected ?? tables.map(() => 0), links)
  const shipped: ShippedRows[] = []
  const inputs: GatherInput[] = []
  const replacements = new Map<unknown, (wrapper: TreeObject) => unknown>()
  const values: unknown[] = [...run.parameters]
  for (const { table: number, links: own } of order) {
    const table = tables[number]
    if (!table) continue
    const { columns, carried, plan } = table
    const cte = noteShipped(shipped, columns, values.length + 1)
    values.push(...columns.map((_, index) => new ColumnArray(`c${index}`, inputs.length)))
    const reduced = own.length > 0 ? reducedInput(table, own, { tables, order, run, given }) : undefined
    inputs.push(Object.freeze({ table: nameOfUse(carried.use), source: plan, expected: expected?.[number], reduced }))
    const alias = { aliasname: nameOfUse(carried.use) }
    replacements.set(carried.use.rangeVar, () => ({ RangeVar: { ...tableNamed(cte), alias } }))
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
  const { statement, columns } = await finishing({ bare, shipped }, values, { run, given })
  const many = manyRows({ bare, shipped }, statement, { run, given, gathered, order })
  return { gather: Object.freeze({ kind: 'gather', inputs: Object.freeze(inputs), statement, many }), columns }
}

/** For each input in turn, the columns by which its rows are looked for. */
const indexedOf = (order: readonly OrderedTable[], links: readonly TableLink[]): readonly ReadonlySet<string>[] =>
  order.map(({ table }) => new Set(links.flatMap((link) => (link.table === table ? [link.column] : []))))

interface Copies {
  /** The query, in which the copies stand by their names. */
  readonly bare: Template
  readonly shipped: readonly ShippedRows[]
}

/**
 * The copies as temporary tables. A transaction that has seen one cannot be prepared, so that within a transaction of the caller there
 * are none; nor where a table is of no entity, and so may be one of the caller's session.
 */
function manyRows(
  { bare, shipped }: Copies,
  { node, shard, parameters }: GatherStatement,
  {
    run,
    given: { places, reader },
    gathered,
    order,
  }: {
    readonly run: QueryRun
    readonly given: Given
    readonly gathered: GatherAnalysis
    readonly order: readonly OrderedTable[]
  },
): ManyRows | undefined {
  const { operation } = run.context.access
  const at = shard ?? places.shardOn(node)
  const isOfSession = gathered.homeTables.some(
    ({ schemaname, relname = '' }) => !reader.catalog.homeColumns(schemaname, relname),
  )
  if (!at || run.asText || operation.transaction || isOfSession) return undefined
  const indexed = indexedOf(order, gathered.links)
  const bound = (one: string) => (shard ? bindShardNames(one, shard) : one)
  const tables = shipped.map((rows, index) => {
    const { create, fill, ...rest } = temporaryTable(rows, indexed[index] ?? new Set())
    return Object.freeze({ ...rest, create: bound(create), fill: bound(fill) })
  })
  const given = parameters.slice(0, bare.parameters.length)
  return Object.freeze({
    tables: Object.freeze(tables),
    statement: Object.freeze({ node, shard: at, text: bound(bare.text), parameters: Object.freeze(given) }),
  })
}

/** Plans what is read of a table. @param more conditions on its columns */
async function planTable(
  carried: CarriedTable,
  run: QueryRun,
  { given, more = [] }: { readonly given: Given; readonly more?: readonly Node[] },
): Promise<PlannedTable> {
  const byPlace = run.byPlace.filter((table) => table === carried.use.rangeVar)
  const planned = await given.planTexts(carriedSelect(carried, more), run, byPlace)
  if (!planned.plan) throw new RangeError('The rows of one table have a plan.')
  return { carried, plan: planned.plan, columns: planned.columns }
}

/** Values of one table are asked for in another as they are: both have them by one type and one order. */
function isOfOneType(tables: readonly PlannedTable[], { table, column, by, byColumn }: TableLink): boolean {
  const typeOf = (number: number, name: string) => tables[number]?.columns.find((one) => one.name === name)?.type
  const [a, b] = [typeOf(table, column), typeOf(by, byColumn)]
  // An array of arrays is no list of arrays.
  const isPlain = a?.kind === 'base' && b?.kind === 'base' && !a.name.endsWith('[]')
  return isPlain && a.name === b.name && a.collation === b.collation
}

/** The rows of a table that have values of tables which are read before it. */
function reducedInput(
  { carried }: PlannedTable,
  links: readonly TableLink[],
  {
    tables,
    order,
    run,
    given,
  }: {
    readonly tables: readonly PlannedTable[]
    readonly order: readonly OrderedTable[]
    readonly run: QueryRun
    readonly given: Given
  },
): ReducedInput {
  const alias = nameOfUse(carried.use)
  const keys = links.map(({ by, byColumn }) => {
    const place = tables[by]?.columns.findIndex(({ name }) => name === byColumn)
    return new ColumnArray(
      `c${place}`,
      order.findIndex(({ table }) => table === by),
    )
  })
  const plan = async (lists: readonly (readonly unknown[] | undefined)[]): Promise<ReadPlan> => {
    const parameters = [...run.parameters]
    const conditions = links.flatMap(({ column }, index): Node[] => {
      const list = lists[index]
      if (!list) return []
      parameters.push(list)
      return [anyOf(columnNode(alias, column), { ParamRef: { number: parameters.length } })]
    })
    return (await planTable(carried, { ...run, parameters }, { given, more: conditions })).plan
  }
  return Object.freeze({ keys: Object.freeze(keys), plan })
}

/** The query over the copies, as texts where another node is sent its rows. */
async function finishing(
  { bare, shipped }: Copies,
  values: readonly unknown[],
  { run, given: { places, reader, types: known } }: { readonly run: QueryRun; readonly given: Given },
): Promise<{ readonly statement: GatherPlan['statement']; readonly columns: Answer['columns'] }> {
  const { analysis, context, asText, byPlace } = run
  const template = withShippedRows(bare, shipped)
  const needsTypes = template.text.includes(`"${placeholderSchema}"`)
  const shard = needsTypes ? places.typesFor(analysis) : undefined
  const parameters = template.parameters.map((number) => values[number - 1])
  const at = { node: shard?.node ?? places.home, shard, parameters: Object.freeze(parameters) }
  const bound = (text: string) => (shard ? bindShardNames(text, shard) : text)
  if (!asText) return { statement: Object.freeze({ ...at, text: bound(template.text) }), columns: [] }
  const names = outputNames(selectOf(run.statement), analysis)
  const none = values.map((value) => (value instanceof ColumnArray ? [] : value))
  const types = await known.describe(template, names.length, { shard, values: none, context })
  const homeTables = reader.heldTables({ byPlace }, undefined)
  const text = bound(textsOf(template.text, types, homeTables))
  return { statement: Object.freeze({ ...at, text }), columns: columnsOf(names, types) }
}
