import type { ScatterLimits } from '../../execution/operation'
import type { Shard } from '../../topology/shard'

/** What a narrowed repository says of the shards of its operations. */
export type Hint =
  | { readonly kind: 'shard'; readonly shard: Shard }
  | { readonly kind: 'key'; readonly value: unknown }
  | { readonly kind: 'across' }

/** How a manager differs from the data source's own: the shards of its operations, and what bounds them. */
export interface Narrowing {
  readonly hint?: Hint | undefined
  readonly limits?: ScatterLimits | undefined
}
