import type { JoinExpr, Node, RangeFunction, RangeVar, SelectStmt, SubLink, WithClause } from '@pgsql/types'
import { isStar } from '../sql/is-star'
import { outputName } from '../sql/output-name'
import { leftmost } from '../sql/statement-parts'
import { conjunctsOf, isTreeObject, namesOf, someNode, type TreeObject, visit, visitOwn } from '../sql/tree'
import { isNamed } from '../sql/without-unused-ctes'
import { type CarriedTable, carriedTable } from './carried-table'
import { bareName, outputsNamed } from './clause-term'
import { distributionProblems } from './distribution/prove-distribution'
import { components, type Equality, equalitiesOf, type Filter, ties } from './equalities'
import { hideSides, joinColumns } from './join-columns'
import type { KnownFunctions } from './known-functions'
import { lostLocks } from './lost-locks'
import type { Problem } from './problem'
import {
  aggregatedParts,
  distinctColumns,
  groupColumns,
  hasAggregate,
  isAggregateNode,
  outputsOf,
  windowsOf,
} from './query-shape'
import { functionColumns, tableFunctionColumns } from './range-columns'
import {
  type BaseColumn,
  type Cte,
  type Outputs,
  Scope,
  type TableUse,
  tableColumns,
  withNames,
  withoutBases,
} from './scope'
import { asksForNewRow, isSystemColumn } from './system-columns'
import type { TableCatalog } from './table-catalog'
import { hasVolatile } from './volatile-calls'

/** Table uses whose rows meet on one shard only, whatever the shard. */
export interface Cluster {
  readonly uses: ReadonlySet<TableUse>
  readonly filters: readonly Filter[]
}

/**
 * A part of a statement that is not local to a shard and asks nothing of the rest: it is run first, and its rows take its
 * place.
 */
export interface Detached {
  /** The node that is replaced: a `SelectStmt` object of a sublink, a derived table or a CTE; or a `RangeVar`. */
  readonly node: TreeObject
  readonly kind: 'select' | 'exists' | 'table' | 'source'
  /** Of a table: what is read of it. */
  readonly carried?: CarriedTable
  /** The CTEs around it that it names, each after those that it names itself. */
  readonly ctes: readonly Cte[]
}

export interface StatementAnalysis {
  readonly uses: readonly TableUse[]
  /** Unsharded tables that it names. */
  readonly homeTables: readonly RangeVar[]
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

/** What a part of a FROM clause, or a whole query, is made of. */
interface Part {
  readonly uses: ReadonlySet<TableUse>
  readonly equalities: readonly Equality[]
  readonly filters: readonly Filter[]
}

interface Block extends Part {
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

const empty: Part = { uses: new Set(), equalities: [], filters: [] }

/**
 * Reads a statement: which sharded tables it names, which of them meet on one shard, and what must be run on its own.
 * Pure; without values, so that it may be remembered by text.
 */
export function analyseStatement(statement: Node, catalog: TableCatalog, functions: KnownFunctions): StatementAnalysis {
  return new Analyser(catalog, functions).statement(statement)
}

class Analyser {
  private readonly uses: TableUse[] = []
  private readonly homeTables: RangeVar[] = []
  private readonly clusters: Cluster[] = []
  private readonly detached: Detached[] = []
  private readonly problems: Problem[] = []
  /** Places of rows in files, and transactions of servers, that the statement speaks of. */
  private readonly places: Problem[] = []
  private isInsert = false
  /** Tables on the side of an outer join that may have no row: their columns may be NULL on every shard. */
  private readonly optional = new Set<TableUse>()
  /** Tables whose rows go to where the statement runs: they are on no shard of it. */
  private readonly carried = new Set<TableUse>()
  private readonly starNames = new Map<unknown, string>()
  private source: Block | undefined
  private sources: readonly Cluster[] = []
  private root: Node | undefined

  constructor(
    private readonly catalog: TableCatalog,
    private readonly functions: KnownFunctions,
  ) {}

