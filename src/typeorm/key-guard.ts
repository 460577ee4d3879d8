import type { EntitySubscriberInterface, InsertEvent, ObjectLiteral, UpdateEvent } from 'typeorm'
import { ShardedError } from '../errors/sharded-error'
import { keyText } from '../routing/route'
import { type EntityBinding, keyOf, requireKey, shardOfKey } from './entity-binding'
import { ShardDataSource } from './shard-data-source'

/**
 * The last look before a row is written, after all listeners and other subscribers had theirs: a listener may have set
 * or changed the shard key when the shard was already chosen, and a shard's own data source writes unrouted.
 */
export class KeyGuard implements EntitySubscriberInterface<ObjectLiteral> {
  constructor(private readonly bindingOf: (target: unknown) => EntityBinding | undefined) {}

  /** @throws ShardedError WRONG_SHARD, KEY_MISSING */
  beforeInsert({ dataSource, entity, metadata }: InsertEvent<ObjectLiteral>): void {
    const binding = this.bindingOf(metadata.target)
    if (!binding || !entity || !(dataSource instanceof ShardDataSource)) return
    const key = keyOf(binding, entity)
    if (!key) {
      // A child saved by cascade has its key from the join column, which TypeORM sets in the statement.
      if (!binding.keyColumns.some((column) => column.relationMetadata)) requireKey(binding, entity, 'insert')
      return
    }
    const owner = shardOfKey(binding, key)
    if (owner.name === dataSource.shard.name) return
    throw new ShardedError(
      'WRONG_SHARD',
      `${keyText(binding.entity)} = ${key.join(', ')} belongs to shard ${owner.name}, not to ${dataSource.shard.name}.`,
      {
        details: { entity: binding.entity.name, key, shard: dataSource.shard.name, owner: owner.name },
      },
    )
  }

  /** @throws ShardedError KEY_CHANGED */
  beforeUpdate({ entity, databaseEntity, metadata, dataSource }: UpdateEvent<ObjectLiteral>): void {
    const binding = this.bindingOf(metadata.target)
    if (!binding || !entity || !databaseEntity || !(dataSource instanceof ShardDataSource)) return
    const before = keyOf(binding, databaseEntity)
    const now = keyOf(binding, entity)
    if (!before || !now || before.every((part, index) => part === now[index])) return
    throw new ShardedError(
      'KEY_CHANGED',
      `${keyText(binding.entity)} is ${before.join(', ')} in the database and ${now.join(', ')} in the entity.`,
      {
        details: { entity: binding.entity.name, before, now },
      },
    )
  }
}
