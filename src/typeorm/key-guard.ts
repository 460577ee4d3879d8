import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import type { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { ShardedError } from '../errors/sharded-error'
import { keyText } from '../routing/route'
import type { Shard } from '../topology/shard'
import { type EntityBinding, keyOf, requireKey, shardOfKey } from './entity-binding'

/**
 * The last look before a row is written, after all listeners and other subscribers had theirs: a listener may have set
 * or changed the shard key when the shard was already chosen, and a shard's own data source writes unrouted.
 */
export class KeyGuard {
  constructor(private readonly bindingOf: (target: unknown) => EntityBinding | undefined) {}

  /** @throws ShardedError WRONG_SHARD, KEY_MISSING */
  checkInsert(shard: Shard, metadata: EntityMetadata, entity: ObjectLiteral | undefined): void {
    const binding = this.bindingOf(metadata.target)
    if (!binding || !entity) return
    const key = keyOf(binding, entity)
    if (!key) {
      // A child saved by cascade has its key from the join column, which TypeORM sets in the statement.
      if (!binding.keyColumns.some((column) => column.relationMetadata)) requireKey(binding, entity, 'insert')
      return
    }
    const owner = shardOfKey(binding, key)
    if (owner.name === shard.name) return
    throw new ShardedError(
      'WRONG_SHARD',
      `${keyText(binding.entity)} = ${key.join(', ')} belongs to shard ${owner.name}, not to ${shard.name}.`,
      {
        details: { entity: binding.entity.name, key, shard: shard.name, owner: owner.name },
      },
    )
  }

  /** @throws ShardedError KEY_CHANGED */
  checkUpdate(
    metadata: EntityMetadata,
    entity: ObjectLiteral | undefined,
    databaseEntity: ObjectLiteral | undefined,
  ): void {
    const binding = this.bindingOf(metadata.target)
    if (!binding || !entity || !databaseEntity) return
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

/**
 * The events of a shard's query runner, with the guard after all listeners and subscribers. The guard is no subscriber:
 * TypeORM computes every change anew after a subscriber had its turn, and sends it the events of every query and load.
 */
export class GuardedBroadcaster extends Broadcaster {
  constructor(
    queryRunner: ConstructorParameters<typeof Broadcaster>[0],
    private readonly guard: KeyGuard,
    private readonly shard: Shard,
  ) {
    super(queryRunner)
  }

  override broadcastBeforeInsertEvent(
    result: BroadcasterResult,
    metadata: EntityMetadata,
    entity: ObjectLiteral | undefined,
  ): void {
    super.broadcastBeforeInsertEvent(result, metadata, entity)
    this.guard.checkInsert(this.shard, metadata, entity)
  }

  override broadcastBeforeUpdateEvent(...event: Parameters<Broadcaster['broadcastBeforeUpdateEvent']>): void {
    super.broadcastBeforeUpdateEvent(...event)
    const [, metadata, entity, databaseEntity] = event
    this.guard.checkUpdate(metadata, entity, databaseEntity)
  }
}
