import type { JoinExpr, Node, RangeFunction, RangeVar } from '@pgsql/types'
import { outputName } from '../../sql/output-name'
import { conjunctsOf, namesOf, someNode } from '../../sql/tree'
import { equalitiesOf, type Filter, ties } from '../equalities'
import { hideSides, joinColumns } from '../join-columns'
import { hasVolatile } from '../known-functions'
import { meetsOuter } from '../meeting-tables'
import type { Narrowing } from '../narrowing'
import { functionColumns, tableFunctionColumns } from '../range-columns'
import { type Scope, type TableUse, tableColumns, withNames } from '../scope'
import type { TableCatalog } from '../table-catalog'
import type { DerivedTables } from './derived-tables'
import type { Findings } from './findings'
import { both, emptyPart, type QueryPart, type QueryReader } from './query-part'
import { joinNotLocal, refusals } from './refusals'

interface Given {
  readonly reader: QueryReader
  readonly findings: Findings
  readonly derived: DerivedTables
  readonly catalog: TableCatalog
  readonly narrowing: Narrowing
}

/** What a join joins, and its conditions. */
interface JoinParts {
  readonly left: QueryPart
  readonly right: QueryPart
  readonly on: QueryPart
}

/** Reads FROM clauses: tables, joins, functions. */
export class FromClause {
  constructor(private readonly given: Given) {}

  items(nodes: readonly Node[] | undefined, scope: Scope, start: QueryPart): QueryPart {
    return (nodes ?? []).reduce<QueryPart>((part, node) => both(part, this.item(node, scope)), start)
  }

  private item(node: Node, scope: Scope): QueryPart {
    const { reader, findings, derived } = this.given
    if ('RangeVar' in node) return this.table(node.RangeVar, scope)
    if ('JoinExpr' in node) return this.join(node.JoinExpr, scope)
    if ('RangeSubselect' in node) {
      const { subquery, alias, lateral } = node.RangeSubselect
      if (!subquery || !('SelectStmt' in subquery)) return emptyPart
      const select = subquery.SelectStmt
      const block = reader.select(select, lateral ? scope : scope.from(scope.items.length))
      findings.askByRow(block)
      const names = namesOf(alias?.colnames) ?? []
      return derived.part(select, block, { alias: alias?.aliasname ?? '', names, scope, around: scope })
    }
    if ('RangeFunction' in node) return this.call(node.RangeFunction, scope)
    if ('RangeTableSample' in node && node.RangeTableSample.relation) {
      findings.refuse(refusals.sample)
      return this.item(node.RangeTableSample.relation, scope)
    }
    const part = reader.expressions([node], scope, emptyPart)
    scope.add({ alias: tableFunctionName(node), use: undefined, columns: tableFunctionColumns(node) })
    return part
  }

  /** Notes a table, and adds its columns to the scope. */
  table(rangeVar: RangeVar, scope: Scope): QueryPart {
    const { findings, derived, catalog, narrowing } = this.given
    const { schemaname, relname = '', alias: given } = rangeVar
    const alias = given?.aliasname ?? relname
    const names = namesOf(given?.colnames) ?? []
    const cte = schemaname === undefined ? scope.cte(relname) : undefined
    if (cte) return derived.use(cte, { alias, names }, scope)
    const table = catalog.table(schemaname, relname)
    if (!table || !narrowing.isOnShards({ table, rangeVar })) {
      const isCopied = catalog.isReference(schemaname, relname)
      ;(isCopied ? findings.copies : findings.homeTables).push(rangeVar)
      if (!isCopied && (table || !narrowing.isAtHome)) findings.sent.push(rangeVar)
      const known = table ? [...table.columns.keys()] : catalog.homeColumns(schemaname, relname)
      const columns = known?.map((name) => ({ name, base: undefined }))
      scope.add({ alias, use: undefined, columns: withNames(columns, names) })
      return emptyPart
    }
    const use: TableUse = { table, rangeVar }
    findings.uses.push(use)
    scope.add({ alias, use, columns: tableColumns(use, names) })
    return { uses: new Set([use]), equalities: [], filters: [] }
  }

