import type { InsertStmt, Node, SelectStmt } from '@pgsql/types'
import { expandedTargets } from '../../planning/rows-template'
import { withShippedRows } from '../../planning/shipped-rows'
import { templateOf } from '../../planning/statement-template'
import type { Cluster } from '../../routing/analysis/findings'
import type { TableUse } from '../../routing/scope'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import type { ShardedTable } from '../../routing/table-catalog'
import { keepsValues } from '../../values/stored-key'
import { planWriteOf } from '../writes/write-shards'
import { columnList, insertedColumns } from './inserted-keys'
import { armsOn, type PlannedWrite, type StatementWriter } from './planned-write'
import { localisedFor, type Run, refuseProblems } from './statement-run'

interface SelectInsert {
  readonly insertion: InsertStmt
  readonly select: SelectStmt
  readonly use: TableUse
  readonly source: Cluster
}

/**
 * The tables that an INSERT … SELECT takes its rows from, where it runs within each shard: the rows stay on the shard that they come
 * from.
 *
 * @returns undefined where a row may belong to another shard than it comes from, or comes from none
 */
export function localSource(
  { analysis }: Pick<Run, 'analysis'>,
  insertion: InsertStmt,
  use: TableUse,
): Cluster | undefined {
  const [source, another] = analysis.sources
  const columns = insertedColumns(insertion, use.table)
  const isLocal = source !== undefined && another === undefined && staysOnShard(source, { analysis, columns, use })
  return isLocal ? source : undefined
}

/** Plans an INSERT … SELECT that runs within each shard. */
export async function planInsertSelect(
  engine: StatementWriter,
  write: Run,
  { insertion, select, use, source }: SelectInsert,
): Promise<PlannedWrite> {
  const { analysis, context } = write
  const columns = insertedColumns(insertion, use.table)
  const shards = engine.places.allowedShards(source, write, true)
  if (shards.length > 1) refuseProblems(analysis)
  const { shipped, values, replacements } = await engine.substitute(write)
  const named = namedColumns(insertion, select, { columns, analysis })
  const local = localisedFor(named, { analysis, group: use.table.group }, replacements)
  const template = withShippedRows(templateOf(local), shipped, engine.reader.heldTables(write, use.table.group))
  const plan = await planWriteOf(context.access, {
    kind: 'statement',
    arms: armsOn(shards, template, () => values),
    united: undefined,
    alsoWritten: [],
    order: undefined,
    answer: { kind: 'insert' },
  })
  return { kind: 'shards', plan, order: undefined }
}

interface InsertedColumns {
  readonly analysis: StatementAnalysis
  readonly columns: readonly string[]
  readonly use: TableUse
}

/** Whether the rows that a query takes from a cluster have the shard keys, and the ids, of rows of the same shard. */
const staysOnShard = (source: Cluster, { analysis, columns, use: { table } }: InsertedColumns): boolean =>
  keepsIds(table, columns, analysis.sourceColumns) &&
  analysis.problems.length === 0 &&
  analysis.isSourceLocal &&
  table.keyColumns.length > 0 &&
  table.keyColumns.every((name, index) => {
    const base = analysis.sourceColumns[columns.indexOf(name)]
    return (
      base !== undefined &&
      source.uses.has(base.use) &&
      base.use.table.group === table.group &&
      base.use.table.keyColumns[index] === base.name &&
      keepsKey(base.use.table, table, index)
    )
  })

/** An INSERT … SELECT with its columns and those of a `*` by name. */
function namedColumns(
  insertion: InsertStmt,
  select: SelectStmt,
  { columns, analysis: { sourceColumns, sourceScope } }: Pick<InsertedColumns, 'analysis' | 'columns'>,
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
