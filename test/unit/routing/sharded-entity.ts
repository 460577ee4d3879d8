import type { ShardingFunction } from '../../../src/functions/sharding-function'
import type { ShardedEntity } from '../../../src/model/sharded-entity'
import type { PlacedEntity } from '../../../src/routing/route'
import { evenOwners } from '../../../src/topology/unit-owners'
import { canonicalKey } from '../../../src/values/canonical-key'
import type { KeyType } from '../../../src/values/key-type'

/** A sharded entity for tests of routing: `Order` with key columns `key0`, `key1`, … */
export function shardedEntity(
  fn: ShardingFunction,
  types: readonly KeyType[],
  scatter: Partial<ShardedEntity['scatter']> = {},
): ShardedEntity {
  return {
    kind: 'sharded',
    name: 'Order',
    target: 'Order',
    group: 'order',
    keyColumns: types.map((type, index) => ({ propertyPath: `key${index}`, type })),
    fn: fn.bind(types),
    primaryKeyHoldsShardKey: true,
    scatter: {
      reads: 'allow',
      writes: 'allow',
      maxShards: Number.POSITIVE_INFINITY,
      rowBudget: Number.POSITIVE_INFINITY,
      deadlineMs: Number.POSITIVE_INFINITY,
      ...scatter,
    },
    primaryKeyCheck: true,
    onKeyChange: 'refuse',
    relationsApart: new Set(),
    uniquesByReference: new Set(),
  }
}

export function placedEntity(fn: ShardingFunction, types: readonly KeyType[]): PlacedEntity {
  const entity = shardedEntity(fn, types)
  return { entity, owners: evenOwners(entity.fn.spaces) }
}

export function key(value: unknown, type: KeyType = 'integer'): string {
  const text = canonicalKey(value, type)
  if (text === undefined) throw new Error(`${String(value)} has no canonical text.`)
  return text
}