  statement(statement: Node): StatementAnalysis {
    this.root = statement
    this.isInsert = 'InsertStmt' in statement
    const scope = new Scope(undefined, undefined, this.functions)
    const block = this.outermost(statement, scope)
    const others = this.clusters.length
    this.cluster(block)
    this.refuseHalfCarried()
    const { uses, homeTables, clusters, detached, places, isInsert } = this
    const parts = new Set<unknown>(detached.map(({ node }) => node))
    const locks = lostLocks(statement, { detached: parts, homeTables: new Set(homeTables) })
    // The rows of an INSERT may all go to one shard: what it returns of them is then that shard's.
    const problems = [...this.problems, ...locks.always, ...(isInsert ? [] : places)]
    const isGroupedLocally =
      !('SelectStmt' in statement) || this.isLocalGrouping(statement.SelectStmt, block.scope, block.uses)
    return Object.freeze({
      uses,
      homeTables,
      clusters,
      detached,
      problems,
      unproven: [
        ...(isInsert ? places : []),
        ...distributionProblems(statement, this.functions, parts),
        ...locks.onShards,
      ],
      main: clusters[others],
      isGroupedLocally,
      sourceColumns: this.source?.outputs?.map(({ base }) => base) ?? [],
      isSourceLocal: this.source?.isConcatenable ?? false,
      sourceScope: this.source?.scope,
      sources: this.sources,
      scope: block.firstScope ?? block.scope,
      starNames: this.starNames,
    })
  }

  private outermost(statement: Node, scope: Scope): Block {
    if ('SelectStmt' in statement) return this.select(statement.SelectStmt, scope)
    if ('UpdateStmt' in statement) {
      const { relation, fromClause, whereClause, withClause, targetList, returningClause } = statement.UpdateStmt
      return this.modify(scope, {
        relation,
        from: fromClause,
        whereClause,
        withClause,
        rest: [targetList, returningClause],
      })
    }
    if ('DeleteStmt' in statement) {
      const { relation, usingClause, whereClause, withClause, returningClause } = statement.DeleteStmt
      return this.modify(scope, { relation, from: usingClause, whereClause, withClause, rest: [returningClause] })
    }
    if ('InsertStmt' in statement) {
      const { relation, selectStmt, withClause, returningClause, onConflictClause } = statement.InsertStmt
      const target = new Scope(scope)
      this.withClause(withClause, target)
      const part = relation ? this.table(relation, target) : empty
      const source = selectStmt && 'SelectStmt' in selectStmt ? selectStmt.SelectStmt : undefined
      const rows = source && !source.valuesLists ? this.select(source, target) : undefined
      if (source?.valuesLists) {
        const { withClause: own, valuesLists, sortClause, limitCount, limitOffset } = source
        this.withClause(own, target)
        this.expressions([valuesLists, sortClause, limitCount, limitOffset], target, part)
      }
      if (rows && source && part.uses.size === 0 && rows.uses.size > 0)
        // An unsharded table takes what a query over the shards gives.
        this.detach(rows, { node: source as TreeObject, kind: 'source', ctes: ctesNamed(source, target) })
      else if (rows) {
        const before = this.clusters.length
        this.cluster(rows)
        this.sources = this.clusters.slice(before)
        this.source = rows
      }
      const whole = this.expressions([returningClause, onConflictClause], target, part)
      this.mentionUnused(target)
      return { ...whole, scope: target, outputs: [], isConcatenable: true }
    }
    this.unsupported('Only SELECT, INSERT, UPDATE and DELETE run over shards.')
    visit(statement, (object) => {
      if (typeof object['relname'] === 'string') this.table(object as RangeVar, scope)
      return undefined
    })
    return { ...empty, uses: new Set(this.uses), scope, outputs: [], isConcatenable: false }
  }

  private modify(
    outer: Scope,
    parts: {
      relation: RangeVar | undefined
      from: readonly Node[] | undefined
      whereClause: Node | undefined
      withClause: WithClause | undefined
      rest: readonly unknown[]
    },
  ): Block {
    const scope = new Scope(outer)
    this.withClause(parts.withClause, scope)
    const target = parts.relation ? this.table(parts.relation, scope) : empty
    const from = this.from(parts.from ?? [], scope, target)
    const block = this.where(parts.whereClause, scope, from)
    const whole = this.expressions(parts.rest, scope, block)
    this.mentionUnused(scope)
    // Rows of an unsharded table are written where they are: those of shards are brought there.
    if (target.uses.size === 0) this.carry(whole)
    return { ...(target.uses.size === 0 ? empty : whole), scope, outputs: [], isConcatenable: true }
  }

  /** A query with its parts; `outer` is the scope around it. */
  private select(select: SelectStmt, outer: Scope): Block {
    const scope = new Scope(outer)
    this.withClause(select.withClause, scope)
    const block = select.larg && select.rarg ? this.setOperation(select, scope) : this.plainSelect(select, scope)
    this.mentionUnused(scope)
    return block
  }

