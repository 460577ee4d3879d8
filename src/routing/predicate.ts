import type { KeyConstraint } from '../functions/sharding-function'

/**
 * A condition as routing sees it: what it says of the shard key, and nothing else. Whatever is not understood is
 * `unknown` and restricts nothing: a route may be too wide, never too narrow.
 */
export type Predicate =
  | { readonly kind: 'and'; readonly of: readonly Predicate[] }
  | { readonly kind: 'or'; readonly of: readonly Predicate[] }
  | { readonly kind: 'key'; readonly column: number; readonly constraint: KeyConstraint }
  | SlotsPredicate
  | { readonly kind: 'unknown' }

/** The rows' shard keys have one of these slots: the ids of `@ShardedId` say so. */
export interface SlotsPredicate {
  readonly kind: 'slots'
  readonly slots: readonly number[]
}

export const unknownPredicate: Predicate = Object.freeze({ kind: 'unknown' })
