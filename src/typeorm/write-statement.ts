import { randomUUID } from 'node:crypto'
import type { InsertStmt, Node } from '@pgsql/types'
import { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError } from '../errors/sharded-error'
import { canonicalKey } from '../functions/canonical-key'
import { withShippedRows } from '../planning/shipped-rows'
import { splitLists } from '../planning/split-lists'
import { localise, templateOf } from '../planning/statement-template'
import { knownValue } from '../routing/key-atoms'
import { pinnedKey } from '../routing/pinned-key'
import { keyText, ownerOf } from '../routing/route'
import { clusterPredicate } from '../routing/route-cluster'
import type { TableUse } from '../routing/scope'
import type { Cluster } from '../routing/statement-analysis'
import type { ShardedTable } from '../routing/table-catalog'
import { namesOf } from '../sql/tree'
import type { Shard } from '../topology/shard'
import { type InsertedRows, placesByReference } from './places-by-reference'
import type { ShardAccess } from './shard-access'
import type { ShardRuntime } from './shard-runtime'
import {
  namedUses,
  pick,
  queryOn,
  type ReadStatement,
  refuseProblems,
  type StatementContext,
  type Substitutes,
} from './statement-run'
import { writeShards } from './write-shards'

/** What the writing of a statement asks of the engine. */
export interface StatementWriter {
  readonly runtime: ShardRuntime
  substitute(run: Write): Promise<Substitutes>
  allowedShards(cluster: Cluster, run: Pick<Write, 'parameters' | 'context'>, writes: boolean): readonly Shard[]
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
  const { shipped } = substitutes
  const templateWith = (replacements: Substitutes['replacements']) =>
    withShippedRows(templateOf(localise(statement, namedUses(analysis), replacements)), shipped)
  if (!analysis.main) {
    const { text, parameters } = templateWith(substitutes.replacements)
    return context.home(text, pick(parameters, substitutes.values))
  }
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
  )
  return together(results, false)
}

/**
 * The table of an UPDATE that sets a part of the shard key, other than to the value that its own condition demands;
 * undefined where the keys of all rows stay.
 *
 * @throws ShardedError KEY_CHANGED where its entity does not allow that
 */
export function keyChangeOf(
  { statement, analysis }: ReadStatement,
  parameters: readonly unknown[],
  mayMove: (table: ShardedTable) => boolean,
): TableUse | undefined {
  if (!('UpdateStmt' in statement)) return undefined
  const use = analysis.uses.find(({ rangeVar }) => rangeVar === statement.UpdateStmt.relation)
  if (!use) return undefined
  for (const target of statement.UpdateStmt.targetList ?? []) {
    if (!('ResTarget' in target)) continue
    const index = use.table.keyColumns.indexOf(target.ResTarget.name ?? '')
    if (index < 0) continue
    const cluster = analysis.clusters.find(({ uses }) => uses.has(use))
    const value = knownValue(target.ResTarget.val, { parameter: (number) => parameters[number - 1] })
    const pinned = cluster && pinnedKey(clusterPredicate(cluster, parameters), index)
    if (value && pinned !== undefined && canonicalOrUndefined(use.table, index, value.value) === pinned) continue
    if (mayMove(use.table)) return use
    throw keyChanged(use.table, target.ResTarget.name ?? '')
  }
  return undefined
}

function keyChanged({ entity, name }: ShardedTable, column: string): ShardedError {
  return new ShardedError(
    'KEY_CHANGED',
    `A statement would set ${column} of ${entity?.name ?? name}, a part of the shard key.`,
    {
      details: { entity: entity?.name ?? name, column },
    },
  )
}

function canonicalOrUndefined({ entity }: ShardedTable, index: number, value: unknown): string | undefined {
  const type = entity?.keyColumns[index]?.type
  try {
    return type === undefined ? undefined : canonicalKey(value, type)
  } catch {
    return undefined
  }
}

