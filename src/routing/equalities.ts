import type { Node } from '@pgsql/types'
import { conjunctsOf, namesOf } from '../sql/tree'
import type { BaseColumn, Scope, TableUse } from './scope'

/** A condition that all rows of its query meet, with the scope that its names are read in. */
export interface Filter {
  readonly condition: Node
  readonly scope: Scope
}

/** Two columns that a condition makes equal. */
export type Equality = readonly [BaseColumn, BaseColumn]

/** The columns that a condition makes equal: of alternatives, those that all of them do. */
export function equalitiesOf({ condition, scope }: Filter): readonly Equality[] {
  if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'OR_EXPR') {
    const [first = [], ...others] = (condition.BoolExpr.args ?? []).map((branch) =>
      conjunctsOf(branch).flatMap((part) => equalitiesOf({ condition: part, scope })),
    )
    return first.filter((pair) => others.every((branch) => branch.some((other) => isSamePair(pair, other))))
  }
  if (!('A_Expr' in condition)) return []
  const { kind, name, lexpr, rexpr } = condition.A_Expr
  if (kind !== 'AEXPR_OP' || namesOf(name)?.at(-1) !== '=') return []
  return pairsOf(lexpr, rexpr).flatMap(([left, right]): Equality[] => {
    const a = scope.column(left)
    const b = scope.column(right)
    return a && b ? [[a, b]] : []
  })
}

function pairsOf(
  left: Node | undefined,
  right: Node | undefined,
): readonly (readonly [Node | undefined, Node | undefined])[] {
  if (!left || !right || !('RowExpr' in left) || !('RowExpr' in right)) return [[left, right]]
  const rights = right.RowExpr.args ?? []
  return (left.RowExpr.args ?? []).map((one, index) => [one, rights[index]] as const)
}

const isSameColumn = (a: BaseColumn, b: BaseColumn): boolean => a.use === b.use && a.name === b.name

const isSamePair = ([a, b]: Equality, [c, d]: Equality): boolean =>
  (isSameColumn(a, c) && isSameColumn(b, d)) || (isSameColumn(a, d) && isSameColumn(b, c))

/**
 * Equalities that hold only where `inner` has a row, as between an outer row and a partner that it need not have: those that
 * tie `inner` to what is around it. Through a partner that is missing, two columns around it are not made equal.
 */
export function ties(inner: ReadonlySet<TableUse>, equalities: readonly Equality[]): readonly Equality[] {
  const kept: Equality[] = []
  const isOutside = (column: BaseColumn, classes: ReturnType<typeof columnClasses>): boolean =>
    [column, ...kept.flat().filter((one) => classes(one.use, one.name) === classes(column.use, column.name))].some(
      ({ use }) => !inner.has(use),
    )
  for (const equality of equalities) {
    const [a, b] = equality
    // All columns are numbered, those of this equality too.
    const classes = columnClasses([...kept, [a, a], [b, b]])
    if (!isOutside(a, classes) || !isOutside(b, classes)) kept.push(equality)
  }
  return kept
}

/** Numbers columns so that those which must be equal share a number. */
export function columnClasses(equalities: readonly Equality[]): (use: TableUse, name: string) => number | undefined {
  const numbers = new Map<TableUse, Map<string, number>>()
  const parents: number[] = []
  const root = (number: number): number => {
    const parent = parents[number] ?? number
    return parent === number ? number : root(parent)
  }
  const numberOf = ({ use, name }: BaseColumn): number => {
    const columns = numbers.get(use) ?? new Map<string, number>()
    numbers.set(use, columns)
    const number = columns.get(name) ?? parents.push(parents.length) - 1
    columns.set(name, number)
    return number
  }
  for (const [a, b] of equalities) parents[root(numberOf(a))] = root(numberOf(b))
  return (use, name) => {
    const number = numbers.get(use)?.get(name)
    return number === undefined ? undefined : root(number)
  }
}
