import type { InsertStmt, Node, SelectStmt } from '@pgsql/types'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import type { WriteOrder } from '../../lookups/write-order'
import { withConflictPlaces } from '../../planning/conflict-places'
import { placeColumn, withRowPlaces } from '../../planning/row-places'
import { noteShipped, tableNamed, withShippedRows } from '../../planning/shipped-rows'
import { templateOf } from '../../planning/statement-template'
import { planWrite, type WriteFacts, type WritePlan } from '../../planning/write-plan'
import type { Arm } from '../../query/arm-source'
import type { InsertedRows, StatementWrite } from '../../query/write-query'
import type { Cluster } from '../../routing/analysis/findings'
import { conflictTarget } from '../../routing/conflict-target'
import { ownerOf } from '../../routing/route'
import type { TableUse } from '../../routing/scope'
import { isPlaced, type ShardedTable } from '../../routing/table-catalog'
import { withCtes } from '../../sql/ctes'
import { columnNode, selectNode, targetNode } from '../../sql/nodes'
import { allOf, fieldsOf, parametersOf } from '../../sql/tree'
import type { Shard } from '../../topology/shard'
import { refuseLookupConflicts } from '../binding/refuse-lookup-conflicts'
import { placesByReference } from '../reads/places-by-reference'
import { valuesOrder, withIds } from '../writes/inserted-values'
import { writeFacts } from '../writes/write-shards'
import { broadcastWrite } from './broadcast'
import { planInsertAtHome } from './insert-at-home'
import { type ReadColumn, type RowsInsert, withReadRows } from './insert-rows'
import { localSource, planInsertSelect } from './insert-select'
import {
  columnList,
  idsTellShards,
  insertedColumns,
  isMissing,
  keyOfRow,
  notPlaceable,
  withGeneratedKeys,
} from './inserted-keys'
import { refuseConflictKeys } from './key-change'
import type { PlannedWrite, StatementWriter } from './planned-write'
import {
  localisedFor,
  pick,
  type Run,
  refuseFarSequence,
  refuseProblems,
  type StatementContext,
  type Substitutes,
} from './statement-run'

/**
 * Plans an INSERT: its VALUES are split by their shard keys. INSERT … SELECT runs within each shard, where its rows stay on the shard
 * that they come from; else they are read first.
 */
export async function planInsert(engine: StatementWriter, write: Run, statement: InsertStmt): Promise<PlannedWrite> {
  const use = targetUse(write, statement)
  if (!use) return planInsertAtHome(engine, write, statement)
  const target = conflictTarget(statement, use.table)
  const setsKey = refuseConflictKeys(statement, use.table, target)
  refuseLookupConflicts(statement, use.table, engine.runtime.lookups)
  const select = fieldsOf(statement.selectStmt, 'SelectStmt')
  if (!select) throw notPlaceable('An INSERT of default values', use.table)
  const source = sourceOnShards(write, statement)
  if (source) return planInsertSelect(engine, write, { insertion: statement, select, use, source })
  const given = { write, insertion: statement, select }
  return planRows(engine, select.valuesLists ? given : await withReadRows(engine, given, use), { use, target, setsKey })
}

const targetUse = ({ analysis }: Run, { relation }: InsertStmt): TableUse | undefined =>
  analysis.uses.find(({ rangeVar }) => rangeVar === relation)

/** The tables of an INSERT … SELECT that runs within each shard; undefined where its rows are read first, and of VALUES. */
function sourceOnShards(write: Run, statement: InsertStmt): Cluster | undefined {
  const use = targetUse(write, statement)
  if (!use || fieldsOf(statement.selectStmt, 'SelectStmt')?.valuesLists) return undefined
  const isAnywhere = conflictTarget(statement, use.table) !== undefined && !idsTellShards(use.table)
  return isAnywhere ? undefined : localSource(write, statement, use)
}

/** The query whose rows an INSERT puts on the shards of their keys, where it is read first. */
export function queryReadFirst(write: Run): SelectStmt | undefined {
  const insertion = fieldsOf(write.statement, 'InsertStmt')
  const select = fieldsOf(insertion?.selectStmt, 'SelectStmt')
  if (!insertion || !select || select.valuesLists || !targetUse(write, insertion)) return undefined
  if (sourceOnShards(write, insertion)) return undefined
  return insertion.withClause ? withCtes(select, insertion.withClause) : select
}

interface InsertConflict {
  readonly use: TableUse
  readonly target: ReturnType<typeof conflictTarget>
  readonly setsKey: ReturnType<typeof refuseConflictKeys>
}

