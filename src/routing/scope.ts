import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { namesOf, type TreeObject } from '../sql/tree'
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

export interface RangeItem {
  readonly alias: string
  readonly use: TableUse | undefined
  /** Output columns of a derived table or CTE; undefined for tables, and where they are not known. */
  readonly columns: ReadonlyMap<string, BaseColumn | undefined> | undefined
}

export interface Cte {
  /** As it stands in its WITH. */
  readonly node: Node
  readonly select: SelectStmt | undefined
  readonly object: TreeObject
  /** The names that it can use itself: those around its WITH, and the CTEs that come before it. */
  readonly scope: Scope
  /** Of the query that has the WITH. */
  readonly owner: Scope
  readonly names: readonly string[]
  readonly isRecursive: boolean
  /** What a recursive CTE means inside itself. */
  self?: ReadonlyMap<string, BaseColumn | undefined>
}

/** The names that an expression can use. */
export class Scope {
  readonly items: RangeItem[] = []
  /** A name of an outer scope was used from here. */
  isCorrelated = false

  constructor(
    readonly parent: Scope | undefined,
    readonly ctes = new Map<string, Cte>(),
  ) {}

  cte(name: string): Cte | undefined {
    return this.ctes.get(name) ?? this.parent?.cte(name)
  }

  /** Notes that this scope, and those around it up to `end`, use a name from beyond. */
  correlate(end: Scope): void {
    this.isCorrelated = true
    if (this !== end) this.parent?.correlate(end)
  }

  /** The column of a sharded table that an expression is; undefined where it is something else. */
  column(expression: Node | undefined): BaseColumn | undefined {
    if (!expression || !('ColumnRef' in expression)) return undefined
    const names = namesOf(expression.ColumnRef.fields)
    if (!names) return undefined
    const [name = '', alias] = [...names].reverse()
    return alias === undefined ? this.unqualified(name) : this.qualified(alias, name)
  }

  private unqualified(name: string): BaseColumn | undefined {
    for (const item of this.items) {
      const found = columnOf(item, name)
      if (found) return found
      if (item.columns?.has(name)) return undefined
    }
    const outer = this.parent?.unqualified(name)
    if (outer) this.isCorrelated = true
    return outer
  }

  private qualified(alias: string, name: string): BaseColumn | undefined {
    const item = this.items.find((one) => one.alias === alias)
    if (item) return columnOf(item, name)
    if (this.parent?.hasAlias(alias)) this.isCorrelated = true
    return this.parent?.qualified(alias, name)
  }

  private hasAlias(alias: string): boolean {
    return this.items.some((item) => item.alias === alias) || (this.parent?.hasAlias(alias) ?? false)
  }
}

export function columnOf({ use, columns }: RangeItem, name: string): BaseColumn | undefined {
  if (columns) return columns.get(name)
  return use?.table.columns.has(name) ? { use, name } : undefined
}

export function renamed(
  table: ShardedTable,
  names: readonly string[],
  use: TableUse,
): ReadonlyMap<string, BaseColumn | undefined> | undefined {
  if (names.length === 0) return undefined
  return new Map([...table.columns.keys()].map((name, index) => [names[index] ?? name, { use, name }]))
}

export function withNames(
  outputs: ReadonlyMap<string, BaseColumn | undefined>,
  names: readonly string[],
): ReadonlyMap<string, BaseColumn | undefined> {
  if (names.length === 0) return outputs
  return new Map([...outputs].map(([name, column], index) => [names[index] ?? name, column]))
}

const namesIn = (items: readonly RangeItem[]): readonly string[] =>
  items.flatMap((item) => [...(item.columns?.keys() ?? item.use?.table.columns.keys() ?? [])])

export function commonNames(left: readonly RangeItem[], right: readonly RangeItem[]): readonly string[] {
  const names = new Set(namesIn(right))
  return namesIn(left).filter((name) => names.has(name))
}

export const firstColumn = (items: readonly RangeItem[], name: string): BaseColumn | undefined =>
  items.map((item) => columnOf(item, name)).find((column) => column !== undefined)