  private plainSelect(select: SelectStmt, scope: Scope): Block {
    const from = this.from(select.fromClause ?? [], scope, empty)
    const filtered = this.where(select.whereClause, scope, from)
    const { targetList, groupClause, havingClause, windowClause, valuesLists } = select
    const block = this.expressions(
      [
        targetList,
        groupClause,
        havingClause,
        windowClause,
        sortedColumns(select),
        valuesLists,
        select.limitCount,
        select.limitOffset,
      ],
      scope,
      filtered,
    )
    if (scope.isAggregatedWithin && from.uses.size > 0)
      this.unsupported(
        'A subquery has an aggregate of the rows of the query around it: put the aggregate into a query in FROM, and name its column in the subquery.',
      )
    const outputs = outputsOf(select, scope)
    const isUnproven = isAlwaysAnswered(select, this.functions)
    return { ...block, scope, outputs, isConcatenable: this.isConcatenable(select, scope, block), isUnproven }
  }

  /** The sides of a UNION ALL that are one cluster may be read shard by shard; all others are finished on one node. */
  private setOperation(select: SelectStmt, scope: Scope): Block {
    const left = this.select(select.larg ?? {}, scope)
    const right = this.select(select.rarg ?? {}, scope)
    const whole = both(left, right)
    // Its page names no column, and so asks nothing of the sides.
    this.expressions([select.limitCount, select.limitOffset], scope, empty)
    const isAppended = select.op === 'SETOP_UNION' && select.all === true && !select.limitCount && !select.limitOffset
    const isOneCluster = components(whole.uses, whole.equalities).length <= 1
    // A side without sharded tables would be read on every shard.
    const isOnShards = whole.uses.size === 0 || (left.uses.size > 0 && right.uses.size > 0)
    return {
      ...whole,
      filters: [],
      scope,
      firstScope: left.firstScope ?? left.scope,
      outputs: withoutBases(left.outputs),
      isConcatenable: isAppended && left.isConcatenable && right.isConcatenable && isOneCluster && isOnShards,
      isSet: true,
      isUnproven: true,
    }
  }

  private withClause(clause: WithClause | undefined, scope: Scope): void {
    for (const node of clause?.ctes ?? []) {
      if (!clause || !('CommonTableExpr' in node)) continue
      const { ctename = '', ctequery, aliascolnames } = node.CommonTableExpr
      const select = ctequery && 'SelectStmt' in ctequery ? ctequery.SelectStmt : undefined
      // RECURSIVE lets each name all, itself included.
      const own = new Scope(scope.parent, clause.recursive ? scope.ctes : new Map(scope.ctes))
      scope.ctes.set(ctename, {
        node,
        select,
        object: (select ?? {}) as TreeObject,
        scope: own,
        owner: scope,
        names: namesOf(aliascolnames) ?? [],
        isRecursive: clause.recursive === true && isNamed(select, ctename),
      })
      if (!select && ctequery) {
        this.unsupported('A data-modifying WITH runs on one shard only.')
        const inner = this.outermost(ctequery, own)
        this.cluster(inner)
      }
    }
  }

  /** PostgreSQL reads no CTE that nothing names; the tables in it must be there all the same. */
  private mentionUnused(scope: Scope): void {
    for (const cte of [...scope.ctes.values()].reverse()) {
      if (cte.owner !== scope || cte.isUsed || !cte.select) continue
      const before = this.noted()
      cte.isUsed = true
      cte.isOpen = cte.isRecursive
      this.select(cte.select, cte.scope)
      cte.isOpen = false
      this.forget({ ...before, uses: this.uses.length, homeTables: this.homeTables.length })
    }
  }

  private from(nodes: readonly Node[], scope: Scope, start: Part): Part {
    return nodes.reduce<Part>((part, node) => both(part, this.fromItem(node, scope)), start)
  }

  private fromItem(node: Node, scope: Scope): Part {
    if ('RangeVar' in node) return this.table(node.RangeVar, scope)
    if ('JoinExpr' in node) return this.join(node.JoinExpr, scope)
    if ('RangeSubselect' in node) {
      const { subquery, alias, lateral } = node.RangeSubselect
      if (!subquery || !('SelectStmt' in subquery)) return empty
      const block = this.select(subquery.SelectStmt, lateral ? scope : scope.from(scope.items.length))
      const names = namesOf(alias?.colnames) ?? []
      return this.derived(block, {
        alias: alias?.aliasname ?? '',
        names,
        object: subquery.SelectStmt as TreeObject,
        scope,
        around: scope,
      })
    }
    if ('RangeFunction' in node) {
      const part = this.expressions([node.RangeFunction.functions], scope, empty)
      if (hasVolatile(node.RangeFunction.functions, this.functions) && !namesColumn(node.RangeFunction.functions))
        this.unsupported(
          'A volatile function in FROM is asked once by one database, and would be asked on every shard.',
        )
      const columns = functionColumns(node.RangeFunction, this.functions)
      scope.add({ alias: rangeName(node.RangeFunction), use: undefined, columns })
      return part
    }
    if ('RangeTableSample' in node && node.RangeTableSample.relation) {
      this.unsupported('TABLESAMPLE draws its rows from one table.')
      return this.fromItem(node.RangeTableSample.relation, scope)
    }
    const part = this.expressions([node], scope, empty)
    scope.add({ alias: tableFunctionName(node), use: undefined, columns: tableFunctionColumns(node) })
    return part
  }

