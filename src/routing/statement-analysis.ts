import type {
  DeleteStmt,
  InsertStmt,
  JsonArrayQueryConstructor,
  Node,
  RangeVar,
  SelectStmt,
  SubLink,
  UpdateStmt,
} from '@pgsql/types'
import { conjunctsOf, fieldsOf, isNode, isRangeVar, someNode, type TreeObject, visit, visitOwn } from '../sql/tree'
import { DerivedTables } from './analysis/derived-tables'
import { type Cluster, type Detached, Findings } from './analysis/findings'
import { FromClause } from './analysis/from-clause'
import { isAlwaysAnswered, isLocalGrouping } from './analysis/local-groups'
import { both, emptyPart, type QueryBlock, type QueryPart, type QueryReader } from './analysis/query-part'
import { refusals, rowPlace } from './analysis/refusals'
import { Subqueries } from './analysis/subqueries'
import { carriedWithoutConditions } from './carried-table'
import { bareName, outputsNamed } from './clause-term'
import { callsUnproven, distributionProblems } from './distribution/prove-distribution'
import { equalitiesOf, type Filter } from './equalities'
import { type GatherAnalysis, gatherProblem, isCatalogTable, tableLinks } from './gather-analysis'
import { withHomeTables } from './home-table'
import type { KnownFunctions } from './known-functions'
import { lostLocks } from './lost-locks'
import { isOneMeeting } from './meeting-tables'
import { type Narrowing, wholeStatement } from './narrowing'
import type { Problem } from './problem'
import { isAggregateNode, outputsOf } from './query-shape'
import { type BaseColumn, Scope, type TableUse, withoutBases } from './scope'
import { asksForNewRow, isSystemColumn } from './system-columns'
import type { TableCatalog } from './table-catalog'

export type { Cluster, Detached }

export interface StatementAnalysis {
  readonly uses: readonly TableUse[]
  /** Unsharded tables that it names. */
  readonly homeTables: readonly RangeVar[]
  /** Tables whose rows have to be sent to where it runs, but for those that only parts name which are run first. */
  readonly sent: readonly RangeVar[]
  /** Reference tables that it names: each node has a full copy. */
  readonly copies: readonly RangeVar[]
  /** It writes rows of reference tables. */
  readonly writesCopies: boolean
  /** It locks rows of reference tables: those of the home node count. */
  readonly locksCopies: boolean
  readonly clusters: readonly Cluster[]
  readonly detached: readonly Detached[]
  /** The tables of the outermost query, detached parts left out; undefined where nothing is left. */
  readonly main: Cluster | undefined
  /** Of INSERT … SELECT: the columns that it takes, by position, and whether its rows are those of each shard put together. */
  readonly sourceColumns: readonly (BaseColumn | undefined)[]
  readonly isSourceLocal: boolean
  /** The scope of its query. */
  readonly sourceScope: Scope | undefined
  /** The tables that it takes them from. */
  readonly sources: readonly Cluster[]
  /** Its groups, distinct rows and windows lie within a shard each. */
  readonly isGroupedLocally: boolean
  /** Why the statement cannot run shard by shard, where it cannot. */
  readonly problems: readonly Problem[]
  /** What in the part that runs on shards is not proven to run on each by itself. */
  readonly unproven: readonly Problem[]
  /** The scope of the outermost query, to read its output and order in. */
  readonly scope: Scope
  /** The first columns of subqueries that give a `*`. */
  readonly starNames: ReadonlyMap<unknown, string>
}

/**
 * Reads a statement: which sharded tables it names, which of them meet on one shard, and what must be run on its own.
 * Pure; without values, so that it may be remembered by text.
 */
