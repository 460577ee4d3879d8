import type { Node, SelectStmt } from '@pgsql/types'
import type { Equality, Filter } from '../equalities'
import type { Outputs, Scope, TableUse } from '../scope'

/** What a part of a FROM clause, or a whole query, is made of. */
export interface QueryPart {
  readonly uses: ReadonlySet<TableUse>
  readonly equalities: readonly Equality[]
  readonly filters: readonly Filter[]
}

/** A query that was read. */
export interface QueryBlock extends QueryPart {
  readonly scope: Scope
  readonly outputs: Outputs
  /** Of a set operation, the scope of its first query: its columns are that query's. */
  readonly firstScope?: Scope
  /** Its rows are those of the shards put together, where its uses are one cluster. */
  readonly isConcatenable: boolean
  /** A UNION, INTERSECT or EXCEPT: each side is read on its own, and may lie elsewhere than the others. */
  readonly isSet?: boolean
  /** It may give a row where no row meets its conditions: an aggregate of nothing, the other side of a UNION. */
  readonly isUnproven?: boolean
}

export const emptyPart: QueryPart = { uses: new Set(), equalities: [], filters: [] }

export const both = (a: QueryPart, b: QueryPart): QueryPart => ({
  uses: new Set([...a.uses, ...b.uses]),
  equalities: [...a.equalities, ...b.equalities],
  filters: [...a.filters, ...b.filters],
})

/** What reads the queries of a statement: FROM clauses and expressions have queries in them. */
export interface QueryReader {
  /** @param outer the scope around the query */
  select(select: SelectStmt, outer: Scope): QueryBlock
  /** A statement of a WITH, which may write. */
  statement(statement: Node, scope: Scope): QueryBlock
  /** Looks for subqueries in expressions. @returns `start` with those that are local to a shard of its rows */
  expressions(trees: readonly unknown[], scope: Scope, start: QueryPart): QueryPart
}
