import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { isRangeVar, someNode, visit } from '../../sql/tree'
import { type CarriedTable, carriedTable } from '../carried-table'
import { type Equality, equalitiesOf, type Filter } from '../equalities'
import { hasVolatile } from '../known-functions'
import { meetingTables, meetsOutside } from '../meeting-tables'
import type { Narrowing } from '../narrowing'
import type { Problem } from '../problem'
import type { BaseColumn, Cte, Scope, TableUse } from '../scope'
import type { QueryBlock, QueryPart } from './query-part'
import { joinNotLocal, refusals } from './refusals'

/** Table uses whose rows meet on one shard only, whatever the shard. */
export interface Cluster {
  readonly uses: ReadonlySet<TableUse>
  readonly filters: readonly Filter[]
}

/**
 * A part of a statement that is not local to a shard and asks nothing of the rest: it is run first, and its rows take its
 * place.
 */
export type Detached = DetachedQuery | DetachedTable

interface DetachedQuery {
  /** A subquery, the query of EXISTS, or that of INSERT … SELECT. */
  readonly kind: 'select' | 'exists' | 'source'
  readonly node: SelectStmt
  /** The CTEs around it that it names, each after those that it names itself. */
  readonly ctes: readonly Cte[]
}

interface DetachedTable {
  readonly kind: 'table'
  readonly node: RangeVar
  /** What is read of it. */
  readonly carried: CarriedTable
}

/** Rows of a table have a part in anything only where a row of the other table has the same value. */
export interface Link {
  readonly column: BaseColumn
  readonly by: BaseColumn
  /** Both tables are in one FROM clause: none of them is asked for each row of the other. */
  readonly isBeside: boolean
}

/** A query with GROUP BY. */
export interface Grouping {
  readonly select: SelectStmt
  readonly scope: Scope
}

/** What is found of a statement while its queries are read: clusters, parts that are run first, refusals. */
export class Findings {
  readonly uses: TableUse[] = []
  readonly homeTables: RangeVar[] = []
  /** Those of them whose rows have to be sent to where the statement runs. */
  readonly sent: RangeVar[] = []
  /** Reference tables: they are wherever the statement runs. */
  readonly copies: RangeVar[] = []
  readonly clusters: Cluster[] = []
  readonly detached: Detached[] = []
  readonly problems: Problem[] = []
  /** Places of rows in files, and transactions of servers, that the statement speaks of. */
  readonly places: Problem[] = []
  /** Tables on the side of an outer join that may have no row: their columns may be NULL on every shard. */
  readonly optional = new Set<TableUse>()
  /** The first columns of subqueries that give a `*`. */
  readonly starNames = new Map<unknown, string>()
  /** Of each table, the conditions that its rows must meet to have a part in anything. */
  readonly conditions = new Map<TableUse, readonly Filter[]>()
  /** What rows of a table must share with a row of another, to have a part in anything. */
  readonly links: Link[] = []
  /** A step of a recursive query is read: what it names as itself has rows of other steps too. */
  isStep = false
  /** Tables of subqueries that are asked for each row of the query around them, and not only whether they have a row. */
  readonly askedByRow = new Set<TableUse>()
  /** The queries that group, with the names that they use. */
  readonly groupings: Grouping[] = []
  /** Tables whose rows go to where the statement runs: they are on no shard of it. */
  private readonly carried = new Set<TableUse>()

  constructor(
    private readonly statement: Node,
    private readonly narrowing: Narrowing,
  ) {}

  refuse(problem: Problem): void {
    this.problems.push(problem)
  }

  /** Notes conditions that drop rows of some tables: those of a table that may have no row here drop other rows. */
  require(uses: Iterable<TableUse>, filters: readonly Filter[]): void {
    for (const use of uses) {
      if (this.optional.has(use)) continue
      const own = filters.filter(({ scope }) => scope.items.some((item) => item.use === use))
      if (own.length > 0) this.conditions.set(use, [...(this.conditions.get(use) ?? []), ...own])
      for (const [a, b] of own.flatMap(equalitiesOf)) {
        const isBeside = own.some(({ scope: { items } }) =>
          [a, b].every((one) => items.some((item) => item.use === one.use)),
        )
        if (a.use === use) this.link(a, b, isBeside)
        if (b.use === use) this.link(b, a, isBeside)
      }
    }
  }

  /** Notes of columns that a join pairs by their names what `require` notes of a condition. @param scope with the join's two sides */
  requirePairs(uses: ReadonlySet<TableUse>, pairs: readonly Equality[], { items }: Scope): void {
    const isReduced = ({ use }: BaseColumn) =>
      uses.has(use) && !this.optional.has(use) && items.some((item) => item.use === use)
    for (const [a, b] of pairs) {
      if (isReduced(a)) this.link(a, b, true)
      if (isReduced(b)) this.link(b, a, true)
    }
  }

