import { ShardedError } from '../errors/sharded-error'
import type { CanonicalKey } from '../values/canonical-key'
import { canonicalKey } from '../values/canonical-key'
import type { KeyType } from '../values/key-type'
import { functionInvalid } from './function-invalid'
import type { ShardingFunction } from './sharding-function'

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
