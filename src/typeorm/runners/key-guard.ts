import type { EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm'
import { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import type { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { ShardedError } from '../../errors/sharded-error'
import { placeholderSchema } from '../../planning/bind-shard-names'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import { type EntityBinding, keyOf, requireKey, shardOfKey } from '../binding/entity-binding'
import { checkIdSlot, shardsOfObject } from '../binding/entity-ids'
import { primaryKeyText } from '../binding/primary-key-text'
import type { ShardTransaction } from './shard-transaction'
import type { ShownRow } from './shown-row'
import type { Unfilled } from './unfilled'

/** What the guard has to know of rows. */
export interface GuardedRows {
  bindingOf(target: unknown): EntityBinding | undefined
  /** Whether an entity stands for a row that was read or written. */
  isLoaded(entity: ObjectLiteral): boolean
  /** Which shard holds the primary key of an entity. */
  locate(
    binding: EntityBinding,
    entity: ObjectLiteral,
    transaction: ShardTransaction | undefined,
  ): Promise<Shard | undefined>
}

interface GuardedEntity {
  readonly metadata: EntityMetadata
  readonly entity: ObjectLiteral
}

/**
 * The last look before a row is written, after all listeners and other subscribers had theirs: a listener may have set
 * or changed the shard key when the shard was already chosen, and a shard's own data source writes unrouted.
 */
export class KeyGuard {
  constructor(private readonly rows: GuardedRows) {}

  /**
   * An entity that was loaded is about to be inserted: its row is gone. Where it has moved to another shard, a second one
   * would be made.
   *
   * @throws ShardedError ROW_MOVED
   */
  async checkStillHere(
    shard: Shard,
    { metadata, entity }: GuardedEntity,
    transaction?: ShardTransaction,
  ): Promise<void> {
    const binding = this.bindingOf(metadata.target)
    if (!binding || binding.entity.primaryKeyHoldsShardKey) return
    const located = await this.rows.locate(binding, entity, transaction)
    if (!located || located.name === shard.name) return
    throw new ShardedError(
      'ROW_MOVED',
      `A row of ${binding.entity.name} has moved from shard ${shard.name} to ${located.name} since it was loaded.`,
      { details: { entity: binding.entity.name, shard: shard.name, movedTo: located.name } },
    )
  }

  /** Whether an insert is of an entity that was loaded. */
  isStale(metadata: EntityMetadata, entity: ObjectLiteral): boolean {
    const binding = this.bindingOf(metadata.target)
    if (!binding?.entity.primaryKeyCheck || binding.entity.primaryKeyHoldsShardKey) return false
    return this.rows.isLoaded(entity) && metadata.hasId(entity)
  }

  /** Whether rows of an entity come and go while it is saved, so that an update has to hold on to its row first. */
  isMovable({ target }: EntityMetadata): boolean {
    const { onKeyChange, primaryKeyHoldsShardKey } = this.bindingOf(target)?.entity ?? {}
    return onKeyChange === 'move' && !primaryKeyHoldsShardKey
  }

  private bindingOf(target: unknown): EntityBinding | undefined {
    return this.rows.bindingOf(target)
  }

  /** @throws ShardedError WRONG_SHARD, KEY_MISSING, ID_OF_ANOTHER_SLOT */
  checkInsert(shard: Shard, metadata: EntityMetadata, entity: ObjectLiteral | undefined): void {
    const binding = this.bindingOf(metadata.target)
    if (!binding || !entity) return
    checkId(shard, binding, entity)
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

  /** A row that has moved here keeps to this shard: to TypeORM its key changes now. @throws ShardedError KEY_CHANGED */
  checkUpdate(
    shard: Shard,
    metadata: EntityMetadata,
    entity: ObjectLiteral | undefined,
    databaseEntity: ObjectLiteral | undefined,
  ): void {
    const binding = this.bindingOf(metadata.target)
    if (!binding || !entity || !databaseEntity) return
    const before = keyOf(binding, databaseEntity)
    const now = keyOf(binding, entity)
    if (!before || !now || before.every((part, index) => part === now[index])) return
    if (binding.entity.onKeyChange === 'move' && shardOfKey(binding, now).name === shard.name) return
    throw new ShardedError(
      'KEY_CHANGED',
      `${keyText(binding.entity)} is ${before.join(', ')} in the database and ${now.join(', ')} in the entity.`,
      {
        details: { entity: binding.entity.name, before, now },
      },
    )
  }
}

/** A row that its id does not lead to would be lost. An id that is not there yet is made for the row's key: see `make-ids.ts`. */
function checkId(shard: Shard, binding: EntityBinding, entity: ObjectLiteral): void {
  const { id } = binding
  if (!id || id.column.getEntityValue(entity) === undefined) return
  const key = keyOf(binding, entity)
  if (key) checkIdSlot(binding, entity, key)
  else if (shardsOfObject(binding, entity)?.every(({ name }) => name !== shard.name)) {
    throw new ShardedError(
      'ID_OF_ANOTHER_SLOT',
      `${binding.entity.name}.${id.propertyPath} carries a slot of another shard than ${shard.name}.`,
      { details: { entity: binding.entity.name, column: id.propertyPath, shard: shard.name } },
    )
  }
}

/** False of what TypeORM loads to learn the ids of relations: primary keys and join columns. */
function isWhole({ columns }: EntityMetadata, entity: ObjectLiteral): boolean {
  const others = columns.filter((column) => !column.isPrimary && !column.relationMetadata && column.isSelect)
  return others.length === 0 || others.some((column) => column.getEntityValue(entity) !== undefined)
}

/**
 * The events of a shard's query runner, with the guard after all listeners and subscribers. The guard is no subscriber:
 * TypeORM computes every change anew after a subscriber had its turn, and sends it the events of every query and load.
 */
export class GuardedBroadcaster extends Broadcaster {
  private shown: readonly ShownRow[] = []
  private unfilled: readonly Unfilled[] = []

  constructor(
    private readonly runner: ConstructorParameters<typeof Broadcaster>[0],
    private readonly guard: KeyGuard,
    private readonly shard: Shard,
  ) {
    super(runner)
  }

  /** Rows that are to be seen otherwise than they are when they are next loaded, by the save that says so. */
  showBefore(rows: readonly ShownRow[]): void {
    this.shown = rows
  }

  /** Keeps what is written while the work runs as it is when all listeners had their turn. */
  async keeping<T>(unfilled: Unfilled, work: () => Promise<T>): Promise<T> {
    const { unfilled: before } = this
    this.unfilled = [...before, unfilled]
    try {
      return await work()
    } finally {
      this.unfilled = before
    }
  }

  override broadcastLoadEvent(...event: Parameters<Broadcaster['broadcastLoadEvent']>): void {
    const [, metadata, entities] = event
    for (const row of this.shown) {
      if (row.target !== metadata.target) continue
      const loaded = entities.find(
        (entity) => primaryKeyText(metadata, entity) === row.primaryKey && isWhole(metadata, entity),
      )
      if (!loaded) continue
      row.show(loaded)
      this.shown = this.shown.filter((one) => one !== row)
    }
    super.broadcastLoadEvent(...event)
  }

  override broadcastBeforeInsertEvent(
    result: BroadcasterResult,
    metadata: EntityMetadata,
    entity: ObjectLiteral | undefined,
  ): void {
    this.keepAfter(result, metadata, entity, () => super.broadcastBeforeInsertEvent(result, metadata, entity))
    this.guard.checkInsert(this.shard, metadata, entity)
    if (entity && this.guard.isStale(metadata, entity))
      result.promises.push(this.guard.checkStillHere(this.shard, { metadata, entity }, this.transaction))
  }

  override broadcastBeforeUpdateEvent(...event: Parameters<Broadcaster['broadcastBeforeUpdateEvent']>): void {
    const [result, metadata, entity, databaseEntity] = event
    this.keepAfter(result, metadata, entity, () => super.broadcastBeforeUpdateEvent(...event))
    this.guard.checkUpdate(this.shard, metadata, entity, databaseEntity)
    if (entity && databaseEntity && this.guard.isMovable(metadata))
      result.promises.push(this.holdRow({ metadata, entity: databaseEntity }))
  }

  override broadcastBeforeRemoveEvent(...event: Parameters<Broadcaster['broadcastBeforeRemoveEvent']>): void {
    const [result, metadata, entity] = event
    this.keepAfter(result, metadata, entity, () => super.broadcastBeforeRemoveEvent(...event))
  }

  override broadcastBeforeSoftRemoveEvent(...event: Parameters<Broadcaster['broadcastBeforeSoftRemoveEvent']>): void {
    const [result, metadata, entity] = event
    this.keepAfter(result, metadata, entity, () => super.broadcastBeforeSoftRemoveEvent(...event))
  }

  override broadcastBeforeRecoverEvent(...event: Parameters<Broadcaster['broadcastBeforeRecoverEvent']>): void {
    const [result, metadata, entity] = event
    this.keepAfter(result, metadata, entity, () => super.broadcastBeforeRecoverEvent(...event))
  }

  /** What listeners change stays changed, also where the write fails. */
  private keepAfter(
    { promises }: BroadcasterResult,
    metadata: EntityMetadata,
    entity: ObjectLiteral | undefined,
    tellListeners: () => void,
  ): void {
    const { unfilled } = this
    const before = promises.length
    tellListeners()
    if (!entity || unfilled.length === 0) return
    const keep = () => {
      for (const one of unfilled) one.keep(entity, metadata)
    }
    if (promises.length === before) keep()
    else promises.push(Promise.all(promises.slice(before)).then(keep))
  }

  /**
   * Locks the row of an update. TypeORM does not look whether its UPDATE found one: of a row that moves away at the same
   * time, the change would be lost.
   */
  private async holdRow({ metadata, entity }: GuardedEntity): Promise<void> {
    const { driver } = metadata.dataSource
    const where = metadata.primaryColumns.map(({ databaseName }, index) => `${quoted(databaseName)} = $${index + 1}`)
    const values = metadata.primaryColumns.map((column): unknown =>
      driver.preparePersistentValue(column.getEntityValue(entity), column),
    )
    const text = `SELECT 1 FROM "${placeholderSchema}".${quoted(metadata.tableName)} WHERE ${where.join(' AND ')} FOR UPDATE`
    const { records } = await this.runner.query(text, values, true)
    if (records.length === 0) await this.guard.checkStillHere(this.shard, { metadata, entity }, this.transaction)
  }

  private get transaction(): ShardTransaction | undefined {
    return (this.runner as { readonly transaction?: ShardTransaction }).transaction
  }
}

/** Runs work on a shard's query runner; keeps the objects that it writes as they are when all listeners had their turn. */
export function keepingIn<T>(
  runner: Pick<QueryRunner, 'broadcaster'> | undefined,
  unfilled: Unfilled,
  work: () => Promise<T>,
): Promise<T> {
  const { broadcaster } = runner ?? {}
  return broadcaster instanceof GuardedBroadcaster ? broadcaster.keeping(unfilled, work) : work()
}