/** Plans an INSERT of VALUES: each row goes to the shard of its key. */
async function planRows(
  engine: StatementWriter,
  { write: given, insertion: statement, select, columns }: RowsInsert,
  { use, target, setsKey }: InsertConflict,
): Promise<PlannedWrite> {
  const write = await broadcastWrite(given, engine)
  const insertion = await completeRows(engine, write, { insertion: statement, select, use, columns })
  const { complete, places, shards, isGiven } = insertion
  const facts = await writeFacts(write.context.access, { kind: 'values' })
  const order = statement.onConflictClause && valuesOrder(engine.runtime.bindingOf(use.table.entity?.target), complete)
  if (!target) return { kind: 'shards', plan: planValues(insertion, { taken: places, facts, order }), order }
  // Inside of the transaction in which the places are looked for.
  const within = { ...facts, isInTransaction: true }
  const planFor = (taken: readonly (number | undefined)[]) => planValues(insertion, { taken, facts: within, order })
  const conflicting = {
    table: use.table,
    target,
    doesNothing: statement.onConflictClause?.action === 'ONCONFLICT_NOTHING',
    setsKey,
    inserted: complete,
    isMade: (row: number) => !isGiven(row),
    places,
    shards,
  }
  return { kind: 'shards', plan: withConflictPlaces(conflicting, planFor), order }
}

/** An INSERT of VALUES. */
interface ValuesInsert extends Pick<RowsInsert, 'insertion' | 'select' | 'columns'> {
  readonly use: TableUse
}

/** An INSERT of VALUES whose rows have their keys and ids, and the shards that these tell. */
interface CompleteInsert extends ValuesInsert {
  readonly write: Run
  readonly home: string
  readonly complete: InsertedRows
  readonly substitutes: Substitutes
  readonly places: readonly number[]
  /** All shards of the table. */
  readonly shards: readonly Shard[]
  /** Whether a row came with its id: one that is made is new. */
  readonly isGiven: (row: number) => boolean
}

/** @throws ShardedError KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, KEY_CONFLICT, STATEMENT_UNSUPPORTED */
async function completeRows(
  engine: StatementWriter,
  write: Run,
  { insertion, select, use, columns: read }: ValuesInsert,
): Promise<CompleteInsert> {
  const { runtime } = engine
  const { table } = use
  const columns = insertedColumns(insertion, table)
  const rows = allOf(select.valuesLists, 'List').map(({ items = [] }) => items)
  if (rows.some((row) => row.length > columns.length))
    throw notPlaceable('An INSERT without a list of columns, of more values than the table has columns,', table)
  // What its VALUES ask of other shards is read once, before any row is there.
  const substitutes = await engine.substitute(write)
  const keyed = withGeneratedKeys(table, { columns, rows, values: substitutes.values })
  const binding = table.entity && table.idColumn !== undefined ? runtime.bindingOf(table.entity.target) : undefined
  const complete = await withIds(keyed, {
    table,
    binding,
    keyOf: (row, inserted) => keyOfRow(table, inserted, row),
  })
  const placeBy = (keyColumns: readonly string[], row: number): number => {
    if (!isPlaced(table)) throw new RangeError(`${table.name} has the key of no entity.`)
    return ownerOf(table, keyOfRow({ ...table, keyColumns }, complete, row))
  }
  const byKey = table.keyColumns.length > 0 ? complete.rows.map((_, row) => placeBy(table.keyColumns, row)) : undefined
  const byReference = () => placesByReference(write.context.access, table, { inserted: complete, placeBy })
  return {
    insertion,
    select,
    use,
    columns: read,
    write,
    home: runtime.map.home,
    complete,
    substitutes,
    places: byKey && table.isOwn ? byKey : await byReference(),
    shards: runtime.map.groups.get(table.group) ?? [],
    isGiven: (row) => !isMissing(keyed, row, table.idColumn),
  }
}

interface TakenPlaces {
  /** The shard of each row; undefined for a row that is left out. */
  readonly taken: readonly (number | undefined)[]
  readonly facts: WriteFacts
  readonly order: WriteOrder | undefined
}