export function analyseStatement(
  statement: Node,
  catalog: TableCatalog,
  functions: KnownFunctions,
  narrowing: Narrowing = wholeStatement,
): StatementAnalysis {
  const reader = new Analyser(statement, { catalog, narrowing })
  const { findings } = reader
  const block = reader.statement(statement, new Scope(undefined, { functions }))
  const others = findings.clusters.length
  findings.cluster(block)
  findings.refuseHalfCarried()
  const { uses, homeTables, copies, clusters, places, starNames, optional } = findings
  const main = clusters[others]
  const { isAtHome } = narrowing
  const sent = main || isAtHome ? findings.sent : []
  const detached = outermost(findings.detached)
  const parts = new Set<unknown>(detached.map(({ node }) => node))
  const locks = lostLocks(statement, { detached: parts, sent: new Set(findings.sent), copies: new Set(copies) })
  // The rows of an INSERT may all go to one shard: what it returns of them is then that shard's.
  const isInsert = 'InsertStmt' in statement
  const { source } = reader
  return Object.freeze({
    uses,
    homeTables,
    sent,
    copies,
    writesCopies: writesAny(statement, new Set(copies)),
    locksCopies: locks.ofCopies,
    clusters,
    detached,
    problems: [
      ...findings.problems,
      ...locks.always,
      ...(isAtHome ? locks.ofSent : []),
      ...(isInsert && !isAtHome ? [] : places),
    ],
    unproven: [
      ...(isInsert ? places : []),
      ...distributionProblems(statement, functions, parts),
      ...locks.ofSent,
      ...locks.ofCopy,
    ],
    main,
    isGroupedLocally:
      !('SelectStmt' in statement) ||
      isLocalGrouping(statement.SelectStmt, block.scope, { uses: block.uses, optional }),
    sourceColumns: source?.block.outputs?.map(({ base }) => base) ?? [],
    isSourceLocal: source?.block.isConcatenable ?? false,
    sourceScope: source?.block.scope,
    sources: source?.clusters ?? [],
    scope: block.firstScope ?? block.scope,
    starNames,
  })
}

/** The parts that stand in no other: a query that runs by itself runs what is apart in it. */
function outermost(parts: readonly Detached[]): readonly Detached[] {
  if (parts.length < 2) return parts
  const nodes = new Set<unknown>(parts.map(({ node }) => node))
  const inner = new Set<unknown>()
  for (const { node } of parts)
    visit(node, (object) => {
      if (object !== node && nodes.has(object)) inner.add(object)
    })
  return parts.filter(({ node }) => !inner.has(node))
}

/**
 * Reads a query that is not local: what has to be copied of each sharded table to the node that answers it. The query then runs as
 * it is, so that nothing has to be proven of its parts.
 */
export function analyseGather(statement: Node, catalog: TableCatalog, functions: KnownFunctions): GatherAnalysis {
  const reader = new Analyser(statement, { catalog: withHomeTables(catalog), narrowing: wholeStatement })
  const { findings } = reader
  reader.statement(statement, new Scope(undefined, { functions }))
  const tables = new Map(
    // A query of a WITH is read where it is used: its tables may stand here more than once.
    [...findings.uses].reverse().map((use) => [use.rangeVar, use]),
  )
  const filters = new Map([...tables.values()].reverse().map((use) => [use, findings.conditions.get(use) ?? []]))
  const all = carriedWithoutConditions(filters, statement)
  return Object.freeze({
    tables: all,
    links: tableLinks(findings.links, all),
    homeTables: findings.homeTables,
    askedByRow: new Set([...findings.askedByRow].map(({ rangeVar }) => rangeVar)),
    groupings: findings.groupings,
    callsUnproven: someNode(statement, (object) => callsUnproven(object, functions)),
    problem:
      gatherProblem(statement, { functions, groupings: findings.groupings }) ??
      findings.places[0] ??
      (findings.homeTables.some(isCatalogTable) ? refusals.catalogTable : undefined),
  })
}

class Analyser implements QueryReader {
  readonly findings: Findings
  /** Of INSERT … SELECT: its query, and the tables that it takes rows from. */
  source: { readonly block: QueryBlock; readonly clusters: readonly Cluster[] } | undefined
  private readonly derived: DerivedTables
  private readonly from: FromClause
  private readonly subqueries: Subqueries
  private readonly isInsert: boolean

  constructor(root: Node, { catalog, narrowing }: { readonly catalog: TableCatalog; readonly narrowing: Narrowing }) {
    this.findings = new Findings(root, narrowing)
    this.derived = new DerivedTables(this, this.findings)
    this.from = new FromClause({ reader: this, findings: this.findings, derived: this.derived, catalog, narrowing })
    this.subqueries = new Subqueries(this, this.findings)
    this.isInsert = 'InsertStmt' in root
  }

