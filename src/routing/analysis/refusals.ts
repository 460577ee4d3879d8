import type { ColumnRef } from '@pgsql/types'
import { outputName } from '../../sql/output-name'
import type { Problem } from '../problem'
import type { TableUse } from '../scope'

const unsupported = (text: string): Problem => ({ code: 'STATEMENT_UNSUPPORTED', text })

/** What of a statement cannot be done over shards, whatever its rows are. What is not proven of a node is in `distribution/`. */
export const refusals = Object.freeze({
  otherStatement: unsupported('Only SELECT, INSERT, UPDATE and DELETE run over shards.'),
  writingWith: unsupported('A data-modifying WITH stands where its parts cannot run one after the other.'),
  outerAggregate: unsupported(
    'A subquery has an aggregate of the rows of the query around it: put the aggregate into a query in FROM, and name its column in the subquery.',
  ),
  volatileFrom: unsupported('One database calls a volatile function in FROM once, and here every shard would call it.'),
  sample: unsupported('TABLESAMPLE draws its rows from one table.'),
  naturalJoin: unsupported('A NATURAL JOIN has a side whose columns are not known here.'),
  volatileRecursion: unsupported('Every shard would run a recursive WITH that calls a volatile function.'),
  recursionElsewhere: unsupported('A recursive WITH may need rows of other shards at a step.'),
  volatileWith: unsupported(
    'A WITH that calls a volatile function is read by a part of the statement that runs by itself.',
  ),
  lockInSubquery: unsupported(
    'A subquery that locks rows is tied to the outer query by another column than the shard key.',
  ),
  catalogTable: unsupported('It reads a table of PostgreSQL’s catalog, which each node has for itself.'),
  gatheredLock: unsupported(
    'A lock beside a part that is not local to a shard would lock no row: the rows are copied to one node. Lock the rows by their keys in a query of their own.',
  ),
  decidedRow: unsupported(
    'A whole row stands beside GROUP BY of its primary key, by which PostgreSQL knows it; of copied rows it knows none. Name its columns.',
  ),
  decidedSets: unsupported(
    'Grouping sets hold a primary key, by which PostgreSQL may know other columns; of copied rows it knows none. Group by these columns too.',
  ),
  halfCarriedWith: unsupported('A WITH is used shard by shard, and in a subquery that may need rows of other shards.'),
})

export const rowPlace = (column: { readonly ColumnRef: ColumnRef }): Problem =>
  unsupported(
    `The system column ${outputName(column)} identifies a row only on its own shard: identify rows by their primary key, or narrow the statement to one shard.`,
  )

export function joinNotLocal(uses: ReadonlySet<TableUse>): Problem {
  const names = [...new Set([...uses].map((use) => use.table.name))]
  const text =
    names.length === 1
      ? `${names[0]} is joined to itself on columns that do not determine the shard.`
      : `${names.join(', ')} are not joined on the shard key.`
  return { code: 'JOIN_NOT_LOCAL', text }
}
