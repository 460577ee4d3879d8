import type { JoinExpr } from '@pgsql/types'
import { columnNode } from '../sql/nodes'
import { namesOf } from '../sql/tree'
import { type BaseColumn, type Scope, type StarColumn, type StarPart, withNames } from './scope'

/** The columns that a join by USING or NATURAL makes equal. */
interface JoinColumns {
  readonly pairs: readonly (readonly [BaseColumn, BaseColumn])[]
  /** It is NATURAL, and a side's columns are not known. */
  readonly isUnknown: boolean
}

/** Where the parts of a join begin, and which columns were merged before it. */
export interface JoinStart {
  readonly left: number
  readonly right: number
  readonly items: number
  readonly merged: Scope['merged']
}

/** Puts what a join by USING or NATURAL gives in the places of what its sides gave: the columns that it makes equal come first and once. */
export function joinColumns(join: JoinExpr, scope: Scope, from: JoinStart): JoinColumns {
  const left = scope.star.slice(from.left, from.right)
  const right = scope.star.slice(from.right)
  const names = join.isNatural ? commonNames(left, right) : (namesOf(join.usingClause) ?? [])
  if (!names) return { pairs: [], isUnknown: true }
  return names.length > 0 ? merge(join, scope, { left, right, names }) : { pairs: [], isUnknown: false }
}

function merge(
  join: JoinExpr,
  scope: Scope,
  { left, right, names }: { left: readonly StarPart[]; right: readonly StarPart[]; names: readonly string[] },
): JoinColumns {
  const pairs: (readonly [BaseColumn, BaseColumn])[] = []
  const columns: StarColumn[] = []
  for (const name of names) {
    const a = columnIn(left, name)
    const b = columnIn(right, name)
    if (a?.base && b?.base) pairs.push([a.base, b.base])
    scope.merged.set(name, mergedBase(join, a, b))
    if (a && b) columns.push(mergedColumn(join, a, b))
  }
  if (join.join_using_alias) scope.items.push({ alias: join.join_using_alias.aliasname ?? '', use: undefined, columns })
  const rest = [...left, ...right].map(({ alias, columns: own }) => ({
    alias,
    columns: own?.filter((column) => !names.includes(column.name)),
  }))
  const isKnown = columns.length === names.length && rest.every((part) => part.columns)
  const start = scope.star.length - left.length - right.length
  scope.star.splice(start, left.length + right.length, { alias: '', columns: isKnown ? columns : undefined }, ...rest)
  return { pairs, isUnknown: false }
}

/** The column that a merged one is: of an outer join that of the side which is kept, of a FULL JOIN neither. */
function mergedBase(
  { jointype }: JoinExpr,
  a: StarColumn | undefined,
  b: StarColumn | undefined,
): BaseColumn | undefined {
  switch (jointype) {
    case 'JOIN_RIGHT':
      return b?.base
    case 'JOIN_LEFT':
      return a?.base
    case 'JOIN_FULL':
      return undefined
    default:
      return a?.base ?? b?.base
  }
}

/** The value that has one: of a FULL JOIN the first that is not NULL. */
function mergedColumn({ jointype }: JoinExpr, a: StarColumn, b: StarColumn): StarColumn {
  if (jointype === 'JOIN_FULL')
    return {
      name: a.name,
      base: undefined,
      expression: { CoalesceExpr: { args: [a.expression, b.expression] } },
      isMerged: true,
    }
  return { ...(jointype === 'JOIN_RIGHT' ? b : a), isMerged: true }
}

/** `(a JOIN b …) AS j (x, y)`: one part with one name, and those of its sides are hidden. */
export function hideSides({ alias }: JoinExpr, scope: Scope, from: JoinStart): void {
  if (!alias) return
  const parts = scope.star.splice(from.left)
  scope.items.splice(from.items)
  scope.merged = from.merged
  const isKnown = parts.every(({ columns }) => columns !== undefined)
  const all = isKnown
    ? parts.flatMap(({ columns = [] }) => columns.map(({ name, base }) => ({ name, base })))
    : undefined
  scope.add({ alias: alias.aliasname ?? '', use: undefined, columns: withNames(all, namesOf(alias.colnames) ?? []) })
}

const columnIn = (parts: readonly StarPart[], name: string): StarColumn | undefined =>
  parts.flatMap(({ columns }) => columns ?? []).find((column) => column.name === name)

/** undefined where the columns of a side are not known. */
function commonNames(left: readonly StarPart[], right: readonly StarPart[]): readonly string[] | undefined {
  if ([...left, ...right].some(({ columns }) => columns === undefined)) return undefined
  const names = (parts: readonly StarPart[]) => parts.flatMap(({ columns }) => (columns ?? []).map(({ name }) => name))
  const others = new Set(names(right))
  return names(left).filter((name) => others.has(name))
}

/** The columns of `*`: a merged one without a qualifier, where no other part has its name. */
export function writtenStar(parts: readonly StarPart[]): readonly StarColumn[] | undefined {
  if (parts.some(({ columns }) => columns === undefined)) return undefined
  const all = parts.flatMap(({ columns }) => columns ?? [])
  return all.map((column): StarColumn => {
    const isAlone = all.filter(({ name }) => name === column.name).length === 1
    return column.isMerged && isAlone ? { ...column, expression: columnNode(column.name) } : column
  })
}
