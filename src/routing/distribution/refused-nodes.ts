import { refusedNode } from './distribution'

const refusals = ['test/parity/sql/refused.test.ts'] as const
const merges = ['test/parity/sql/merge.test.ts'] as const

/** What is refused over several shards. */
export const refusedNodes = {
  RangeTableSample: refusedNode('TABLESAMPLE', 'TABLESAMPLE draws its rows from one table.', refusals),
  TableSampleClause: refusedNode('TABLESAMPLE', 'TABLESAMPLE draws its rows from one table.', refusals),
  MergeStmt: refusedNode('MERGE', 'MERGE may put rows on shards that are not theirs.', merges),
  MergeWhenClause: refusedNode('WHEN of MERGE', 'MERGE may put rows on shards that are not theirs.', merges),
  MergeAction: refusedNode('WHEN of MERGE', 'MERGE may put rows on shards that are not theirs.', merges),
  MergeSupportFunc: refusedNode('MERGE_ACTION()', 'MERGE may put rows on shards that are not theirs.', merges),
  CurrentOfExpr: refusedNode('WHERE CURRENT OF', 'A cursor is of one node.', refusals),
  IntoClause: refusedNode('SELECT INTO', 'A table that a statement makes would be made on every shard.', refusals),
} as const
