import { functionInvalid } from './function-invalid'
import { SLOTS } from './hash-slot'
import type { ShardingFunction } from './sharding-function'

/** No function makes more shards than there are slots. */
export const MAX_SHARDS = SLOTS

/** Labels end up in names of schemas and tables, of which PostgreSQL keeps 63 bytes. */
const LABEL = /^[a-z0-9_]{1,40}$/

/** Freezes the labels of a declaration. @throws ShardedError FUNCTION_INVALID */
export const checkLabels = (kind: ShardingFunction['kind'], labels: readonly string[]): readonly string[] => {
  if (labels.length === 0) throw functionInvalid(kind, 'it has no shards.')
  if (labels.length > MAX_SHARDS) throw functionInvalid(kind, `${labels.length} shards are more than ${MAX_SHARDS}.`)
  const seen = new Set<string>()
  for (const label of labels) {
    if (typeof label !== 'string' || !LABEL.test(label)) {
      throw functionInvalid(kind, `the shard name ${JSON.stringify(label)} must be 1 to 40 of a-z, 0-9 and _.`)
    }
    if (seen.has(label)) throw functionInvalid(kind, `the shard name '${label}' occurs twice.`)
    seen.add(label)
  }
  return Object.freeze([...labels])
}
