import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { columnNode } from '../sql/nodes'
import { namesOf, type TreeObject } from '../sql/tree'
import { type KnownFunctions, noFunctions } from './known-functions'
import type { ShardedTable } from './table-catalog'

/** One occurrence of a sharded table in a statement. */
export interface TableUse {
  readonly table: ShardedTable
  readonly rangeVar: RangeVar
}

/** A column of a sharded table, as an expression means it. */
export interface BaseColumn {
  readonly use: TableUse
  readonly name: string
}

/** A column that a query or a part of a FROM clause gives. */
export interface OutputColumn {
  readonly name: string
  /** The column of a sharded table that it is; undefined where it is something else. */
  readonly base: BaseColumn | undefined
}

/** Columns in their order, of which several may have one name; undefined where they are not known. */
export type Outputs = readonly OutputColumn[] | undefined

/** A column of `*`, and how it is written. */
export interface StarColumn extends OutputColumn {
  readonly expression: Node
  /** A join made one column of two: without a qualifier it has the type of both. */
  readonly isMerged?: boolean
}

/** What a part of a FROM clause gives to `*`; undefined in the place of columns that are not known. */
export interface StarPart {
  readonly alias: string
  readonly columns: readonly StarColumn[] | undefined
}

export interface RangeItem {
  readonly alias: string
  readonly use: TableUse | undefined
  readonly columns: Outputs
}

export interface Cte {
  /** As it stands in its WITH. */
  readonly node: Node
  readonly select: SelectStmt | undefined
  /** The names that it can use itself: those around its WITH, and the CTEs that come before it. */
  readonly scope: Scope
  /** Of the query that has the WITH. */
  readonly owner: Scope
  readonly names: readonly string[]
  readonly isRecursive: boolean
  /** Something names it. */
  isUsed?: boolean
  /** What a recursive CTE means inside itself. */
  self?: Outputs
  /** It is being read: what names it now is itself. */
  isOpen?: boolean
}

/** What a scope begins with. */
interface ScopeNames {
  readonly ctes?: Map<string, Cte>
  readonly functions?: KnownFunctions
  /** The scope that it is a part of: what this one is correlated with, that one is too. */
  readonly whole?: Scope
}

/** The names that an expression can use. */
export class Scope {
  readonly ctes: Map<string, Cte>
  readonly items: RangeItem[] = []
  readonly star: StarPart[] = []
  /** Columns that joins made of two by USING or NATURAL. */
  merged = new Map<string, BaseColumn | undefined>()
  /** A name of an outer scope was used from here. */
  isCorrelated = false
  /** A subquery may have an aggregate of the rows of this query: `(SELECT count(o.id))` in a query over o. */
  isAggregatedWithin = false
  readonly functions: KnownFunctions
  private readonly whole: Scope | undefined

  constructor(
    readonly parent: Scope | undefined,
    { ctes = new Map(), functions, whole }: ScopeNames = {},
  ) {
    this.ctes = ctes
    this.functions = functions ?? parent?.functions ?? noFunctions
    this.whole = whole
  }

  cte(name: string): Cte | undefined {
    return this.ctes.get(name) ?? this.parent?.cte(name)
  }

  /** Adds a part of the FROM clause that has a name. */
  add(item: RangeItem): void {
    this.items.push(item)
    this.star.push({ alias: item.alias, columns: starOfItem(item) })
  }

  item(alias: string): RangeItem | undefined {
    return this.items.find((one) => one.alias === alias)
  }

  /**
   * The names that a part of this FROM clause can use: those of the items from `items` on, and those of outer queries. It keeps
   * them, whatever is added or hidden later.
   *
   * @param merged the columns that were merged before those items
   */
  from(items: number, merged: Scope['merged'] = this.merged): Scope {
    const part = new Scope(this.parent, { ctes: this.ctes, whole: this })
    part.items.push(...this.items.slice(items))
    part.merged = new Map([...this.merged].filter(([name, base]) => !merged.has(name) || merged.get(name) !== base))
    return part
  }

  /** Notes that this scope, and those around it up to `end`, use a name from beyond. */
  correlate(end: Scope): void {
    this.isCorrelated = true
    if (this !== end) (this.whole ?? this.parent)?.correlate(end)
  }

  /** The column of a sharded table that an expression is; undefined where it is something else. */
  column(expression: TreeObject | undefined): BaseColumn | undefined {
    const { fields = [] } = expression?.ColumnRef ?? {}
    const names = namesOf(fields.filter((field) => !('A_Star' in field)))
    if (!names || names.length === 0) return undefined
    const isStar = names.length < fields.length
    const [name = '', alias] = isStar ? ['', names.at(-1)] : [...names].reverse()
    return alias === undefined ? this.unqualified(name) : this.qualified(alias, name)
  }

