import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { carriedSelect, nameOfUse } from '../../planning/detached-parts'
import { explainSource } from '../../planning/explain-plan'
import { fewRows, gatherOrder, type OrderedTable, type SizedTable } from '../../planning/gather-order'
import type { GatherInput, InputSource, ReducedInput } from '../../planning/gather-plan'
import { ColumnArray } from '../../planning/read-plan'
import type { Answer } from '../../planning/shipped-rows'
import type { CarriedTable } from '../../routing/carried-table'
import { closedLinks, type GatherAnalysis, renumbered, type TableLink } from '../../routing/gather-analysis'
import { isHomeTable } from '../../routing/home-table'
import { anyOf, columnNode, targetNode } from '../../sql/nodes'
import type { Run } from './statement-run'

/** What the inputs of a statement are planned with. */
export interface InputPlanner {
  /** Plans what is read of one table. */
  readonly planTable: (select: SelectStmt, run: Run, table: CarriedTable) => Promise<PlannedSource>
  /** How many rows the servers expect. */
  readonly estimate: (source: InputSource, run: Run) => Promise<number>
}

export interface PlannedSource {
  readonly source: InputSource
  readonly columns: Answer['columns']
}

interface PlannedTable extends PlannedSource {
  readonly carried: CarriedTable
}

/** Tables whose rows are read for a statement, in the order in which they are read. */
export interface PlannedInputs {
  readonly inputs: readonly PlannedInput[]
  /** How many rows are expected of all; none where nobody asked. */
  readonly rows: number
}

export interface PlannedInput {
  readonly input: GatherInput
  /** Where it stands for a table: in more than one place where the same rows of it are read for each. */
  readonly places: readonly CarriedTable[]
  readonly columns: Answer['columns']
  /** How many rows are expected to be left of it, once those before it are read. */
  readonly rows: number
  /** Columns by which its rows are looked for. */
  readonly indexed: ReadonlySet<string>
}

export interface WantedInputs {
  readonly gathered: Pick<GatherAnalysis, 'tables' | 'links'>
  /** The tables of it that are read. */
  readonly read: ReadonlySet<RangeVar>
  /** Those of them that are read only where this leaves fewer rows of another. */
  readonly helping: ReadonlySet<RangeVar>
  /** How many rows are expected is asked whatever hangs on it. */
  readonly isCosted: boolean
}

/** Plans how the rows of tables are read: some by the values of others, where these are few. */
export async function planInputs(
  run: Run,
  { gathered, read, helping, isCosted }: WantedInputs,
  given: InputPlanner,
): Promise<PlannedInputs> {
  if (read.size === 0) return { inputs: [], rows: 0 }
  const { tables } = gathered
  const isRead = (number: number) => read.has(tables[number]?.use.rangeVar ?? noTable)
  const isHelper = (number: number) => helping.has(tables[number]?.use.rangeVar ?? noTable)
  const all = new Map<number, PlannedTable>()
  // What a table that stays says of others hangs on the types of its columns.
  for (const [number, carried] of tables.entries())
    if (isRead(number) || gathered.links.filter(({ by, table }) => by === number || table === number).length > 1)
      all.set(number, { carried, ...(await given.planTable(carriedSelect(carried), run, carried)) })
  const usable = gathered.links.filter(
    (link) => isOfOneType(all, link) && (!isHelper(link.by) || isSendable(all.get(link.by))),
  )
  const kept = [...all.keys()].filter(isRead)
  const planned = kept.flatMap((number) => all.get(number) ?? [])
  const links = renumbered(closedLinks(usable), kept)
  const isAsked = links.length > 0 || isCosted
  const rows = isAsked ? await Promise.all(planned.map(({ source }) => given.estimate(source, run))) : undefined
  const sized = await Promise.all(
    planned.map(({ carried }, index) =>
      sizeOf(carried, rows?.[index] ?? 0, { run, given, columns: linked(links, index) }),
    ),
  )
  const order = usefulOf(gatherOrder(sized, links), ({ table }) => isHelper(kept[table] ?? -1))
  const inputs: PlannedInput[] = []
  const numbers = new Map<number, number>()
  const known = new Map<string, number>()
  for (const { table: number, links: own, rows: left } of order) {
    const table = planned[number]
    if (!table) continue
    const { carried, source, columns } = table
    const keys = own.map((link) => ({ column: link.column, key: keyOf(link, { planned, numbers }) }))
    const text = JSON.stringify([explainSource(source), keys])
    const same = known.get(text) ?? inputs.length
    const first = inputs[same]
    // Tables that are read where they are look for its rows too.
    const indexed = new Set([...(first?.indexed ?? []), ...linked(gathered.links, kept[number] ?? -1)])
    const reduced = keys.length > 0 ? reducedInput(table, keys, { run, given }) : undefined
    const input = Object.freeze({ table: nameOfUse(carried.use), source, expected: rows?.[number], reduced })
    inputs[same] = { input, columns, rows: left, ...first, places: [...(first?.places ?? []), carried], indexed }
    numbers.set(number, same)
    known.set(text, same)
  }
  return { inputs, rows: inputs.reduce((sum, one) => sum + one.rows, 0) }
}