  private call(range: RangeFunction, scope: Scope): QueryPart {
    const { functions } = range
    const part = this.given.reader.expressions([functions], scope, emptyPart)
    const namesColumn = someNode(functions, (object) => 'ColumnRef' in object)
    const { findings, narrowing } = this.given
    if (hasVolatile(functions, scope.functions) && !namesColumn && !narrowing.isAtHome)
      findings.refuse(refusals.volatileFrom)
    scope.add({ alias: rangeName(range), use: undefined, columns: functionColumns(range, scope.functions) })
    return part
  }

  private join(join: JoinExpr, scope: Scope): QueryPart {
    const items = scope.items.length
    const start = scope.star.length
    const merged = new Map(scope.merged)
    const left = join.larg ? this.item(join.larg, scope) : emptyPart
    const between = scope.star.length
    const right = join.rarg ? this.item(join.rarg, scope) : emptyPart
    const from = { left: start, right: between, items, merged }
    const { pairs, isUnknown } = joinColumns(join, scope, from)
    if (isUnknown) this.given.findings.refuse(refusals.naturalJoin)
    // ON sees its two sides, and not what stands beside the join.
    const sides = scope.from(items, merged)
    const filters = conjunctsOf(join.quals).map((condition): Filter => ({ condition, scope: sides }))
    const equalities = [...pairs, ...filters.flatMap((filter) => equalitiesOf(filter))]
    // Before a side becomes one that may have no row.
    const reduced = reducedSides(join.jointype, left, right)
    this.given.findings.require(reduced, filters)
    this.given.findings.requirePairs(reduced, pairs, sides)
    const joined = this.joined(join.jointype, { left, right, on: { ...emptyPart, equalities, filters } })
    const whole = join.quals ? this.given.reader.expressions([join.quals], sides, joined) : joined
    hideSides(join, scope, from)
    return whole
  }

  private joined(type: JoinExpr['jointype'], { left, right, on }: JoinParts): QueryPart {
    switch (type) {
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
  private outerJoin(kept: QueryPart, optional: QueryPart, on: QueryPart): QueryPart {
    const { findings } = this.given
    if (kept.uses.size === 0 && optional.uses.size > 0) {
      // Rows that stay without a partner stay once, and not once a shard.
      findings.carry(optional)
      for (const use of optional.uses) findings.optional.add(use)
      return { ...emptyPart, filters: kept.filters }
    }
    const { uses } = both(kept, optional)
    for (const use of optional.uses) findings.optional.add(use)
    // A condition drops none of the kept rows, so it proves nothing of them.
    const equalities = [...kept.equalities, ...ties(optional.uses, [...optional.equalities, ...on.equalities])]
    if (!meetsOuter(optional.uses, kept.uses, equalities)) findings.refuse(joinNotLocal(uses))
    return { uses, equalities, filters: kept.filters }
  }
}

/** The tables of a join whose rows are dropped where its condition does not hold. */
function reducedSides(type: JoinExpr['jointype'], left: QueryPart, right: QueryPart): ReadonlySet<TableUse> {
  if (type === 'JOIN_FULL') return emptyPart.uses
  if (type === 'JOIN_LEFT') return right.uses
  return type === 'JOIN_RIGHT' ? left.uses : both(left, right).uses
}

/** The name of a function in FROM: its alias, or its own. */
function rangeName({ alias, functions = [] }: RangeFunction): string {
  if (alias) return alias.aliasname ?? ''
  const [first] = functions
  const call = first && 'List' in first ? first.List.items?.[0] : first
  return functions.length === 1 && call ? outputName(call) : ''
}

function tableFunctionName(node: Node): string {
  if ('RangeTableFunc' in node) return node.RangeTableFunc.alias?.aliasname ?? 'xmltable'
  return 'JsonTable' in node ? (node.JsonTable.alias?.aliasname ?? 'json_table') : ''
}
