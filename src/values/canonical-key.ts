import { canonicalBoolean } from './canonical-boolean'
import { canonicalBytes } from './canonical-bytes'
import { canonicalFloat } from './canonical-float'
import { canonicalInteger } from './canonical-integer'
import { canonicalNumeric } from './canonical-numeric'
import { canonicalChar, canonicalText } from './canonical-text'
import { canonicalTime } from './canonical-time'
import { canonicalUuid } from './canonical-uuid'
import type { KeyType } from './key-type'

/** The canonical text of one shard key value: equal keys have equal texts, whatever their JavaScript form. */
export type CanonicalKey = string

/**
 * The canonical text of a shard key value, as its column's type tells values apart: 42, 42n, `'42'` and `'042'` are one
 * integer key. `test/vectors/canonical-keys.json` pins the texts down; they are stored nowhere, but hashes
 * depend on them.
 *
 * Returns `undefined` only where the value is legal but its meaning depends on the database session (see
 * `canonicalTime`): a reader then asks all shards, a writer must refuse.
 *
 * @throws ShardedError KEY_INVALID for anything the column cannot hold, null included. Never NULL, NUL or guesses.
 * @example
 * canonicalKey(' 042 ', 'integer') // '42'
 * canonicalKey('2024-01-15 10:00+02', 'timestamptz') // '2024-01-15T08:00:00.000000Z'
 */
export const canonicalKey = (value: unknown, type: KeyType): CanonicalKey | undefined => {
  switch (type) {
    case 'integer':
      return canonicalInteger(value)
    case 'numeric':
      return canonicalNumeric(value)
    case 'float':
      return canonicalFloat(value)
    case 'text':
      return canonicalText(value)
    case 'char':
      return canonicalChar(value)
    case 'uuid':
      return canonicalUuid(value)
    case 'boolean':
      return canonicalBoolean(value)
    case 'bytes':
      return canonicalBytes(value)
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return canonicalTime(value, type)
  }
}

/** One text for a composite key: no canonical text holds the NUL between. */
export const canonicalTuple = (keys: readonly CanonicalKey[]): string =>
  keys.length === 1 && keys[0] !== undefined ? keys[0] : keys.join('\0')
