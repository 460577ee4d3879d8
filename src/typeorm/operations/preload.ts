import type { ObjectLiteral } from 'typeorm'
import { PlainObjectToDatabaseEntityTransformer } from 'typeorm/query-builder/transformer/PlainObjectToDatabaseEntityTransformer'
import type { Shard } from '../../topology/shard'
import { keyOf, shardOfKey } from '../binding/entity-binding'
import { locateRow } from '../reads/locate-rows'
import type { EntityWriter } from '../writes/entity-writer'
import { checkWidth, type OperationContext } from './operation-context'

/** `preload`: the row of the object's primary key, with the object's values over it; undefined where there is none. */
export async function preload(context: OperationContext, like: ObjectLiteral): Promise<ObjectLiteral | undefined> {
  const { access, binding } = context
  const { metadata } = binding
  const [first] = binding.shards
  // Without a primary key TypeORM refuses, before it asks any database.
  if (first && !metadata.hasAllPrimaryKeys(like))
    return access.onShard(first, (manager: EntityWriter) => manager.preload(metadata.target, like))
  const load = (shard: Shard) =>
    access.onShard(shard, async (manager) => {
      const writer: EntityWriter = manager
      const entity: ObjectLiteral | undefined = await new PlainObjectToDatabaseEntityTransformer(manager).transform(
        like,
        metadata,
      )
      if (entity) access.runtime.entityShards.remember(binding, entity, shard)
      return entity && writer.merge(metadata.target, entity, like)
    })
  const key = keyOf(binding, like)
  const found = key && (await load(shardOfKey(binding, key)))
  if (found || (key && (binding.entity.primaryKeyHoldsShardKey || !binding.entity.primaryKeyCheck))) return found
  if (!key) checkWidth(context, { name: 'preload', writes: false }, binding.shards.length)
  const located = await locateRow(access, binding, like)
  return located && load(located.shard)
}