  private table(rangeVar: RangeVar, scope: Scope): Part {
    const { schemaname, relname = '', alias } = rangeVar
    const cte = schemaname === undefined ? scope.cte(relname) : undefined
    const name = alias?.aliasname ?? relname
    if (cte) return this.cteUse(cte, name, namesOf(alias?.colnames) ?? [], scope)
    const table = this.catalog.table(schemaname, relname)
    if (!table) {
      this.homeTables.push(rangeVar)
      const columns = this.catalog.homeColumns(schemaname, relname)?.map((one) => ({ name: one, base: undefined }))
      scope.add({ alias: name, use: undefined, columns: withNames(columns, namesOf(alias?.colnames) ?? []) })
      return empty
    }
    const use: TableUse = { table, rangeVar }
    this.uses.push(use)
    scope.add({ alias: name, use, columns: tableColumns(use, namesOf(alias?.colnames) ?? []) })
    return { uses: new Set([use]), equalities: [], filters: [] }
  }

  private cteUse(cte: Cte, alias: string, names: readonly string[], scope: Scope): Part {
    cte.isUsed = true
    if (cte.isOpen) {
      scope.add({ alias, use: undefined, columns: withNames(cte.self, names) })
      return empty
    }
    if (!cte.select) {
      scope.add({ alias, use: undefined, columns: undefined })
      return empty
    }
    const block = cte.isRecursive ? this.recursive(cte, cte.select) : this.select(cte.select, cte.scope)
    if (cte.scope.isCorrelated) scope.correlate(cte.owner)
    return this.derived(block, {
      alias,
      names: names.length > 0 ? names : cte.names,
      object: cte.object,
      scope,
      around: cte.scope,
    })
  }

  /**
   * Inside itself a recursive CTE stands for rows of its first term and of every step. Where both give the same column of
   * one table, a step along a foreign key stays on the shard; a column that is computed tells nothing.
   */
  private recursive(cte: Cte, select: SelectStmt): Block {
    const { larg, rarg } = select
    if (!larg || !rarg) return this.select(select, cte.scope)
    const first = this.select(larg, cte.scope)
    const before = this.noted()
    const assumed = withNames(first.outputs, cte.names)
    let step = this.recursiveStep(cte, rarg, assumed)
    const given = step.outputs
    const kept = assumed?.map(({ name, base }, index) => {
      const other = given?.[index]?.base
      const isKept = base && other?.name === base.name && other.use.table === base.use.table
      return { name, base: isKept ? base : undefined }
    })
    if (kept?.some(({ base }, index) => base !== assumed?.[index]?.base)) {
      this.forget(before)
      step = this.recursiveStep(cte, rarg, kept)
    }
    const uses = new Set([...first.uses, ...step.uses])
    const equalities = [...first.equalities, ...step.equalities]
    const isOneCluster = uses.size === 0 || components(uses, equalities).length === 1
    const keeps =
      select.all === true ||
      this.holdsLocator(
        (kept ?? []).map(({ base }) => base),
        uses,
      )
    const outputs = withoutBases(kept)
    // First rows of no shard would be on every one.
    const isConcatenable = first.uses.size > 0 && first.isConcatenable && step.isConcatenable && isOneCluster && keeps
    const block: Block = { uses, equalities, filters: [], scope: first.scope, outputs, isConcatenable }
    if (uses.size === 0 && hasVolatile(select, this.functions))
      this.unsupported('A recursive WITH that calls a volatile function would be asked on every shard.')
    if (uses.size === 0 || isConcatenable || this.isLinkedOutside(block)) return block
    // It cannot be taken out of itself: its first rows can, where the steps read no table.
    if (step.uses.size === 0)
      this.detach(first, { node: larg as TreeObject, kind: 'select', ctes: ctesNamed(larg, cte.scope) })
    else {
      this.cluster(block)
      if (isOneCluster) this.unsupported('A recursive WITH may need rows of other shards at a step.')
    }
    return { ...block, ...empty }
  }

  private recursiveStep(cte: Cte, select: SelectStmt, self: Outputs): Block {
    cte.self = self
    cte.isOpen = true
    const step = this.select(select, cte.scope)
    delete cte.self
    cte.isOpen = false
    return step
  }