async function insert(engine: StatementWriter, write: Write, statement: InsertStmt): Promise<QueryResult> {
  const { analysis, parameters, context } = write
  const use = analysis.uses.find(({ rangeVar }) => rangeVar === statement.relation)
  if (!use) {
    // An unsharded table takes what a query over the shards gives.
    const { shipped, values, replacements } = await engine.substitute(write)
    refuseProblems(analysis)
    const template = withShippedRows(templateOf(localise(write.statement, namedUses(analysis), replacements)), shipped)
    return context.home(template.text, pick(template.parameters, values))
  }
  refuseConflictKeys(statement, use.table)
  const select =
    statement.selectStmt && 'SelectStmt' in statement.selectStmt ? statement.selectStmt.SelectStmt : undefined
  if (!select?.valuesLists) return insertFromQuery(engine, write, statement, use)
  refuseProblems(analysis)
  const columns = insertedColumns(statement, use.table)
  const rows = select.valuesLists.map((list) => ('List' in list ? (list.List.items ?? []) : []))
  const { cols, rows: complete } = withGeneratedKeys(use.table, columns, rows, parameters)
  const shards = engine.runtime.map.groups.get(use.table.group) ?? []
  const places = await placesOf(context.access, use, { columns: cols, rows: complete.rows, values: complete.values })
  const byShard = new Map<Shard, number[]>()
  for (const [row, index] of places.entries()) {
    const shard = shards[index]
    if (!shard) throw new RangeError(`There is no shard number ${index}.`)
    refuseOtherShard(use.table, shard, context)
    const list = byShard.get(shard)
    if (list) list.push(row)
    else byShard.set(shard, [row])
  }
  const { shipped, replacements } = await engine.substitute(write)
  if (shipped.length > 0) throw unsupported('An INSERT with a subquery over other shards in its VALUES', use.table)
  const names =
    statement.cols || cols.length > columns.length ? cols.map((name) => ({ ResTarget: { name } })) : undefined
  const entries = [...byShard]
  const results = await writeShards(
    context.access,
    entries.map(([shard, own]) => {
      const part: InsertStmt = {
        ...statement,
        ...(names && { cols: names }),
        selectStmt: {
          SelectStmt: {
            ...select,
            valuesLists: own.map((row) => ({ List: { items: [...(complete.rows[row] ?? [])] } })),
          },
        },
      }
      const template = templateOf(localise({ InsertStmt: part } as Node, namedUses(analysis), replacements))
      return { shard, work: (manager) => queryOn(manager, template.text, pick(template.parameters, complete.values)) }
    }),
    context.openRunner,
  )
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

/** The columns that VALUES fill, by position. */
function insertedColumns(statement: InsertStmt, table: ShardedTable): readonly string[] {
  const named = statement.cols?.map((node) => ('ResTarget' in node ? (node.ResTarget.name ?? '') : ''))
  return named ?? [...table.columns.keys()]
}

interface Rows {
  readonly rows: readonly (readonly Node[])[]
  readonly values: readonly unknown[]
}

/** A shard key whose default is a generated uuid is generated here: the shard has to be known first. */
function withGeneratedKeys(
  table: ShardedTable,
  columns: readonly string[],
  rows: readonly (readonly Node[])[],
  parameters: readonly unknown[],
): { readonly cols: readonly string[]; readonly rows: Rows } {
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
  return { cols, rows: { rows: complete, values } }
}

/** The number of the shard of each row. @throws ShardedError KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, STATEMENT_UNSUPPORTED */
async function placesOf(
  access: ShardAccess,
  { table }: TableUse,
  { columns, rows, values }: InsertedRows,
): Promise<readonly number[]> {
  const { entity, keyColumns } = table
  if (!entity || keyColumns.length === 0) return placesByReference(access, table, { columns, rows, values })
  const positions = keyColumns.map((name) => columns.indexOf(name))
  return rows.map((row) => {
    const key = positions.map((position, index) => {
      const node = row[position]
      const column = keyColumns[index] ?? ''
      if (!node || 'SetToDefault' in node) throw keyMissing(table, column)
      const value = knownValue(node, { parameter: (number) => values[number - 1] })
      if (!value) throw unsupported(`An INSERT whose value for the shard key ${column} is an expression`, table)
      if (value.value === null || value.value === undefined) throw keyMissing(table, column)
      return canonicalOf(table, index, value.value)
    })
    return ownerOf(entity, key)
  })
}

function canonicalOf({ entity, keyColumns, name }: ShardedTable, index: number, value: unknown): string {
  const type = entity?.keyColumns[index]?.type
  const key = type === undefined ? undefined : canonicalKey(value, type)
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

/** ON CONFLICT DO UPDATE must leave the key: to the value that is inserted it may be set, the row is on the same shard. */
function refuseConflictKeys({ onConflictClause }: InsertStmt, table: ShardedTable): void {
  for (const target of onConflictClause?.targetList ?? []) {
    if (!('ResTarget' in target)) continue
    const { name = '', val } = target.ResTarget
    if (!table.keyColumns.includes(name)) continue
    const names = val && 'ColumnRef' in val ? namesOf(val.ColumnRef.fields) : undefined
    const keeps = names?.at(-1) === name && (names.length === 1 || names[0] === 'excluded' || names[0] === table.name)
    if (!keeps || (names?.[0] === 'excluded' && !conflictsOnKey(onConflictClause?.infer?.indexElems ?? [], table)))
      throw keyChanged(table, name)
  }
}

/** Rows that conflict on the whole shard key have one and the same. */
function conflictsOnKey(elements: readonly Node[], { keyColumns }: ShardedTable): boolean {
  const names = elements.map((node) => ('IndexElem' in node ? node.IndexElem.name : undefined))
  return keyColumns.every((name) => names.includes(name))
}

/** INSERT … SELECT runs within each shard, where the rows selected stay on the shard that they come from. */
async function insertFromQuery(
  engine: StatementWriter,
  { analysis, statement, parameters, context }: Write,
  insertion: InsertStmt,
  use: TableUse,
): Promise<QueryResult> {
  const select =
    insertion.selectStmt && 'SelectStmt' in insertion.selectStmt ? insertion.selectStmt.SelectStmt : undefined
  if (!select) throw unsupported('An INSERT of default values', use.table)
  const others = analysis.clusters.filter(({ uses }) => !uses.has(use))
  const [source, another] = others
  const columns = insertedColumns(insertion, use.table)
  const isKept =
    source !== undefined &&
    another === undefined &&
    analysis.problems.length === 0 &&
    analysis.detached.length === 0 &&
    analysis.isSourceLocal &&
    use.table.keyColumns.length > 0 &&
    use.table.keyColumns.every((name, index) => {
      const base = analysis.sourceColumns[columns.indexOf(name)]
      return (
        base !== undefined &&
        source.uses.has(base.use) &&
        base.use.table.group === use.table.group &&
        base.use.table.keyColumns[index] === base.name
      )
    })
  if (!isKept || !source) throw unsupported('An INSERT of rows that a query takes from other shards', use.table)
  const shards = engine.allowedShards(source, { parameters, context }, true)
  const template = templateOf(localise(statement, namedUses(analysis)))
  const results = await writeShards(
    context.access,
    shards.map((shard) => ({
      shard,
      work: (manager) => queryOn(manager, template.text, pick(template.parameters, parameters)),
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
