import { randomUUID } from 'node:crypto'
import type { InsertStmt, Node, SelectStmt } from '@pgsql/types'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError } from '../../errors/sharded-error'
import { placeholderSchema } from '../../planning/bind-shard-names'
import { takePlace, withRowPlaces } from '../../planning/row-places'
import { expandedTargets } from '../../planning/rows-template'
import type { HeldTable } from '../../planning/schema-check'
import { withShippedRows } from '../../planning/shipped-rows'
import { splitLists } from '../../planning/split-lists'
import { templateOf } from '../../planning/statement-template'
import { type ConflictTarget, conflictTarget } from '../../routing/conflict-target'
import { knownValue } from '../../routing/known-value'
import { pinnedKey } from '../../routing/pinned-key'
import { pinnedSlot } from '../../routing/pinned-slot'
import type { Predicate } from '../../routing/predicate'
import { keyText, ownerOf } from '../../routing/route'
import { clusterPredicate } from '../../routing/route-cluster'
import type { TableUse } from '../../routing/scope'
import type { Cluster, StatementAnalysis } from '../../routing/statement-analysis'
import type { ShardedTable } from '../../routing/table-catalog'
import { targetTable } from '../../sql/statement-parts'
import { namesOf } from '../../sql/tree'
import type { Shard } from '../../topology/shard'
import { type TypedValue, valueToStore } from '../../values/converted-value'
import { keepsValues, storedKey, storedKeyOf } from '../../values/stored-key'
import type { EntityBinding } from '../binding/entity-binding'
import { refuseLookupConflicts } from '../binding/refuse-lookup-conflicts'
import { type InsertedRows, placesByReference } from '../reads/places-by-reference'
import { inTransaction } from '../runners/in-transaction'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import { withoutTransactionEvents } from '../runners/without-transaction-events'
import { withIds } from '../writes/insert-ids'
import { valuesOrder } from '../writes/values-order'
import { writeShards } from '../writes/write-shards'
import { conflictPlaces, looksUp, moveFirst } from './conflict-places'
import {
  localisedFor,
  pick,
  queryOn,
  type ReadStatement,
  refuseFarSequence,
  refuseProblems,
  rowsOf,
  type StatementContext,
  type Substitutes,
} from './statement-run'

/** What the writing of a statement asks of the engine. */
export interface StatementWriter {
  readonly runtime: ShardRuntime
  substitute(run: Write): Promise<Substitutes>
  allowedShards(cluster: Cluster, run: Pick<Write, 'parameters' | 'context'>, writes: boolean): readonly Shard[]
  /** Tables of a group whose columns a statement names because a `*` means them. */
  heldTables(read: Pick<ReadStatement, 'byPlace'>, group: string | undefined): readonly HeldTable[]
}

export interface Write extends ReadStatement {
  readonly parameters: readonly unknown[]
  readonly context: StatementContext
}

/**
 * Runs an INSERT, UPDATE or DELETE on its shards: on several in one transaction a node, all committed only after all have
 * succeeded. Affected rows are summed, RETURNING rows follow each other; those of an INSERT in the order of its VALUES.
 *
 * @throws ShardedError KEY_MISSING, KEY_CHANGED, KEY_NOT_OWNED, JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED, PARTIAL_COMMIT
 */
export async function writeStatement(engine: StatementWriter, write: Write): Promise<QueryResult> {
  const { statement, analysis, context } = write
  if ('InsertStmt' in statement) return insert(engine, write, statement.InsertStmt)
  refuseProblems(analysis)
  const substitutes = await engine.substitute(write)
  if (!analysis.main) return writeHome(write, substitutes)
  const { shipped } = substitutes
  const mainGroup = [...analysis.main.uses][0]?.table.group
  const templateWith = (replacements: Substitutes['replacements']) =>
    withShippedRows(templateOf(localisedFor(statement, { analysis, group: mainGroup }, replacements)), shipped)
  const shards = engine.allowedShards(analysis.main, write, true)
  const { values, valuesOn, replacements } = splitLists(analysis.main, { ...write, ...substitutes })
  const template = templateWith(replacements)
  const results = await writeShards(
    context.access,
    shards.map((shard) => ({
      shard,
      work: (manager) =>
        queryOn(manager, template.text, pick(template.parameters, valuesOn ? valuesOn(shard) : values)),
    })),
    context.openRunner,
    { together: { hasOwnTypes: analysis.uses.some(({ table }) => table.hasOwnTypes), isAlike: !valuesOn } },
  )
  return together(results, false)
}