  statement(statement: Node, scope: Scope): QueryBlock {
    if ('SelectStmt' in statement) return this.select(statement.SelectStmt, scope)
    const { UpdateStmt: update, DeleteStmt: deletion }: TreeObject = statement
    if (update) return this.modify(update, update.fromClause, scope)
    if (deletion) return this.modify(deletion, deletion.usingClause, scope)
    if ('InsertStmt' in statement) return this.insert(statement.InsertStmt, new Scope(scope))
    this.findings.refuse(refusals.otherStatement)
    visit(statement, (object) => {
      if (isRangeVar(object)) this.from.table(object, scope)
    })
    return { ...emptyPart, uses: new Set(this.findings.uses), scope, outputs: [], isConcatenable: false }
  }

  private insert(insert: InsertStmt, scope: Scope): QueryBlock {
    const { relation, selectStmt, withClause, returningClause, onConflictClause } = insert
    this.derived.declare(withClause, scope)
    const target = relation ? this.from.table(relation, scope) : emptyPart
    const source = fieldsOf(selectStmt, 'SelectStmt')
    if (source?.valuesLists) {
      const { withClause: own, valuesLists, sortClause, limitCount, limitOffset } = source
      this.derived.declare(own, scope)
      this.expressions([valuesLists, sortClause, limitCount, limitOffset], scope, target)
    } else if (source) this.readSource(source, scope, target)
    const returned = this.expressions([returningClause], scope, target)
    const conflict = scope.from(0)
    // Its columns are named with it only.
    conflict.add({ alias: 'excluded', use: undefined, columns: [] })
    const whole = this.expressions([onConflictClause], conflict, returned)
    this.derived.mentionUnused(scope)
    return { ...whole, scope, outputs: [], isConcatenable: true }
  }

  private readSource(select: SelectStmt, scope: Scope, target: QueryPart): void {
    const block = this.select(select, scope)
    if (target.uses.size === 0 && block.uses.size > 0) {
      // An unsharded table takes what a query over the shards gives.
      this.findings.detach(block, { node: select, kind: 'source' }, scope)
      return
    }
    const before = this.findings.clusters.length
    this.findings.cluster(block)
    this.source = { block, clusters: this.findings.clusters.slice(before) }
  }

  private modify(change: UpdateStmt | DeleteStmt, from: readonly Node[] | undefined, outer: Scope): QueryBlock {
    const { relation, whereClause, withClause, returningClause } = change
    const scope = new Scope(outer)
    this.derived.declare(withClause, scope)
    const target = relation ? this.from.table(relation, scope) : emptyPart
    const block = this.where(whereClause, scope, this.from.items(from, scope, target))
    const whole = this.expressions(['targetList' in change && change.targetList, returningClause], scope, block)
    this.derived.mentionUnused(scope)
    // Rows of an unsharded table are written where they are: those of shards are brought there.
    if (target.uses.size === 0) this.findings.carry(whole)
    return { ...(target.uses.size === 0 ? emptyPart : whole), scope, outputs: [], isConcatenable: true }
  }

  select(select: SelectStmt, outer: Scope): QueryBlock {
    const scope = new Scope(outer)
    this.derived.declare(select.withClause, scope)
    const block = select.larg && select.rarg ? this.setOperation(select, scope) : this.plainSelect(select, scope)
    this.derived.mentionUnused(scope)
    return block
  }

  private plainSelect(select: SelectStmt, scope: Scope): QueryBlock {
    const from = this.from.items(select.fromClause, scope, emptyPart)
    const filtered = this.where(select.whereClause, scope, from)
    if (select.groupClause) this.findings.groupings.push({ select, scope })
    const { targetList, groupClause, havingClause, windowClause, valuesLists, limitCount, limitOffset } = select
    const sorted = sortedColumns(select)
    const block = this.expressions(
      [targetList, groupClause, havingClause, windowClause, sorted, valuesLists, limitCount, limitOffset],
      scope,
      filtered,
    )
    if (scope.isAggregatedWithin && from.uses.size > 0) this.findings.refuse(refusals.outerAggregate)
    const outputs = outputsOf(select, scope)
    const isConcatenable =
      !limitCount &&
      !limitOffset &&
      !valuesLists &&
      isOneMeeting(block) &&
      isLocalGrouping(select, scope, { uses: block.uses, optional: this.findings.optional })
    return { ...block, scope, outputs, isConcatenable, isUnproven: isAlwaysAnswered(select, scope) }
  }

