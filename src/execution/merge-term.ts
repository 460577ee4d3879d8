import type { Row } from '../merging/row'
import type { SortTerm } from '../merging/sort-term'
import { collationKey } from '../planning/collation-name'
import type { SortWitness, ValueType } from '../planning/sort-form'

/** One term of an ORDER BY as the merge needs it. */
export interface MergeTerm {
  readonly merge: SortTerm
  /** SQL over `v` by which the database ranks the texts of the sort column. */
  readonly rankBy: string
  /** Whom an error names: `User.name`. */
  readonly name: string
  /** The type by which the term was made. */
  readonly type: ValueType
  /** The column that every row carries as proof of how its shard sorts. */
  readonly witness: { readonly column: string; readonly of: SortWitness['of'] } | undefined
  /** The term only settles ties of the others: any order of it would do. */
  readonly isTiebreak?: boolean
}

export type MergeSources = readonly { readonly rows: readonly Row[] }[]

/** What the rows say of how they were sorted: one value where they agree; none without rows or a witness. */
export function testimonies(sources: MergeSources, { witness }: MergeTerm): ReadonlySet<unknown> {
  const found = new Set<unknown>()
  if (witness) for (const { rows } of sources) for (const row of rows) found.add(row[witness.column])
  return found
}

/** True where the rows were sorted by the collation that the term was made for. */
export function isAsAssumed({ type, witness }: MergeTerm, found: unknown): boolean {
  if (witness?.of === 'labels' || typeof found !== 'string') return true
  return type.collation !== undefined && collationKey(type.collation) === collationKey(found)
}