/** Writes an unsharded table, with the rows of shards that were read for it. @throws ShardedError STATEMENT_UNSUPPORTED */
function writeHome(
  { statement, analysis, context }: Write,
  { shipped, values, replacements }: Substitutes,
): Promise<QueryResult> {
  const local = localisedFor(statement, { analysis, group: undefined }, replacements)
  const { text, parameters } = withShippedRows(templateOf(local), shipped)
  if (!text.includes(`"${placeholderSchema}"`)) return context.home(text, pick(parameters, values))
  const table = targetTable(statement)?.relname ?? ''
  throw new ShardedError(
    'STATEMENT_UNSUPPORTED',
    `A write of ${table} would need tables or types of a shard on the home node.`,
    { details: { table } },
  )
}

/**
 * The table of an UPDATE that sets a part of the shard key, other than to the value that its own condition demands;
 * undefined where the keys of all rows stay.
 *
 * @param mayMove whether the UPDATE may move rows of a table; none where it is a part of another statement
 * @throws ShardedError KEY_CHANGED where its entity does not allow that; ID_CHANGED for an id that may be of another slot
 */
export function keyChangeOf(
  { statement, analysis }: ReadStatement,
  parameters: readonly unknown[],
  mayMove?: (table: ShardedTable) => boolean,
): TableUse | undefined {
  if (!('UpdateStmt' in statement)) return undefined
  const use = analysis.uses.find(({ rangeVar }) => rangeVar === statement.UpdateStmt.relation)
  if (!use) return undefined
  for (const target of statement.UpdateStmt.targetList ?? []) {
    if (!('ResTarget' in target)) continue
    const index = use.table.keyColumns.indexOf(target.ResTarget.name ?? '')
    const isId = target.ResTarget.name === use.table.idColumn
    if (index < 0 && !isId) continue
    const cluster = analysis.clusters.find(({ uses }) => uses.has(use))
    const value = knownValue(target.ResTarget.val, { parameter: (number) => parameters[number - 1] })
    if (isId) refuseIdChange(use.table, cluster && clusterPredicate(cluster, parameters), value)
    if (index < 0) continue
    const pinned = cluster && pinnedKey(clusterPredicate(cluster, parameters), index)
    if (value && pinned !== undefined && isStoredAs(use.table, index, value, pinned)) continue
    if (mayMove?.(use.table)) return use
    const movesAlone = !mayMove && use.table.entity?.onKeyChange === 'move'
    throw keyChanged(use.table, target.ResTarget.name ?? '', movesAlone ? moveAlone : undefined)
  }
  return undefined
}

/** The slot in an id leads to its row: another id is fine where it certainly has the row's own. */
function refuseIdChange(
  { entity, idColumn = '', slotColumns, name }: ShardedTable,
  predicate: Predicate | undefined,
  value: { readonly value: unknown } | undefined,
): void {
  const slotOf = slotColumns.get(idColumn)
  if (!slotOf || !entity) return
  const slot = value && slotOf(value.value)
  if (slot !== undefined && predicate && slot === pinnedSlot(entity, predicate)) return
  throw idChanged({ entity, name }, idColumn)
}

const idChanged = ({ entity, name }: Pick<ShardedTable, 'entity' | 'name'>, column: string): ShardedError =>
  new ShardedError('ID_CHANGED', `A statement would set ${column} of ${entity?.name ?? name}.`, {
    details: { entity: entity?.name ?? name, column },
  })

const moveAlone = 'Move the row with repository.move(entity, newKey), or with an UPDATE that is a statement of its own.'

function keyChanged({ entity, name }: ShardedTable, column: string, fix?: string): ShardedError {
  return new ShardedError(
    'KEY_CHANGED',
    `A statement would set ${column} of ${entity?.name ?? name}, a part of the shard key.`,
    {
      details: { entity: entity?.name ?? name, column },
      ...(fix !== undefined && { fix }),
    },
  )
}

/** Whether a part of the shard key that is set to a value stores what the condition demands of it already. */
function isStoredAs({ entity }: ShardedTable, index: number, value: TypedValue, pinned: string): boolean {
  const column = entity?.keyColumns[index]
  try {
    const key = column && storedKeyOf(value, column)
    // What the column would round equals no row's key: the update then changes nothing.
    return key !== undefined && column !== undefined && key === storedKey(pinned, column)
  } catch {
    return false
  }
}

