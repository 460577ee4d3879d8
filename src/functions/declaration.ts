import { ShardedError } from '../errors/sharded-error'
import { type CanonicalKey, canonicalKey } from '../values/canonical-key'
import type { KeyType } from '../values/key-type'
import type { ShardingFunction } from './sharding-function'

/** The error for a declaration that cannot be meant. */
export const functionInvalid = (kind: ShardingFunction['kind'], what: string, cause?: unknown): ShardedError =>
  new ShardedError('FUNCTION_INVALID', `${kind}(…): ${what}`, {
    details: { function: kind },
    ...(cause === undefined ? {} : { cause }),
  })

/** The size of the hash space, and the most shards of any function. Part of where rows lie: it can never change. */
export const SLOTS = 16_384

/** Labels end up in names of schemas and tables, of which PostgreSQL keeps 63 bytes. */
const LABEL = /^[a-z0-9_]{1,40}$/

/** Freezes the labels of a declaration. @throws ShardedError FUNCTION_INVALID */
export const checkLabels = (kind: ShardingFunction['kind'], labels: readonly string[]): readonly string[] => {
  if (labels.length === 0) throw functionInvalid(kind, 'it has no shards.')
  if (labels.length > SLOTS) throw functionInvalid(kind, `${labels.length} shards are more than ${SLOTS}.`)
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

/** The type of the one column that a function takes. @throws ShardedError FUNCTION_INVALID, KEY_TYPE_UNSUPPORTED */
export const singleKeyType = (
  kind: ShardingFunction['kind'],
  types: readonly KeyType[],
  isSupported: (type: KeyType) => boolean,
): KeyType => {
  const [type] = types
  if (type === undefined || types.length !== 1) {
    throw functionInvalid(kind, `it takes one shard key column, not ${types.length}.`)
  }
  if (isSupported(type)) return type
  throw new ShardedError('KEY_TYPE_UNSUPPORTED', `${kind}(…) cannot place keys of type ${type}.`, {
    details: { function: kind, keyType: type },
  })
}

const read = (kind: ShardingFunction['kind'], value: unknown, type: KeyType): CanonicalKey | undefined => {
  try {
    return canonicalKey(value, type)
  } catch (error) {
    if (error instanceof ShardedError) throw functionInvalid(kind, error.message, error)
    throw error
  }
}

/** The canonical text of a value that a declaration names: there it must mean the same in every session. */
export const declaredKey = (kind: ShardingFunction['kind'], value: unknown, type: KeyType): CanonicalKey => {
  const key = read(kind, value, type)
  if (key !== undefined) return key
  const example = type === 'timestamptz' ? '2024-01-15T00:00:00Z' : '2024-01-15'
  throw functionInvalid(
    kind,
    `${JSON.stringify(value)} means another ${type} in another session: write it as '${example}'.`,
  )
}
