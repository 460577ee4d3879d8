import type { RangeVar, SelectStmt } from '@pgsql/types'
import { bindShardNames, placeholderSchema } from '../../planning/bind-shard-names'
import { carriedSelect, nameOfUse } from '../../planning/detached-parts'
import type { GatherPlan } from '../../planning/gather-plan'
import { ColumnArray, type ReadPlan } from '../../planning/read-plan'
import { type Answer, noteShipped, type ShippedRows, tableNamed, withShippedRows } from '../../planning/shipped-rows'
import { localise, type Template, templateOf } from '../../planning/statement-template'
import { columnsOf, outputNames, textsOf } from '../../planning/text-query'
import { type GatherAnalysis, withDecidedColumns } from '../../routing/gather-analysis'
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
  /** Plans what is read of one table. */
  readonly planTexts: (select: SelectStmt, run: Run, byPlace: readonly RangeVar[]) => Promise<PlannedTexts>
}

export interface PlannedGather {
  readonly gather: GatherPlan
  readonly columns: Answer['columns']
}

/**
 * Plans a query that is not local: the rows that it needs of each sharded table go to one node, where it runs over them. Unsharded
 * tables are read where they are.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED where a column has a type that the node lacks; SCATTER_FORBIDDEN, SCATTER_TOO_WIDE
 */
export async function planGather(run: QueryRun, gathered: GatherAnalysis, given: Given): Promise<PlannedGather> {
  const inputs: ReadPlan[] = []
  const shipped: ShippedRows[] = []
  const replacements = new Map<unknown, (wrapper: TreeObject) => unknown>()
  const values: unknown[] = [...run.parameters]
  for (const carried of gathered.tables) {
    const { use } = carried
    const byPlace = run.byPlace.filter((table) => table === use.rangeVar)
    const planned = await given.planTexts(carriedSelect(carried), run, byPlace)
    if (!planned.plan) throw new RangeError('The rows of one table have a plan.')
    const { columns, plan } = planned
    const cte = noteShipped(shipped, columns, values.length + 1)
    values.push(...columns.map((_, index) => new ColumnArray(`c${index}`, inputs.length)))
    inputs.push(plan)
    const alias = { aliasname: nameOfUse(use) }
    replacements.set(use.rangeVar, () => ({ RangeVar: { ...tableNamed(cte), alias } }))
  }
  for (const grouping of gathered.groupings) {
    const groupClause = withDecidedColumns(grouping, gathered.tables)
    // A copy: the query itself would be replaced without end.
    const select = groupClause && { ...grouping.select, groupClause: [...groupClause] }
    if (select) replacements.set(grouping.select, () => localise(select, namedUses(run.analysis), replacements))
  }
  const query = selectOf(run.statement)
  const local = localisedFor(query, { analysis: run.analysis, group: undefined }, replacements)
  const template = withShippedRows(templateOf({ SelectStmt: local }), shipped)
  const { statement, columns } = await finishing(template, values, { run, given })
  return { gather: Object.freeze({ kind: 'gather', inputs: Object.freeze(inputs), statement }), columns }
}

/** The query over the copies, as texts where another node is sent its rows. */
async function finishing(
  template: Template,
  values: readonly unknown[],
  { run, given: { places, reader, types: known } }: { readonly run: QueryRun; readonly given: Given },
): Promise<{ readonly statement: GatherPlan['statement']; readonly columns: Answer['columns'] }> {
  const { analysis, context, asText, byPlace } = run
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