  /** What was noted so far, so that a reading on a wrong assumption can be forgotten. */
  private noted() {
    const { uses, homeTables, clusters, detached, problems, places, carried, optional } = this
    return {
      uses: uses.length,
      homeTables: homeTables.length,
      clusters: clusters.length,
      detached: detached.length,
      problems: problems.length,
      places: places.length,
      carried: new Set(carried),
      optional: new Set(optional),
    }
  }

  private forget(noted: ReturnType<Analyser['noted']>): void {
    this.uses.length = noted.uses
    this.homeTables.length = noted.homeTables
    this.clusters.length = noted.clusters
    this.detached.length = noted.detached
    this.problems.length = noted.problems
    this.places.length = noted.places
    for (const use of this.carried) if (!noted.carried.has(use)) this.carried.delete(use)
    for (const use of this.optional) if (!noted.optional.has(use)) this.optional.delete(use)
  }

  /** A derived table or CTE in a FROM clause: a part of the query where it is local, else run on its own. */
  private derived(
    block: Block,
    {
      alias,
      names,
      object,
      scope,
      around,
    }: {
      alias: string
      names: readonly string[]
      object: TreeObject
      scope: Scope
      /** Where the query's own names are read: of a CTE, that of its WITH. */
      around: Scope
    },
  ): Part {
    const outputs = withNames(block.outputs, names)
    if (block.isUnproven && this.isLinkedOutside(block)) {
      scope.add({ alias, use: undefined, columns: outputs })
      return { uses: block.uses, equalities: ties(block.uses, block.equalities), filters: [] }
    }
    const isOnce = block.uses.size === 0 && this.isAskedOnce(block, object)
    if (!isOnce && (block.uses.size === 0 || block.isConcatenable || this.isLinkedOutside(block))) {
      scope.add({ alias, use: undefined, columns: outputs })
      return block
    }
    this.detach(block, { node: object, kind: 'select', ctes: ctesNamed(object, around) })
    scope.add({ alias, use: undefined, columns: withoutBases(outputs) })
    return empty
  }

  private join(join: JoinExpr, scope: Scope): Part {
    const items = scope.items.length
    const start = scope.star.length
    const merged = new Map(scope.merged)
    const left = join.larg ? this.fromItem(join.larg, scope) : empty
    const between = scope.star.length
    const right = join.rarg ? this.fromItem(join.rarg, scope) : empty
    const from = { left: start, right: between, items, merged }
    const { pairs, isUnknown } = joinColumns(join, scope, from)
    if (isUnknown) this.unsupported('A NATURAL JOIN has a side whose columns are not known here.')
    // ON sees its two sides, and not what stands beside the join.
    const sides = scope.from(items, merged)
    const filters = conjunctsOf(join.quals).map((condition): Filter => ({ condition, scope: sides }))
    const on: Part = {
      uses: new Set(),
      equalities: [...pairs, ...filters.flatMap((filter) => equalitiesOf(filter))],
      filters,
    }
    const joined = this.joinSides(join, left, right, on)
    const whole = join.quals ? this.expressions([join.quals], sides, joined) : joined
    hideSides(join, scope, from)
    return whole
  }

  private joinSides(join: JoinExpr, left: Part, right: Part, on: Part): Part {
    switch (join.jointype) {
      case 'JOIN_LEFT':
        return this.outerJoin(left, right, on)
      case 'JOIN_RIGHT':
        return this.outerJoin(right, left, on)
      case 'JOIN_FULL': {
        const part = this.outerJoin(left, right, on)
        const back = this.outerJoin(right, left, on)
        // Of a side that was carried the tables are no part any more.
        return { ...part, uses: back.uses.size < part.uses.size ? back.uses : part.uses, filters: [] }
      }
      default:
        return both(both(left, right), on)
    }
  }

  /** The rows of `kept` stay without a partner too: what is joined to them must be found on their own shard. */
  private outerJoin(kept: Part, optional: Part, on: Part): Part {
    if (kept.uses.size === 0 && optional.uses.size > 0) {
      // Rows that stay without a partner stay once, and not once a shard.
      this.carry(optional)
      return { ...empty, filters: kept.filters }
    }
    const whole = both(kept, optional)
    for (const use of optional.uses) this.optional.add(use)
    // A condition drops none of the kept rows, so it proves nothing of them.
    const equalities = [...kept.equalities, ...ties(optional.uses, [...optional.equalities, ...on.equalities])]
    if (optional.uses.size > 0) {
      const parts = components(whole.uses, equalities)
      const isLocal = [...optional.uses].every((use) =>
        parts.some((part) => part.has(use) && [...kept.uses].some((one) => part.has(one))),
      )
      if (!isLocal) this.problems.push({ code: 'JOIN_NOT_LOCAL', text: joinProblem(whole.uses) })
    }
    return { uses: whole.uses, equalities, filters: kept.filters }
  }

