import type { KeyConstraint } from '../functions/sharding-function'

/**
 * A condition as routing sees it: what it says of the shard key, and nothing else. Whatever is not understood is
 * `unknown` and restricts nothing: a route may be too wide, never too narrow.
 */
export type Predicate =
  | { readonly kind: 'and'; readonly of: readonly Predicate[] }
  | { readonly kind: 'or'; readonly of: readonly Predicate[] }
  | { readonly kind: 'key'; readonly column: number; readonly constraint: KeyConstraint }
  | { readonly kind: 'unknown' }

export const unknownPredicate: Predicate = Object.freeze({ kind: 'unknown' })