/** The plan of an INSERT of rows whose shards are known. @throws ShardedError WRONG_SHARD, STATEMENT_UNSUPPORTED, JOIN_NOT_LOCAL */
function planValues(insert: CompleteInsert, { taken, facts, order }: TakenPlaces): WritePlan {
  const { insertion, select, use, write, home } = insert
  const byShard = rowsByShard(insert, taken)
  if (byShard.size > 1) {
    refuseProblems(write.analysis)
    if (select.sortClause || select.limitCount || select.limitOffset)
      throw notPlaceable('VALUES with ORDER BY, LIMIT or OFFSET, of rows of several shards,', use.table)
  }
  const nodes = [...new Set([...byShard.keys()].map(({ node }) => node))]
  refuseFarSequence(write.sequence.beside, nodes, home)
  // Rows may be left out: what is returned would not tell whose it is.
  const isTold = byShard.size > 1 && insertion.onConflictClause !== undefined && insertion.returningClause !== undefined
  const column = isTold ? placeColumn(insertion, use.table.columns.keys()) : undefined
  const query: StatementWrite = {
    kind: 'statement',
    arms: [...byShard].map(([shard, rows]) => insertArm(insert, { shard, rows, placeColumn: column })),
    united: undefined,
    alsoWritten: [],
    order: order && 'by-row',
    answer: column ? { kind: 'told-places', column } : { kind: 'values', places: [...byShard.values()] },
  }
  return planWrite(query, facts)
}

function rowsByShard(
  { use: { table }, shards, write: { context } }: CompleteInsert,
  taken: TakenPlaces['taken'],
): ReadonlyMap<Shard, readonly number[]> {
  const byShard = new Map<Shard, number[]>()
  for (const [row, index] of taken.entries()) {
    if (index === undefined) continue
    const shard = shards[index]
    if (!shard) throw new RangeError(`There is no shard number ${index}.`)
    refuseOtherShard(table, shard, context)
    pushTo(byShard, shard, row)
  }
  return byShard
}

interface ShardRows {
  readonly shard: Shard
  readonly rows: readonly number[]
  /** The column in which returned rows say their places. */
  readonly placeColumn: string | undefined
}

/** The INSERT of one shard's rows. */
function insertArm(insert: CompleteInsert, { shard, rows, placeColumn: column }: ShardRows): Arm {
  const { insertion, select, use, write, complete, substitutes, columns } = insert
  if (columns?.length === complete.columns.length && !column) return arraysArm(insert, columns, { shard, rows })
  const valuesLists = rows.map((row): Node => ({ List: { items: [...(complete.rows[row] ?? [])] } }))
  const own: InsertStmt = {
    ...insertion,
    cols: columnList(complete.columns),
    selectStmt: { SelectStmt: { ...select, valuesLists } },
  }
  const part: Node = { InsertStmt: column ? withRowPlaces(own, { column, places: rows }) : own }
  const { replacements, shipped } = substitutes
  const local = localisedFor(part, { analysis: write.analysis, group: use.table.group }, replacements)
  const { text, parameters } = withShippedRows(templateOf(local), shipped)
  return { shard, text, parameters: pick(parameters, complete.values) }
}

/** Rows that were read come as one array a column: a text with a parameter for each value would take long to make and to read. */
function arraysArm(
  { insertion, use, write, complete, substitutes }: CompleteInsert,
  columns: readonly ReadColumn[],
  { shard, rows }: Pick<ShardRows, 'shard' | 'rows'>,
): Arm {
  const { shipped, replacements } = substitutes
  const own = [...shipped]
  const cte = noteShipped(own, columns, complete.values.length + 1)
  const numbers = columns.map((_, index) => rows.map((row) => parametersOf(complete.rows[row]?.[index])[0]))
  const [first = 0] = rows
  const targetList = columns.map(({ name, isOpen }, index) => {
    const value = isOpen ? complete.rows[first]?.[index] : undefined
    return targetNode(value ?? columnNode(cte, name), name)
  })
  const query = selectNode({ targetList, fromClause: [{ RangeVar: tableNamed(cte) }] })
  const part: Node = {
    InsertStmt: { ...insertion, cols: columnList(complete.columns), selectStmt: { SelectStmt: query } },
  }
  const local = localisedFor(part, { analysis: write.analysis, group: use.table.group }, replacements)
  const { text, parameters } = withShippedRows(templateOf(local), own)
  const arrays = numbers.map((list) =>
    list.map((number) => (number === undefined ? null : complete.values[number - 1])),
  )
  return { shard, text, parameters: pick(parameters, [...complete.values, ...arrays]) }
}

/** @throws ShardedError WRONG_SHARD for a row of another shard than the one that the caller named */
function refuseOtherShard({ entity, name, group }: ShardedTable, shard: Shard, { pinned }: StatementContext): void {
  if (!pinned || pinned.group !== group || pinned.name === shard.name) return
  throw new ShardedError(
    'WRONG_SHARD',
    `The row belongs to shard ${shard.name}, the statement is narrowed to ${pinned.name}.`,
    {
      details: { entity: entity?.name ?? name, shard: shard.name, narrowedTo: pinned.name },
    },
  )
}