  private where(condition: Node | undefined, scope: Scope, part: Part): Part {
    const filters = conjunctsOf(condition).map((one): Filter => ({ condition: one, scope }))
    const filtered: Part = {
      uses: part.uses,
      equalities: [...part.equalities, ...filters.flatMap((filter) => equalitiesOf(filter))],
      filters: [...part.filters, ...filters],
    }
    const positive = new Set<unknown>(filters.map(({ condition: one }) => ('SubLink' in one ? one.SubLink : undefined)))
    return condition ? this.expressions([condition], scope, filtered, positive) : filtered
  }

  /** Looks for subqueries in expressions; the local ones become a part of the query. */
  private expressions(
    trees: readonly unknown[],
    scope: Scope,
    start: Part,
    positive: ReadonlySet<unknown> = new Set(),
  ): Part {
    let part = start
    visit(trees, (object) => {
      const link = object['SubLink']
      if (isTreeObject(link)) {
        part = this.subLink(link as SubLink, scope, part, positive.has(link))
        if (isTreeObject(link['testexpr'])) part = this.expressions([link['testexpr']], scope, part)
        return false
      }
      const array = object['JsonArrayQueryConstructor']
      if (isTreeObject(array)) {
        const subselect = array['query'] as Node | undefined
        part = this.subLink({ subLinkType: 'ARRAY_SUBLINK', ...(subselect && { subselect }) }, scope, part, false)
        return false
      }
      if (isAggregateNode(object, this.functions) && isOfOuter(object, scope)) scope.parent?.noteAggregate()
      if (this.isInsert && asksForNewRow(object)) return false
      if (!isTreeObject(object['ColumnRef'])) return undefined
      if (isSystemColumn(object['ColumnRef'], scope)) this.places.push(placeProblem(object as unknown as Node))
      // Whoever names a column of an outer query makes this one hang on it.
      scope.column(object as unknown as Node)
      return undefined
    })
    return part
  }

  private subLink(link: SubLink, scope: Scope, part: Part, isPositive: boolean): Part {
    if (!link.subselect || !('SelectStmt' in link.subselect)) return part
    const select = link.subselect.SelectStmt
    const block = this.select(select, scope)
    if (givesStar(select) && block.outputs?.[0]) this.starNames.set(select, block.outputs[0].name)
    if (block.uses.size === 0) {
      if (this.isAskedOnce(block, select))
        this.detach(block, { node: select as TreeObject, kind: 'select', ctes: ctesNamed(select, scope) })
      return part
    }
    // Where the condition holds, the subquery has had a row.
    const isProof = isPositive && link.subLinkType !== 'ALL_SUBLINK' && !block.isUnproven
    const proven = (equalities: readonly Equality[]) => (isProof ? equalities : ties(block.uses, equalities))
    if (this.isLinkedOutside(block))
      return {
        ...part,
        uses: new Set([...part.uses, ...block.uses]),
        equalities: [...part.equalities, ...proven(block.equalities)],
      }
    const compared = this.compared(link, scope, block, isPositive)
    if (compared.length > 0 && block.isConcatenable) {
      const equalities = proven([...block.equalities, ...compared])
      const outer = components(new Set([...part.uses, ...block.uses]), [...part.equalities, ...equalities])
      const isLocal = [...block.uses].every((use) =>
        outer.some((one) => one.has(use) && [...part.uses].some((mine) => one.has(mine))),
      )
      if (isLocal)
        return {
          ...part,
          uses: new Set([...part.uses, ...block.uses]),
          equalities: [...part.equalities, ...equalities],
        }
    }
    this.detach(block, {
      node: select as TreeObject,
      kind: link.subLinkType === 'EXISTS_SUBLINK' ? 'exists' : 'select',
      ctes: ctesNamed(select, scope),
    })
    return part
  }

  /**
   * `x IN (SELECT y …)` and `x <> ALL (…)` pair x with y. Below a NOT, a y that is NULL says something of every shard, and
   * an x that is NULL asks of every shard whether it has any y.
   */
  private compared(link: SubLink, scope: Scope, block: Block, isWithin: boolean): readonly Equality[] {
    const operator = namesOf(link.operName)?.at(-1) ?? '='
    const isAny = link.subLinkType === 'ANY_SUBLINK' && operator === '='
    const isNone = link.subLinkType === 'ALL_SUBLINK' && operator === '<>'
    if (!(isAny || isNone) || !link.testexpr) return []
    const isPositive = isWithin && isAny
    const tests = 'RowExpr' in link.testexpr ? (link.testexpr.RowExpr.args ?? []) : [link.testexpr]
    const outputs = block.outputs ?? []
    return tests.flatMap((test, index): Equality[] => {
      const outer = scope.column(test)
      const inner = outputs[index]?.base
      if (!outer || !inner) return []
      return isPositive || (this.isNeverNull(outer) && this.isNeverNull(inner)) ? [[outer, inner]] : []
    })
  }

