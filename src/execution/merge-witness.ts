import type { Row } from '../merging/row'
import { collationKey } from '../query/collation-name'
import type { OrderTerm } from '../query/order-term'

export type MergeSources = readonly { readonly rows: readonly Row[] }[]

/** What the rows say of how they were sorted: one value where they agree; none without rows or a witness. */
export function testimonies(sources: MergeSources, { witness }: OrderTerm): ReadonlySet<unknown> {
  const found = new Set<unknown>()
  if (witness !== undefined) for (const { rows } of sources) for (const row of rows) found.add(row[witness])
  return found
}

/** True where the rows were sorted by the collation that the term was planned for. */
export function isAsAssumed({ type, form }: OrderTerm, found: unknown): boolean {
  if (form.witness?.of === 'labels' || typeof found !== 'string') return true
  return type.collation !== undefined && collationKey(type.collation) === collationKey(found)
}
