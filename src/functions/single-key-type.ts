import { ShardedError } from '../errors/sharded-error'
import type { KeyType } from '../values/key-type'
import { functionInvalid } from './function-invalid'
import type { ShardingFunction } from './sharding-function'

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
