import type { SortTerm } from '../merging/sort-term'
import type { SortForm, ValueType } from './sort-form'

/**
 * One term of an ORDER BY over several shards: how a node sorts by it, how this process compares it, and what proves that
 * both sort alike. Find options, query builders and SQL all lower their ORDER BY to this.
 */
export interface OrderTerm extends SortTerm {
  /** How messages name the term: `User.name`. */
  readonly name: string
  /** Details of errors about the term. */
  readonly details: Readonly<Record<string, unknown>>
  /** The type that the term was planned for. */
  readonly type: ValueType
  readonly form: SortForm
  /** The output column by which a node merges its arms. */
  readonly nodeColumn: string
  /** The output column with the proof of how the shard sorts: see `SortForm.witness`. */
  readonly witness: string | undefined
  /** The term only settles ties of the other terms: any order of it is right. */
  readonly isTiebreak?: boolean
  /** The table column that the term is, so that its type can be looked up in the catalog of a shard. */
  readonly base?: { readonly table: string; readonly column: string }
}

/** How a node merges its arms by a term. */
export interface ArmOrder {
  readonly column: string
  readonly descending: boolean
  readonly nullsFirst: boolean
}

export const armOrder = ({ nodeColumn, descending, nullsFirst }: OrderTerm): ArmOrder => ({
  column: nodeColumn,
  descending,
  nullsFirst,
})
