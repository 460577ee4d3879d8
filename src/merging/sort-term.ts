import type { SortKind } from './sort-kind'

/**
 * One term of an ORDER BY, over a column that every row of every source carries.
 *
 * @example
 * // ORDER BY total DESC: PostgreSQL puts NULLs first unless told otherwise
 * const term: SortTerm = { column: '__k0', kind: 'numeric', descending: true, nullsFirst: true }
 */
export interface SortTerm {
  readonly column: string
  readonly kind: SortKind
  readonly descending: boolean
  /** Where NULLs stand in the output, whatever the direction: PostgreSQL's defaults are already resolved. */
  readonly nullsFirst: boolean
}
