import { type GatherAnalysis, withDecidedColumns } from '../../routing/gather-analysis'
import { queryOfGroup, wholeWrite, writeAtHome, writeOfGroup, writeOfTable } from '../../routing/narrowing'
import type { Problem } from '../../routing/problem'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import { targetTable } from '../../sql/statement-parts'
import type { StatementPlaces } from './statement-places'
import type { StatementReader } from './statement-reader'
import { ofNoEntity, problemOf, type QueryRun, type Run, refusalOf, unknownTable } from './statement-run'

interface Given {
  readonly reader: StatementReader
  readonly places: StatementPlaces
}

/**
 * A query that is not local as one over the shards of one group: the rows of all other tables are sent there, as those of unsharded
 * tables are.
 *
 * @param gathered what it needs of its tables, which copies of rows can answer
 * @returns undefined where nothing is to be sent, and where it is not local so either
 */
export function broadcastRun(
  run: QueryRun,
  { group, gathered }: { readonly group: string; readonly gathered: GatherAnalysis },
  reader: StatementReader,
): QueryRun | undefined {
  if (run.analysis.uses.every(({ table }) => table.group === group)) return undefined
  const sent = gathered.tables.filter(({ use }) => use.table.group !== group)
  // An enum is each shard's own, a primary key is no more known of rows that are sent, and no `*` may give a hidden column.
  if (sent.some(({ use: { table } }) => table.hasOwnTypes || table.hiddenColumns.size > 0)) return undefined
  if (gathered.groupings.some((grouping) => withDecidedColumns(grouping, sent) !== undefined)) return undefined
  const analysis = reader.narrowedTo(queryOfGroup(group), run)
  if (!analysis.main || problemOf(analysis) || analysis.detached.length > 0) return undefined
  return { ...run, analysis }
}

/**
 * A write as it runs on the shards of its table, or on the home node where it has none: as it is where it is local to each; else with the
 * rows of its subqueries, of the tables of other groups, or of all other tables, which are read before it and sent there.
 *
 * @throws ShardedError JOIN_NOT_LOCAL, STATEMENT_UNSUPPORTED
 */
export async function broadcastWrite(run: Run, { reader, places }: Given): Promise<Run> {
  // The rows of an INSERT may all go to one shard.
  const isInsert = 'InsertStmt' in run.statement
  const problemIn = (analysis: StatementAnalysis): Problem | undefined => {
    const unknown = unknownTable({ ...run, analysis }, reader.catalog)
    return problemOf(isInsert ? { ...analysis, unproven: [] } : analysis) ?? (unknown && ofNoEntity(unknown))
  }
  let problem = problemIn(run.analysis)
  if (!problem) return run
  const target = targetTable(run.statement)
  const use = run.analysis.uses.find(({ rangeVar }) => rangeVar === target)
  for (const narrowing of [
    wholeWrite,
    ...(target && use ? [writeOfGroup(use.table.group), writeOfTable(target)] : [writeAtHome]),
  ]) {
    const analysis = reader.narrowedTo(narrowing, run)
    problem = problemIn(analysis)
    if (!problem) return places.lookedUp({ ...run, analysis })
  }
  throw refusalOf(problem, run.analysis)
}