  /** A part without rows of shards, which one database asks once: what is volatile in it must have one value for all shards. */
  private isAskedOnce(block: Block, tree: unknown): boolean {
    return !block.scope.isCorrelated && hasVolatile(tree, this.functions)
  }

  private detach(block: Block, detached: Detached): void {
    if (detached.ctes.some((cte) => hasVolatile(cte.select, this.functions)))
      this.unsupported('A WITH that calls a volatile function is read by a part of the statement that runs by itself.')
    if (!block.scope.isCorrelated) {
      this.cluster(block)
      this.detached.push(detached)
    } else if (locks(detached.node)) {
      this.cluster(block)
      this.unsupported('A subquery that locks rows is tied to the outer query by another column than the shard key.')
    } else this.carry(block)
  }

  /**
   * Has the rows of a part brought to where the statement runs. A subquery that asks something of each outer row, other than
   * by the shard key, may need rows of any shard: the subquery stays, over all rows of its tables.
   */
  private carry({ uses, filters }: Part): void {
    for (const use of uses) {
      if (this.carried.has(use)) continue
      this.carried.add(use)
      // Where it may have no row, a condition may be one that only a missing row meets.
      const carried = carriedTable(use, this.optional.has(use) ? [] : filters, this.root ?? { SelectStmt: {} })
      this.clusters.push({ uses: new Set([use]), filters: carried.conditions })
      this.detached.push({ node: use.rangeVar as TreeObject, kind: 'table', ctes: [], carried })
    }
  }

  /** A CTE is written once: what is carried in one use of it is in all. */
  private refuseHalfCarried(): void {
    const rangeVars = new Set([...this.carried].map(({ rangeVar }) => rangeVar))
    const isHalf = this.clusters.some(({ uses }) =>
      [...uses].some((use) => rangeVars.has(use.rangeVar) && !this.carried.has(use)),
    )
    if (isHalf) this.unsupported('A WITH is used shard by shard, and in a subquery that may need rows of other shards.')
  }

  /** Every table of the block meets a column of an outer query: for one outer row, all its rows are on one shard. */
  private isLinkedOutside(block: Block): boolean {
    const all = new Set(block.uses)
    for (const [a, b] of block.equalities) {
      all.add(a.use)
      all.add(b.use)
    }
    const parts = components(all, block.equalities)
    return [...block.uses].every((use) =>
      parts.some((part) => part.has(use) && [...part].some((one) => !block.uses.has(one) && !this.carried.has(one))),
    )
  }

  private isConcatenable(select: SelectStmt, scope: Scope, block: Part): boolean {
    if (select.limitCount || select.limitOffset || select.valuesLists) return false
    if (block.uses.size > 0 && components(block.uses, block.equalities).length > 1) return false
    return this.isLocalGrouping(select, scope, block.uses)
  }

  /** Groups, distinct rows and windows are within a shard where they hold a locator. */
  isLocalGrouping(select: SelectStmt, scope: Scope, uses: ReadonlySet<TableUse>): boolean {
    const { groupClause, havingClause, distinctClause } = select
    const isGrouped = groupClause !== undefined && groupClause.length > 0
    const isAggregated =
      isGrouped || havingClause !== undefined || hasAggregate(aggregatedParts(select), this.functions)
    if (isAggregated && (!isGrouped || !this.holdsLocator(groupColumns(select, scope), uses))) return false
    // Grouping sets give NULLs in the place of columns, on every shard.
    const hasSets = isGrouped && groupClause.some((node) => 'GroupingSet' in node)
    if (hasSets && (distinctClause !== undefined || windowsOf(select).length > 0)) return false
    if (
      windowsOf(select).some(
        (partition) =>
          !this.holdsLocator(
            partition.map((node) => scope.column(node)),
            uses,
          ),
      )
    )
      return false
    return !distinctClause || this.holdsLocator(distinctColumns(select, scope), uses)
  }

  private isNeverNull({ use, name }: BaseColumn): boolean {
    return use.table.columns.get(name)?.isNullable === false && !this.optional.has(use)
  }

