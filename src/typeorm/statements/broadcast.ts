import { type GatherAnalysis, withDecidedColumns } from '../../routing/gather-analysis'
import type { StatementReader } from './statement-reader'
import { problemOf, type QueryRun } from './statement-run'

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
  const analysis = reader.ofOneGroup(run, group)
  if (!analysis.main || problemOf(analysis) || analysis.detached.length > 0) return undefined
  return { ...run, analysis }
}