  /** A subquery has an aggregate of this query's rows, or of a query's around it. */
  noteAggregate(): void {
    this.isAggregatedWithin = true
    this.parent?.noteAggregate()
  }

  /** Whether an expression is a column of a query around this one, and not of this one. */
  isOuter({ ColumnRef: column }: TreeObject): boolean {
    const [name = '', alias] = [...(namesOf(column?.fields) ?? [])].reverse()
    if (alias !== undefined) return !this.item(alias) && (this.parent?.hasAlias(alias) ?? false)
    const isOwn = this.isNamedHere(name) || this.items.some(({ columns }) => columns === undefined)
    return !isOwn && (this.parent?.means(name) ?? false)
  }

  /** Whether a part of this FROM clause itself has a column of the name; undefined where the columns of a part are not known. */
  hasColumn(name: string): boolean | undefined {
    const isKnown = this.items.some(({ columns }) => columns?.some((column) => column.name === name))
    if (isKnown || this.merged.has(name)) return true
    return this.items.some(({ columns }) => columns === undefined) ? undefined : false
  }

  /** A column of this FROM clause with the part that has it before its name: `status` and `o.status` are one. */
  qualify({ ColumnRef: column }: TreeObject): Node | undefined {
    const names = column && namesOf(column.fields)
    const [name = '', alias] = [...(names ?? [])].reverse()
    // What a join merged is a column of neither side.
    if (!names || (alias === undefined && this.merged.has(name))) return undefined
    const isUnknown = alias === undefined && this.items.some(({ columns }) => columns === undefined)
    const [item, another] = this.items.filter(
      (one) => (alias ?? one.alias) === one.alias && one.columns?.some((column) => column.name === name),
    )
    return item && !another && !isUnknown ? columnNode(item.alias, name) : undefined
  }

  private unqualified(name: string): BaseColumn | undefined {
    if (this.merged.has(name)) return this.merged.get(name)
    const item = this.items.find((one) => one.columns?.some((column) => column.name === name))
    if (item) return columnOf(item, name)
    const outer = this.parent?.unqualified(name)
    if ((outer || this.parent?.means(name)) && !this.items.some((one) => one.alias === name)) this.reachOut()
    // A part whose columns are not known may have the name itself.
    return this.items.some((one) => one.columns === undefined) ? undefined : outer
  }

  private qualified(alias: string, name: string): BaseColumn | undefined {
    const item = this.item(alias)
    if (item) return columnOf(item, name)
    if (this.parent?.hasAlias(alias)) this.reachOut()
    return this.parent?.qualified(alias, name)
  }

  private reachOut(): void {
    this.isCorrelated = true
    this.whole?.reachOut()
  }

  private hasAlias(alias: string): boolean {
    return this.items.some((item) => item.alias === alias) || (this.parent?.hasAlias(alias) ?? false)
  }

  /** True where a bare name is a column, or a whole row, of a part of this FROM clause or of one around it. */
  private means(name: string): boolean {
    return this.isNamedHere(name) || (this.parent?.means(name) ?? false)
  }

  private isNamedHere(name: string): boolean {
    return (
      this.merged.has(name) ||
      this.items.some((item) => item.alias === name || item.columns?.some((column) => column.name === name))
    )
  }
}

/** A name that two columns have is neither. */
export function columnOf({ columns }: RangeItem, name: string): BaseColumn | undefined {
  const [found, another] = columns?.filter((column) => column.name === name) ?? []
  return another ? undefined : found?.base
}

/** The columns of `alias.*`; undefined where they are not known. */
export const starOfItem = ({ alias, columns }: RangeItem): readonly StarColumn[] | undefined => {
  const names = new Set(columns?.map(({ name }) => name))
  // Two columns of one name cannot be written.
  if (!columns || names.size < columns.length) return undefined
  return columns.map((column) => ({
    ...column,
    expression: columnNode(alias, column.name),
  }))
}

/** The columns of a table, under the names that its alias gives to the first of them. */
export const tableColumns = (use: TableUse, names: readonly string[]): readonly OutputColumn[] =>
  [...use.table.columns.keys()].map((name, index) => ({ name: names[index] ?? name, base: { use, name } }))

export const withNames = (outputs: Outputs, names: readonly string[]): Outputs =>
  outputs?.map((column, index) => ({ ...column, name: names[index] ?? column.name }))

/** Columns that are no table's any more. */
export const withoutBases = (outputs: Outputs): Outputs => outputs?.map(({ name }) => ({ name, base: undefined }))