  private holdsLocator(columns: readonly (BaseColumn | undefined)[], uses: ReadonlySet<TableUse>): boolean {
    // NULLs are alike on all shards, and tell none.
    return columns.some((column) => {
      if (!column || !uses.has(column.use)) return false
      const { use } = column
      return use.table.locators.some((locator) =>
        locator.columns.every(
          (name) => this.isNeverNull({ use, name }) && columns.some((one) => one?.use === use && one.name === name),
        ),
      )
    })
  }

  private unsupported(text: string): void {
    this.problems.push({ code: 'STATEMENT_UNSUPPORTED', text })
  }

  private cluster(block: Block): void {
    const parts = components(block.uses, block.equalities)
    if (parts.length > 1 && !block.isSet) this.problems.push({ code: 'JOIN_NOT_LOCAL', text: joinProblem(block.uses) })
    for (const uses of parts) this.clusters.push({ uses, filters: block.filters })
  }
}

/** An aggregate is of the innermost query that it reads a column of. */
function isOfOuter(aggregate: TreeObject, scope: Scope): boolean {
  const columns: Node[] = []
  visitOwn(Object.values(aggregate), (object) => {
    if ('ColumnRef' in object) columns.push(object as unknown as Node)
    return undefined
  })
  if (columns.length > 0) return columns.every((column) => scope.isOuter(column))
  // Of a subquery in it the columns may be of any query around: `count((SELECT o.id))`.
  return someNode(aggregate, (object) => 'ColumnRef' in object && scope.isOuter(object as unknown as Node))
}

function givesStar(select: SelectStmt): boolean {
  const [target] = leftmost(select).targetList ?? []
  return target !== undefined && 'ResTarget' in target && isStar(target.ResTarget.val)
}

const placeProblem = (column: Node): Problem => ({
  code: 'STATEMENT_UNSUPPORTED',
  text: `The system column ${outputName(column)} tells a row only on its own shard: name rows by their primary key, or narrow the statement to one shard.`,
})

/** The terms of ORDER BY and DISTINCT ON that name no output. */
const sortedColumns = (select: SelectStmt): readonly Node[] =>
  [...(select.sortClause ?? []), ...(select.distinctClause ?? [])].filter((node) => {
    const name = bareName('SortBy' in node && node.SortBy.node ? node.SortBy.node : node)
    return name === undefined || outputsNamed(name, select).length === 0
  })

const namesColumn = (tree: unknown): boolean => someNode(tree, (object) => 'ColumnRef' in object)

/** The name of a function in FROM: its alias, or its own. */
function rangeName({ alias, functions = [] }: RangeFunction): string {
  if (alias) return alias.aliasname ?? ''
  const [first] = functions
  const call = first && 'List' in first ? first.List.items?.[0] : first
  return functions.length === 1 && call ? outputName(call) : ''
}

const tableFunctionName = (node: Node): string =>
  'RangeTableFunc' in node
    ? (node.RangeTableFunc.alias?.aliasname ?? 'xmltable')
    : 'JsonTable' in node
      ? (node.JsonTable.alias?.aliasname ?? 'json_table')
      : ''

const locks = (node: TreeObject): boolean => Array.isArray(node['lockingClause']) && node['lockingClause'].length > 0

function joinProblem(uses: ReadonlySet<TableUse>): string {
  const names = [...new Set([...uses].map((use) => use.table.name))]
  return names.length === 1
    ? `${names[0]} is joined to itself on columns that do not tell the shard.`
    : `${names.join(', ')} are not joined on the shard key.`
}

const both = (a: Part, b: Part): Part => ({
  uses: new Set([...a.uses, ...b.uses]),
  equalities: [...a.equalities, ...b.equalities],
  filters: [...a.filters, ...b.filters],
})

/** True for a query that gives a row of no rows: an aggregate without groups, or a grouping set that is empty. */
function isAlwaysAnswered(select: SelectStmt, functions: KnownFunctions): boolean {
  const { groupClause, havingClause } = select
  return groupClause && groupClause.length > 0
    ? groupClause.every((node) => 'GroupingSet' in node)
    : havingClause !== undefined || hasAggregate(aggregatedParts(select), functions)
}

/** The CTEs of `scope` that a tree names, and those that they name, in an order in which they can be written. */
function ctesNamed(tree: unknown, scope: Scope): readonly Cte[] {
  const found: Cte[] = []
  const seen = new Set<Cte>()
  const look = (part: unknown, names: Scope): void => {
    visit(part, (object) => {
      const { relname, schemaname } = object
      const cte = typeof relname === 'string' && schemaname === undefined ? names.cte(relname) : undefined
      if (!cte || seen.has(cte) || cte.object === tree) return undefined
      seen.add(cte)
      look(cte.select, cte.scope)
      found.push(cte)
      return undefined
    })
  }
  look(tree, scope)
  return found
}