  /** Notes that only those rows of `column` matter that share its value with a row of `by`. */
  link(column: BaseColumn, by: BaseColumn, isBeside: boolean): void {
    if (!this.isStep && column.use !== by.use) this.links.push({ column, by, isBeside })
  }

  /** Notes a query that may be asked for each row of another. */
  askByRow({ uses, scope }: QueryBlock): void {
    if (scope.isCorrelated) for (const use of uses) this.askedByRow.add(use)
  }

  /** @param isApart it is read before the rest, in whatever way */
  cluster({ uses, equalities, filters, isSet }: QueryBlock, isApart = false): void {
    const parts = meetingTables({ uses, equalities })
    if (parts.length > 1 && !isSet && !isApart) this.refuse(joinNotLocal(uses))
    for (const part of parts) this.clusters.push({ uses: part, filters })
  }

  /** True for a query all of whose rows are, for one row of the query around it, on that row's shard. */
  isLinkedOutside(block: QueryBlock): boolean {
    return meetsOutside(block, this.carried)
  }

  /**
   * True for a query without rows of shards that is run by itself: what is volatile in it must have one value for all shards. A step of
   * a recursive query is a part of that.
   */
  isApart({ uses, scope }: QueryBlock, tree: unknown): boolean {
    if (uses.size > 0 || scope.isCorrelated) return false
    if (hasVolatile(tree, scope.functions)) return true
    const isSent = (rangeVar: unknown) => this.sent.some((table) => table === rangeVar)
    return this.narrowing.asksApart && !this.isStep && someNode(tree, (object) => isRangeVar(object) && isSent(object))
  }

  /** Has a query run first, by itself; where it asks something of each outer row, its tables' rows are carried. */
  detach(block: QueryBlock, query: Pick<DetachedQuery, 'kind' | 'node'>, around: Scope): void {
    const ctes = ctesNamed(query.node, around)
    if (ctes.some((cte) => hasVolatile(cte.select, around.functions))) this.refuse(refusals.volatileWith)
    if (!block.scope.isCorrelated) {
      this.cluster(block, this.narrowing.asksApart)
      this.detached.push({ ...query, ctes })
    } else if (query.node.lockingClause?.length) {
      this.cluster(block)
      this.refuse(refusals.lockInSubquery)
    } else this.carry(block)
  }

  /**
   * Has the rows of a part brought to where the statement runs. A subquery that asks something of each outer row, other than
   * by the shard key, may need rows of any shard: the subquery stays, over all rows of its tables.
   */
  carry({ uses, filters }: QueryPart): void {
    for (const use of uses) {
      if (this.carried.has(use)) continue
      this.carried.add(use)
      // Where it may have no row, a condition may be one that only a missing row meets.
      const carried = carriedTable(use, this.optional.has(use) ? [] : filters, this.statement)
      this.clusters.push({ uses: new Set([use]), filters: carried.conditions })
      this.detached.push({ node: use.rangeVar, kind: 'table', carried })
    }
  }

  /** A CTE is written once: what is carried in one use of it is in all. */
  refuseHalfCarried(): void {
    const rangeVars = new Set([...this.carried].map(({ rangeVar }) => rangeVar))
    const isHalf = this.clusters.some(({ uses }) =>
      [...uses].some((use) => rangeVars.has(use.rangeVar) && !this.carried.has(use)),
    )
    if (isHalf) this.refuse(refusals.halfCarriedWith)
  }

  /** @returns forgets what is found from now on: what was read on a wrong assumption, and all but the tables of what nothing runs */
  mark(): (keeps?: 'tables') => void {
    const { uses, homeTables, sent, copies, clusters, detached, problems, places, carried, optional } = this
    const tables = [uses, homeTables, sent, copies].map((list) => [list, list.length] as const)
    const others = [clusters, detached, problems, places].map((list) => [list, list.length] as const)
    const sets = [carried, optional].map((set) => [set, new Set(set)] as const)
    return (keeps) => {
      for (const [list, length] of keeps ? others : [...tables, ...others]) list.length = length
      for (const [set, before] of sets) for (const use of set) if (!before.has(use)) set.delete(use)
    }
  }
}

/** The CTEs of `scope` that a tree names, and those that they name, in an order in which they can be written. */
function ctesNamed(tree: unknown, scope: Scope): readonly Cte[] {
  const found: Cte[] = []
  const seen = new Set<Cte>()
  const look = (part: unknown, names: Scope): void => {
    visit(part, (object) => {
      const { relname, schemaname } = object
      const cte = typeof relname === 'string' && schemaname === undefined ? names.cte(relname) : undefined
      if (!cte || seen.has(cte) || cte.select === tree) return undefined
      seen.add(cte)
      look(cte.select, cte.scope)
      found.push(cte)
      return undefined
    })
  }
  look(tree, scope)
  return found
}
