import type { ObjectLiteral } from 'typeorm'
import type { ArmQueryBuilder } from './arm-query-builder'
import type { EntityBinding } from './entity-binding'

/** Pages that end further down are sorted by the databases in whole: more rows would be sorted here than it saves there. */
const deepestLatePage = 1_000

/** Orders of an entity that are remembered, at most. */
const maxRemembered = 1_000

const tied = new WeakMap<EntityBinding, Set<string>>()

/**
 * Where ties of a page may be left to the merge: an index on the column then gives the first rows of each arm one by one,
 * while sorting by the primary key too reads a page of each. `undefined`: the databases are to sort them.
 *
 * @returns the order's name for `rememberTies`
 */
export function lateTies(
  binding: EntityBinding,
  builder: ArmQueryBuilder<ObjectLiteral>,
  { end }: { readonly end: number | undefined },
): string | undefined {
  if (end === undefined || end < 1 || end > deepestLatePage) return undefined
  const order = JSON.stringify(builder.expressionMap.allOrderBys)
  return hasTies(binding, order) ? undefined : order
}

/** Whether pages in this order are to be sorted by the databases. */
export const hasTies = (binding: EntityBinding, order: string): boolean => tied.get(binding)?.has(order) ?? false

/** Pages in this order cut through ties, or have none to settle: the databases sort the next one at once. */
export function rememberTies(binding: EntityBinding, order: string): void {
  const orders = tied.get(binding) ?? new Set()
  if (orders.size >= maxRemembered) orders.clear()
  tied.set(binding, orders.add(order))
}