  /** The sides of a UNION ALL that are one cluster may be read shard by shard; all others are finished on one node. */
  private setOperation(select: SelectStmt, scope: Scope): QueryBlock {
    const left = this.select(select.larg ?? {}, scope)
    const right = this.select(select.rarg ?? {}, scope)
    const whole = both(left, right)
    // Its page names no column, and so asks nothing of the sides.
    this.expressions([select.limitCount, select.limitOffset], scope, emptyPart)
    const isAppended = select.op === 'SETOP_UNION' && select.all === true && !select.limitCount && !select.limitOffset
    // A side without sharded tables would be read on every shard.
    const isOnShards = whole.uses.size === 0 || (left.uses.size > 0 && right.uses.size > 0)
    return {
      ...whole,
      filters: [],
      scope,
      firstScope: left.firstScope ?? left.scope,
      outputs: withoutBases(left.outputs),
      isConcatenable: isAppended && left.isConcatenable && right.isConcatenable && isOneMeeting(whole) && isOnShards,
      isSet: true,
      isUnproven: true,
    }
  }

  private where(condition: Node | undefined, scope: Scope, part: QueryPart): QueryPart {
    const filters = conjunctsOf(condition).map((one): Filter => ({ condition: one, scope }))
    this.findings.require(part.uses, filters)
    const filtered: QueryPart = {
      uses: part.uses,
      equalities: [...part.equalities, ...filters.flatMap((filter) => equalitiesOf(filter))],
      filters: [...part.filters, ...filters],
    }
    return filters.reduce<QueryPart>(
      (whole, { condition: one }) =>
        'SubLink' in one
          ? this.subqueries.read({ link: one.SubLink, isRequired: true }, scope, whole)
          : this.expressions([one], scope, whole),
      filtered,
    )
  }

  expressions(trees: readonly unknown[], scope: Scope, start: QueryPart): QueryPart {
    let part = start
    visit(trees, (object) => {
      const { SubLink: link, JsonArrayQueryConstructor: array } = object
      if (link || array) {
        part = this.subqueries.read({ link: link ?? arrayLink(array), isRequired: false }, scope, part)
        return false
      }
      if (isAggregateNode(object, scope.functions) && isOfOuter(object, scope)) scope.parent?.noteAggregate()
      if (this.isInsert && asksForNewRow(object)) return false
      if (!isNode(object, 'ColumnRef')) return undefined
      if (isSystemColumn(object.ColumnRef, scope)) this.findings.places.push(rowPlace(object))
      // Whoever names a column of an outer query makes this one hang on it.
      scope.column(object)
      return undefined
    })
    return part
  }
}

/** `JSON_ARRAY(SELECT …)` is a subquery as `ARRAY(SELECT …)` is. */
const arrayLink = ({ query }: JsonArrayQueryConstructor = {}): SubLink => ({
  subLinkType: 'ARRAY_SUBLINK',
  ...(query && { subselect: query }),
})

/** An aggregate is of the innermost query that it reads a column of. */
function isOfOuter(aggregate: TreeObject, scope: Scope): boolean {
  const columns: TreeObject[] = []
  visitOwn(Object.values(aggregate), (object) => {
    if ('ColumnRef' in object) columns.push(object)
  })
  if (columns.length > 0) return columns.every((column) => scope.isOuter(column))
  // Of a subquery in it the columns may be of any query around: `count((SELECT o.id))`.
  return someNode(aggregate, (object) => 'ColumnRef' in object && scope.isOuter(object))
}

/** The terms of ORDER BY and DISTINCT ON that name no output. */
const sortedColumns = (select: SelectStmt): readonly Node[] =>
  [...(select.sortClause ?? []), ...(select.distinctClause ?? [])].filter((node) => {
    const name = bareName('SortBy' in node && node.SortBy.node ? node.SortBy.node : node)
    return name === undefined || outputsNamed(name, select).length === 0
  })

const writesAny = (statement: Node, tables: ReadonlySet<unknown>): boolean =>
  tables.size > 0 &&
  someNode(statement, ({ InsertStmt: insertion, UpdateStmt: update, DeleteStmt: deletion, MergeStmt: merge }) =>
    tables.has((insertion ?? update ?? deletion ?? merge)?.relation),
  )
