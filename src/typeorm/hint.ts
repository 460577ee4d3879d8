import type { Shard } from '../topology/shard'

/** What a narrowed repository says of the shards of its operations. */
export type Hint =
  | { readonly kind: 'shard'; readonly shard: Shard }
  | { readonly kind: 'key'; readonly value: unknown }
  | { readonly kind: 'across' }
