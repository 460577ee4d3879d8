import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { namesKey } from '../binding/changed-key'
import { type EntityBinding, hearsOfInserts, keyOf, requireKey, setKeyBefore } from '../binding/entity-binding'
import { checkIdSlot, shardsOfObject } from '../binding/entity-ids'
import { shardOfKey } from '../binding/entity-shards'
import type { ShardTransaction } from './shard-transaction'

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

/** What an UPDATE sets. */
interface SetColumns {
  readonly values: ObjectLiteral
  readonly columns: readonly ColumnMetadata[]
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
    const binding = this.rows.bindingOf(metadata.target)
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
    const binding = this.rows.bindingOf(metadata.target)
    if (!binding?.entity.primaryKeyCheck || binding.entity.primaryKeyHoldsShardKey) return false
    return this.rows.isLoaded(entity) && metadata.hasAllPrimaryKeys(entity)
  }

  /** Whether rows of an entity come and go while it is saved, so that an update has to hold on to its row first. */
  isMovable({ target }: EntityMetadata): boolean {
    const { onKeyChange, primaryKeyHoldsShardKey } = this.rows.bindingOf(target)?.entity ?? {}
    return onKeyChange === 'move' && !primaryKeyHoldsShardKey
  }

  /** @throws ShardedError WRONG_SHARD, KEY_MISSING, ID_OF_ANOTHER_SLOT */
  checkInsert(shard: Shard, metadata: EntityMetadata, entity: ObjectLiteral | undefined): void {
    const binding = this.rows.bindingOf(metadata.target)
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
        ...(hearsOfInserts(binding) && { fix: setKeyBefore }),
      },
    )
  }

  /** Whether an UPDATE with these values may set a part of the shard key: what names it is looked at without its columns. */
  maySetKey({ target }: EntityMetadata, values: ObjectLiteral): boolean {
    const binding = this.rows.bindingOf(target)
    return binding !== undefined && namesKey(binding, values)
  }

  /**
   * An UPDATE leaves its rows where they are. It is TypeORM's own, which also takes rows off a relation (`orphanedRowAction`), or one
   * of a shard's own data source. NULL for a column that is NOT NULL the database refuses, as one database does.
   *
   * @throws ShardedError KEY_MISSING, KEY_CHANGED
   */
  checkSet(shard: Shard, { target }: EntityMetadata, { values, columns }: SetColumns): void {
    const binding = this.rows.bindingOf(target)
    const setKey = binding?.keyColumns.filter((column) => columns.includes(column)) ?? []
    if (!binding || setKey.length === 0) return
    const { name } = binding.entity
    const empty = setKey.find((column) => column.isNullable && (column.getEntityValue(values) ?? null) === null)
    if (empty) {
      throw new ShardedError('KEY_MISSING', `An update would set ${name}.${empty.propertyPath} to NULL.`, {
        details: { entity: name, columns: [empty.propertyPath], operation: 'update' },
      })
    }
    const key = keyOf(binding, values)
    if (!key || shardOfKey(binding, key).name === shard.name) return
    throw new ShardedError(
      'KEY_CHANGED',
      `An update would set ${keyText(binding.entity)} to ${key.join(', ')} on shard ${shard.name}.`,
      { details: { entity: name, now: key, shard: shard.name } },
    )
  }

  /** A row that has moved here keeps to this shard: to TypeORM its key changes now. @throws ShardedError KEY_CHANGED */
  checkUpdate(
    shard: Shard,
    metadata: EntityMetadata,
    { entity, databaseEntity }: Record<'entity' | 'databaseEntity', ObjectLiteral | undefined>,
  ): void {
    const binding = this.rows.bindingOf(metadata.target)
    if (!binding || !entity || !databaseEntity) return
    const before = keyOf(binding, databaseEntity)
    const now = keyOf(binding, entity)
    if (!now || before?.every((part, index) => part === now[index])) return
    if ((!before || binding.entity.onKeyChange === 'move') && shardOfKey(binding, now).name === shard.name) return
    throw new ShardedError(
      'KEY_CHANGED',
      `${keyText(binding.entity)} is ${before?.join(', ') ?? 'NULL'} in the database and ${now.join(', ')} in the entity.`,
      {
        details: { entity: binding.entity.name, before, now },
        // It was too late for a move when the entity got its key.
        fix: 'Move the row with repository.move(entity, newKey), and leave its shard key alone in listeners and subscribers.',
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