const noTable: RangeVar = {}

/** The columns of a table that must equal those of others. */
const linked = (links: readonly TableLink[], number: number): ReadonlySet<string> =>
  new Set(links.flatMap(({ table, column }) => (table === number ? [column] : [])))

interface Sizing {
  readonly run: Run
  readonly given: InputPlanner
  /** The columns by whose values its rows may be asked for. */
  readonly columns: ReadonlySet<string>
}

async function sizeOf(carried: CarriedTable, rows: number, { columns, ...planning }: Sizing): Promise<SizedTable> {
  const asked = rows < fewRows ? [] : [...columns]
  const ofKeys = new Map(
    await Promise.all(
      asked.map(async (column) => [column, rows / (await distinctValues(carried, column, planning))] as const),
    ),
  )
  const isWhole = isHomeTable(carried) && carried.conditions.length === 0
  return { rows, isWhole, rowsOfKey: (column) => ofKeys.get(column) ?? 1 }
}

/** True where all columns of a table have types that other nodes have. */
const isSendable = (table: PlannedTable | undefined): boolean =>
  table?.columns.every(({ type }) => type.kind !== 'enum' && type.kind !== 'composite') ?? false

/**
 * How many values of a column the servers expect in the rows that are read of a table. A value that says nothing of the shard is
 * counted once, though every shard may have it.
 */
async function distinctValues(
  carried: CarriedTable,
  column: string,
  { run, given }: { readonly run: Run; readonly given: InputPlanner },
): Promise<number> {
  const value = columnNode(nameOfUse(carried.use), column)
  const groups = { ...carriedSelect(carried), targetList: [targetNode(value, column)], groupClause: [value] }
  const { source } = await given.planTable(groups, run, carried)
  const counted = await given.estimate(source, run)
  const { locators, owners } = carried.use.table
  const isOfOneShard = locators.some(({ columns }) => columns.length === 1 && columns[0] === column)
  return Math.max(1, isOfOneShard || isHomeTable(carried) ? counted : counted / owners.all.length)
}

/** Of tables that only help to read others, those by which another is read that is needed. */
function usefulOf(
  order: readonly OrderedTable[],
  isHelping: (table: OrderedTable) => boolean,
): readonly OrderedTable[] {
  const used = new Set<number>()
  const kept: OrderedTable[] = []
  for (const table of order.toReversed()) {
    if (isHelping(table) && !used.has(table.table)) continue
    for (const { by } of table.links) used.add(by)
    kept.unshift(table)
  }
  return kept
}

/** Values of one table are asked for in another as they are: both have them by one type and one order. */
function isOfOneType(tables: ReadonlyMap<number, PlannedTable>, { table, column, by, byColumn }: TableLink): boolean {
  const typeOf = (number: number, name: string) => tables.get(number)?.columns.find((one) => one.name === name)?.type
  const [a, b] = [typeOf(table, column), typeOf(by, byColumn)]
  // An array of arrays is no list of arrays.
  const isPlain = a?.kind === 'base' && b?.kind === 'base' && !a.name.endsWith('[]')
  return isPlain && a.name === b.name && a.collation === b.collation
}

/** A column of a table that must equal one of an input before it. */
interface InputKey {
  readonly column: string
  readonly key: ColumnArray
}

/** @param numbers of the inputs that stand for tables */
function keyOf(
  { by, byColumn }: TableLink,
  { planned, numbers }: { readonly planned: readonly PlannedTable[]; readonly numbers: ReadonlyMap<number, number> },
): ColumnArray {
  const place = planned[by]?.columns.findIndex(({ name }) => name === byColumn)
  return new ColumnArray(`c${place}`, numbers.get(by) ?? -1)
}

/** The rows of a table that have values of tables which are read before it. */
function reducedInput(
  { carried }: PlannedTable,
  keys: readonly InputKey[],
  { run, given }: { readonly run: Run; readonly given: InputPlanner },
): ReducedInput {
  const alias = nameOfUse(carried.use)
  const plan = async (lists: readonly (readonly unknown[] | undefined)[]): Promise<InputSource> => {
    const parameters = [...run.parameters]
    const conditions = keys.flatMap(({ column }, index): Node[] => {
      const list = lists[index]
      if (!list) return []
      parameters.push(list)
      return [anyOf(columnNode(alias, column), { ParamRef: { number: parameters.length } })]
    })
    return (await given.planTable(carriedSelect(carried, conditions), { ...run, parameters }, carried)).source
  }
  return Object.freeze({ keys: Object.freeze(keys.map(({ key }) => key)), plan })
}