async function insert(engine: StatementWriter, write: Write, statement: InsertStmt): Promise<QueryResult> {
  const { analysis, context } = write
  const use = analysis.uses.find(({ rangeVar }) => rangeVar === statement.relation)
  if (!use) {
    refuseProblems(analysis)
    return writeHome(write, await engine.substitute(write))
  }
  const target = conflictTarget(statement, use.table)
  const setsKey = refuseConflictKeys(statement, use.table, target)
  refuseLookupConflicts(statement, use.table, engine.runtime.lookups)
  const select =
    statement.selectStmt && 'SelectStmt' in statement.selectStmt ? statement.selectStmt.SelectStmt : undefined
  if (!select?.valuesLists) {
    if (target && !idsTellShards(use.table))
      throw unsupported('An INSERT … SELECT with ON CONFLICT that may be about rows of other shards', use.table)
    return insertFromQuery(engine, write, statement, use)
  }
  refuseProblems({ ...analysis, unproven: [] })
  const columns = insertedColumns(statement, use.table)
  const rows = select.valuesLists.map((list) => ('List' in list ? (list.List.items ?? []) : []))
  if (rows.some((row) => row.length > columns.length))
    throw unsupported('An INSERT without a list of columns, of more values than the table has columns,', use.table)
  // What its VALUES ask of other shards is read once, before any row is there.
  const { shipped, values, replacements } = await engine.substitute(write)
  const keyed = withGeneratedKeys(use.table, columns, rows, values)
  const complete = await withIds(use.table, bindingOf(engine, use.table), keyed, (row, inserted) =>
    keyOfRow(use.table, inserted, row),
  )
  const cols = complete.columns
  const shards = engine.runtime.map.groups.get(use.table.group) ?? []
  const places = await placesOf(context.access, use, complete)
  const conflicting = target && {
    table: use.table,
    target,
    doesNothing: statement.onConflictClause?.action === 'ONCONFLICT_NOTHING',
    setsKey,
    inserted: complete,
    isMade: (row: number) => isMissing(keyed, row, use.table.idColumn),
    places,
    shards,
  }
  const isLookedUp = conflicting !== undefined && looksUp(conflicting)
  if (isLookedUp && context.access.transaction === undefined) {
    // What is found on other shards is to be so when the rows are inserted.
    return inTransaction(context.access, withoutTransactionEvents(context.openRunner), (access) =>
      insert(engine, { ...write, context: { ...context, access } }, statement),
    )
  }
  const taken = isLookedUp ? await conflictPlaces(context.access, conflicting) : places
  const byShard = new Map<Shard, number[]>()
  for (const [row, index] of taken.entries()) {
    if (index === undefined) continue
    const shard = shards[index]
    if (!shard) throw new RangeError(`There is no shard number ${index}.`)
    refuseOtherShard(use.table, shard, context)
    const list = byShard.get(shard)
    if (list) list.push(row)
    else byShard.set(shard, [row])
  }
  if (byShard.size > 1) {
    refuseProblems(analysis)
    if (select.sortClause || select.limitCount || select.limitOffset)
      throw unsupported('VALUES with ORDER BY, LIMIT or OFFSET, of rows of several shards,', use.table)
  }
  const nodes = [...new Set([...byShard.keys()].map(({ node }) => node))]
  refuseFarSequence(write.sequence.beside, nodes, engine.runtime.map.home)
  const mayLeaveOut = byShard.size > 1 && statement.onConflictClause && statement.returningClause
  const names = columnList(cols)
  const entries = [...byShard]
  const results = await writeShards(
    context.access,
    entries.map(([shard, own]) => {
      const plain: InsertStmt = {
        ...statement,
        cols: names,
        selectStmt: {
          SelectStmt: {
            ...select,
            valuesLists: own.map((row) => ({ List: { items: [...(complete.rows[row] ?? [])] } })),
          },
        },
      }
      const part = mayLeaveOut ? withRowPlaces(plain, own) : plain
      const local = templateOf(
        localisedFor({ InsertStmt: part } as Node, { analysis, group: use.table.group }, replacements),
      )
      const template = withShippedRows(local, shipped)
      return { shard, work: (manager) => queryOn(manager, template.text, pick(template.parameters, complete.values)) }
    }),
    context.openRunner,
    { order: statement.onConflictClause && valuesOrder(engine.runtime.bindingOf(use.table.entity?.target), complete) },
  )
  if (mayLeaveOut) return byPlace(results)
  return inOrder(
    results,
    entries.map(([, own]) => own),
  )
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

/** Always written: what was placed by a name is to be stored by it. */
const columnList = (names: readonly string[]): Node[] => names.map((name) => ({ ResTarget: { name } }))

/** An INSERT … SELECT with its columns and those of a `*` by name. */
function namedColumns(
  insertion: InsertStmt,
  select: SelectStmt,
  columns: readonly string[],
  { sourceColumns, sourceScope }: StatementAnalysis,
): Node {
  const targetList = select.larg || !sourceScope ? select.targetList : expandedTargets(select, sourceScope)
  return {
    InsertStmt: {
      ...insertion,
      cols: columnList(columns.slice(0, sourceColumns.length)),
      selectStmt: { SelectStmt: { ...select, ...(targetList && { targetList }) } },
    },
  }
}

/** The columns that VALUES fill, by position. */
function insertedColumns(statement: InsertStmt, table: ShardedTable): readonly string[] {
  const named = statement.cols?.map((node) => ('ResTarget' in node ? (node.ResTarget.name ?? '') : ''))
  return named ?? [...table.columns.keys()]
}

/** A shard key whose default is a generated uuid is generated here: the shard has to be known first. */
function withGeneratedKeys(
  table: ShardedTable,
  columns: readonly string[],
  rows: readonly (readonly Node[])[],
  parameters: readonly unknown[],
): InsertedRows {
  const values = [...parameters]
  const generated = (): Node => ({ ParamRef: { number: values.push(randomUUID()) } })
  const missing = table.keyColumns.filter((name) => !columns.includes(name) && table.uuidDefaults.has(name))
  const cols = [...columns, ...missing]
  const complete = rows.map((row) =>
    cols.map((name, index) => {
      const value = row[index]
      const isDefault = value === undefined || 'SetToDefault' in value
      if (isDefault && table.keyColumns.includes(name) && table.uuidDefaults.has(name)) return generated()
      return value ?? ({ SetToDefault: {} } as Node)
    }),
  )
  return { columns: cols, rows: complete, values }
}

/** The shards, by number, of the rows that an INSERT of known keys puts; undefined where it does not say its keys. */
export function insertedKeys(
  statement: InsertStmt,
  table: ShardedTable,
  parameters: readonly unknown[],
): readonly number[] | undefined {
  const { entity, keyColumns } = table
  const select =
    statement.selectStmt && 'SelectStmt' in statement.selectStmt ? statement.selectStmt.SelectStmt : undefined
  if (!entity || keyColumns.length === 0 || !select) return undefined
  const columns = insertedColumns(statement, table)
  const targets = (select.targetList ?? []).map((node) => ('ResTarget' in node ? node.ResTarget.val : undefined))
  const rows = select.valuesLists
    ? select.valuesLists.map((list) => ('List' in list ? (list.List.items ?? []) : []))
    : [targets.map((value): Node => value ?? { SetToDefault: {} })]
  const isKnown = rows.every((row) =>
    keyColumns.every((name) => {
      const value = row[columns.indexOf(name)]
      return value && knownValue(value, { parameter: (number) => parameters[number - 1] }) !== undefined
    }),
  )
  if (!isKnown) return undefined
  const inserted = { columns, rows, values: parameters }
  return rows.map((_, row) => ownerOf(entity, keyOfRow(table, inserted, row)))
}

/** The number of the shard of each row. @throws ShardedError KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, KEY_CONFLICT, STATEMENT_UNSUPPORTED */
async function placesOf(access: ShardAccess, { table }: TableUse, inserted: InsertedRows): Promise<readonly number[]> {
  const placeBy = (keyColumns: readonly string[], row: number): number => {
    const { entity } = table
    if (!entity) throw new RangeError(`${table.name} has the key of no entity.`)
    return ownerOf(entity, keyOfRow({ ...table, keyColumns }, inserted, row))
  }
  const places = table.keyColumns.length > 0 ? inserted.rows.map((_, row) => placeBy(table.keyColumns, row)) : undefined
  return places && table.isOwn ? places : placesByReference(access, table, inserted, placeBy)
}

/** The canonical shard key of a row. @throws ShardedError KEY_MISSING, KEY_INVALID, STATEMENT_UNSUPPORTED */
function keyOfRow(table: ShardedTable, { columns, rows, values }: InsertedRows, row: number): readonly string[] {
  return table.keyColumns.map((column, index) => {
    const node = rows[row]?.[columns.indexOf(column)]
    if (!node || 'SetToDefault' in node) throw keyMissing(table, column)
    const value = knownValue(node, { parameter: (number) => values[number - 1] })
    if (!value) throw unsupported(`An INSERT whose value for the shard key ${column} is an expression`, table)
    if (value.value === null || value.value === undefined) throw keyMissing(table, column)
    return canonicalOf(table, index, value)
  })
}

function canonicalOf(table: ShardedTable, index: number, value: TypedValue): string {
  const { entity, keyColumns, name } = table
  const column = entity?.keyColumns[index]
  const known = column && valueToStore(value, column.type)
  if (!known) throw unsupported(`An INSERT of a ${value.type} value for the shard key ${keyColumns[index]}`, table)
  const key = storedKey(known.value, column)
  if (key !== undefined) return key
  throw new ShardedError(
    'KEY_INVALID',
    `${name}.${keyColumns[index]} cannot be this value: its meaning depends on the database session.`,
    {
      details: { entity: entity?.name ?? name, column: keyColumns[index] },
    },
  )
}

function keyMissing({ entity, name }: ShardedTable, column: string): ShardedError {
  return new ShardedError(
    'KEY_MISSING',
    `${entity?.name ?? name}.insert: ${column} of the shard key ${entity ? keyText(entity) : name} is not set.`,
    {
      details: { entity: entity?.name ?? name, columns: [column], operation: 'insert' },
    },
  )
}

const unsupported = (what: string, { name }: ShardedTable): ShardedError =>
  new ShardedError('STATEMENT_UNSUPPORTED', `${what} cannot be placed on shards.`, { details: { table: name } })

/** A query does not say the keys of its rows; VALUES do. */
const notPlaced = (what: string, { name }: ShardedTable): ShardedError =>
  new ShardedError(
    'STATEMENT_UNSUPPORTED',
    `${what} cannot be placed on shards. Ask for the rows first, and insert them by VALUES.`,
    { details: { table: name } },
  )

/** Whether `@ShardedId` gives the row no value: one that is made then is new. */
function isMissing({ columns, rows }: InsertedRows, row: number, idColumn: string | undefined): boolean {
  if (idColumn === undefined) return false
  const node = rows[row]?.[columns.indexOf(idColumn)]
  return node === undefined || 'SetToDefault' in node
}

/** Whether a primary key carries the slot of its row, and that leaves one shard. */
export const idsTellShards = ({ entity, primaryKey, idColumn = '', slotColumns }: ShardedTable): boolean =>
  primaryKey.includes(idColumn) && slotColumns.has(idColumn) && entity?.fn.shardsOfSlot?.(0).length === 1

/**
 * ON CONFLICT DO UPDATE must leave the key: to the value that is inserted it may be set, where the row is on the same shard or
 * is looked up and has that key.
 *
 * @returns whether it sets a part of the key, so that a row that is looked up must have the same
 */
export function refuseConflictKeys(
  { onConflictClause }: InsertStmt,
  table: ShardedTable,
  looksUp?: ConflictTarget,
): boolean {
  let setsKey = false
  for (const target of onConflictClause?.targetList ?? []) {
    if (!('ResTarget' in target)) continue
    const { name = '', val } = target.ResTarget
    const isId = name === table.idColumn && table.slotColumns.has(name)
    if (!table.keyColumns.includes(name) && !isId) continue
    const names = val && 'ColumnRef' in val ? namesOf(val.ColumnRef.fields) : undefined
    const keeps = names?.at(-1) === name && (names.length === 1 || names[0] === 'excluded' || names[0] === table.name)
    const conflict = (onConflictClause?.infer?.indexElems ?? []).map((node) =>
      'IndexElem' in node ? node.IndexElem.name : undefined,
    )
    // Rows that conflict on the whole shard key have one and the same, and so have their ids the slot of it.
    const isSameKey = table.keyColumns.every((column) => conflict.includes(column))
    if (keeps && (names?.[0] !== 'excluded' || isSameKey || (isId && conflict.includes(name)))) continue
    if (keeps && !isId && looksUp === 'primary-key') {
      setsKey = true
      continue
    }
    throw isId ? idChanged(table, name) : keyChanged(table, name, moveFirst)
  }
  return setsKey
}

const bindingOf = ({ runtime }: StatementWriter, { entity, idColumn }: ShardedTable): EntityBinding | undefined =>
  entity && idColumn !== undefined ? runtime.bindingOf(entity.target) : undefined

/** Ids come from rows of the shard, where they have the row's own slot; a query does not make new ones. */
function keepsIds(
  { idColumn, slotColumns, keyColumns }: ShardedTable,
  columns: readonly string[],
  sources: StatementAnalysis['sourceColumns'],
): boolean {
  if (idColumn === undefined) return true
  if (!columns.includes(idColumn)) return false
  if (!slotColumns.has(idColumn)) return true
  const base = sources[columns.indexOf(idColumn)]
  const key = sources[columns.indexOf(keyColumns[0] ?? '')]
  return (
    base !== undefined &&
    base.use === key?.use &&
    base.use.table.idColumn === base.name &&
    base.use.table.slotColumns.has(base.name)
  )
}

/** A key that is stored otherwise than it was read (rounded, or cut) may belong to another shard. */
function keepsKey(source: ShardedTable, target: ShardedTable, index: number): boolean {
  const [from, to] = [source.entity?.keyColumns[index], target.entity?.keyColumns[index]]
  return from !== undefined && to !== undefined && keepsValues(from, to)
}

/** INSERT … SELECT runs within each shard, where the rows selected stay on the shard that they come from. */
async function insertFromQuery(
  engine: StatementWriter,
  { analysis, statement, parameters, context, ...read }: Write,
  insertion: InsertStmt,
  use: TableUse,
): Promise<QueryResult> {
  const select =
    insertion.selectStmt && 'SelectStmt' in insertion.selectStmt ? insertion.selectStmt.SelectStmt : undefined
  if (!select) throw unsupported('An INSERT of default values', use.table)
  const [source, another] = analysis.sources
  const columns = insertedColumns(insertion, use.table)
  const isKept =
    keepsIds(use.table, columns, analysis.sourceColumns) &&
    source !== undefined &&
    another === undefined &&
    analysis.problems.length === 0 &&
    analysis.isSourceLocal &&
    use.table.keyColumns.length > 0 &&
    use.table.keyColumns.every((name, index) => {
      const base = analysis.sourceColumns[columns.indexOf(name)]
      return (
        base !== undefined &&
        source.uses.has(base.use) &&
        base.use.table.group === use.table.group &&
        base.use.table.keyColumns[index] === base.name &&
        keepsKey(base.use.table, use.table, index)
      )
    })
  if (!source) throw notPlaced('An INSERT … SELECT of values that are of no shard', use.table)
  if (!isKept) throw notPlaced('An INSERT of rows that a query takes from other shards', use.table)
  const shards = engine.allowedShards(source, { parameters, context }, true)
  if (shards.length > 1) refuseProblems(analysis)
  const { shipped, values, replacements } = await engine.substitute({
    analysis,
    statement,
    parameters,
    context,
    ...read,
  })
  const named = namedColumns(insertion, select, columns, analysis)
  const local = localisedFor(named, { analysis, group: use.table.group }, replacements)
  const template = withShippedRows(templateOf(local), shipped, engine.heldTables(read, use.table.group))
  const results = await writeShards(
    context.access,
    shards.map((shard) => ({
      shard,
      work: (manager) => queryOn(manager, template.text, pick(template.parameters, values)),
    })),
    context.openRunner,
  )
  return together(results, true)
}

export function together(results: readonly QueryResult[], isInsert: boolean): QueryResult {
  const result = new QueryResult()
  result.records = results.flatMap(({ records }) => records ?? [])
  result.affected = results.reduce((sum, { affected }) => sum + (affected ?? 0), 0)
  result.raw = isInsert ? result.records : [result.records, result.affected]
  return result
}

/** RETURNING rows in the order of VALUES, by the places that they tell. */
function byPlace(results: readonly QueryResult[]): QueryResult {
  const result = together(results, true)
  const placed = rowsOf(result).map(takePlace)
  result.records = placed.sort((a, b) => a.place - b.place).map(({ row }) => row)
  result.raw = result.records
  return result
}

/** RETURNING rows in the order of VALUES, where each row gave one. */
function inOrder(results: readonly QueryResult[], positions: readonly (readonly number[])[]): QueryResult {
  const result = together(results, true)
  const isWhole = results.every(({ records }, index) => records?.length === positions[index]?.length)
  if (!isWhole) return result
  const ordered: unknown[] = []
  for (const [index, { records }] of results.entries()) {
    for (const [row, record] of (records ?? []).entries()) ordered[positions[index]?.[row] ?? ordered.length] = record
  }
  result.records = ordered
  result.raw = ordered
  return result
}
