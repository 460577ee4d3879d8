import { type EntityManager, EntityNotFoundError, type ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalValue, type EntityBinding, keyOf } from '../binding/entity-binding'
import { refuseMovedId } from '../binding/entity-ids'
import { loadedRelation, shardOfKey } from '../binding/entity-shards'
import { hiddenKeySource, isHidden, isKeySource } from '../binding/hidden-key-source'
import { leadsApart } from '../binding/relation-apart'
import { keyValues } from '../find/with-key'
import { locateRow } from '../reads/locate-rows'
import { inSavepoint } from '../runners/in-transaction'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { carryRow, maxRounds, setsOfKey } from '../writes/carry-row'
import { writeShards } from '../writes/write-shards'
import { checkHintedPlace, checkWidth, type OperationContext } from './operation-context'

/** What `move` takes besides the entity and its new shard key. */
export interface MoveOptions {
  /**
   * Whether the rows that hang on the entity go with it, and those that hang on them: by relations and foreign keys inside the
   * colocation group, where they have its shard key; of an entity whose primary key is the shard key, all rows of that key.
   * Default false: where a foreign key refers to the row from its shard, the move is refused.
   */
  readonly children?: boolean
}

interface WantedMove {
  readonly entity: ObjectLiteral
  readonly newKey: unknown
  readonly options: MoveOptions | undefined
}

/** Moves an entity's row to the shard of another key, in one transaction. See `ShardedRepository.move`. */
export async function moveEntity(
  context: OperationContext,
  { entity, newKey, options: { children = false } = {} }: WantedMove,
): Promise<void> {
  const { binding, access } = context
  refuseHidden(binding)
  const after = keyValues(binding, newKey)
  const to = shardOfKey(binding, newKeyOf(binding, after))
  checkHintedPlace(context, to)
  await inSavepoint(access, context.openRunner, async (inner, transaction) => {
    const from = await placeOf(context, inner, entity)
    const moved = { ...context, access: inner }
    const before = keyBefore(binding, inner, entity)
    refuseMovedId(binding, before, after)
    await moveOnce(moved, transaction, { entity, from, to, before, after, children, roundsLeft: maxRounds })
  })
}

/** @throws ShardedError KEY_CHANGED for a row whose key is that of another one */
function refuseHidden({ metadata, entity: { name } }: EntityBinding): void {
  const source = hiddenKeySource(metadata)
  if (!source) return
  throw new ShardedError('KEY_CHANGED', `The shard key of ${name} is that of ${name}.${source.propertyPath}.`, {
    details: { entity: name, relation: source.propertyPath },
    fix: `Move the row of ${source.inverseEntityMetadata.name} with { children: true }: the rows of ${name} go with it.`,
  })
}

interface Move {
  readonly entity: ObjectLiteral
  readonly from: Shard
  readonly to: Shard
  readonly before: readonly unknown[]
  readonly after: readonly unknown[]
  readonly children: boolean
}

async function moveOnce(
  context: OperationContext,
  transaction: ShardTransaction,
  { roundsLeft, ...move }: Move & { readonly roundsLeft: number },
): Promise<void> {
  const { binding, access } = context
  const { metadata } = binding
  const { entity, from, to, before, after, children } = move
  const isPlain = from === to && !children && !binding.entity.primaryKeyHoldsShardKey && !isKeySource(metadata)
  if (
    isPlain ||
    (await carryRow(transaction, { binding, entity, from, before, sets: setsOfKey(binding, after) }, { children }))
  ) {
    const undo = remember(context, transaction, move)
    const values: ObjectLiteral = {}
    for (const [index, column] of binding.keyColumns.entries()) column.setEntityValue(values, after[index])
    // TypeORM's own update, of a row that has the key already, sets versions and dates and calls subscribers.
    const work = (manager: EntityManager) =>
      manager.createQueryBuilder().update(metadata.target).set(values).whereEntity(entity).execute()
    const [updated] = await writeShards(context, [{ shard: to, work }])
    if (updated?.affected) return
    undo()
  }
  const located = binding.entity.primaryKeyHoldsShardKey ? undefined : await locateRow(access, binding, entity)
  if (!located || located.shard === from || roundsLeft <= 1)
    throw new EntityNotFoundError(metadata.target, metadata.getEntityIdMap(entity))
  const again = { ...move, from: located.shard, before: located.key ?? before }
  await moveOnce(context, transaction, { ...again, roundsLeft: roundsLeft - 1 })
}

/** The entity, and with its children those that are loaded, stand for the row in its new place until a rollback. */
function remember({ binding, access }: OperationContext, transaction: ShardTransaction, move: Move): () => void {
  const { entityShards } = access.runtime
  const oldKey = move.before.map((value, index) => canonicalOf(binding, index, value))
  const seen = new Set<ObjectLiteral>()
  const steps: (() => void)[] = []
  const visit = (at: EntityBinding, entity: ObjectLiteral): void => {
    if (seen.has(entity)) return
    seen.add(entity)
    const origin = entityShards.of(entity)
    // The related objects are looked at before the key that they may hold is taken off.
    const related = move.children ? relatedOf(at, entity, (target) => access.runtime.bindingOf(target)) : []
    const kept = rowValues(at, entity)
    const undo = setKey(at, entity, move.after)
    entityShards.set(entity, { shard: move.to, key: move.after, target: at.entity.target })
    steps.push(() => {
      undo()
      kept()
      if (origin) entityShards.set(entity, origin)
      else entityShards.forget(entity)
    })
    for (const one of related)
      if (keyOf(one.binding, one.entity)?.every((part, index) => part === oldKey[index])) visit(one.binding, one.entity)
  }
  visit(binding, move.entity)
  const undoAll = (): void => {
    for (const step of steps) step()
  }
  transaction.onRollback(undoAll)
  return undoAll
}

/** TypeORM writes the version and the date of an update into the entity; a rollback takes them back. */
function rowValues({ metadata }: EntityBinding, entity: ObjectLiteral): () => void {
  const columns = metadata.columns.filter((column) => column.isVersion || column.isUpdateDate)
  const values = columns.map((column): unknown => column.getEntityValue(entity))
  return () => {
    for (const [index, column] of columns.entries()) column.setEntityValue(entity, values[index])
  }
}

function relatedOf(
  { metadata }: EntityBinding,
  entity: ObjectLiteral,
  bindingOf: (target: unknown) => EntityBinding | undefined,
): readonly { readonly binding: EntityBinding; readonly entity: ObjectLiteral }[] {
  return metadata.relations
    .filter((relation) => !relation.isOwning)
    .flatMap((relation) => {
      const binding = bindingOf(relation.inverseEntityMetadata.target)
      if (!binding || leadsApart(relation)) return []
      return loadedRelation(relation, entity).map((one) => ({ binding, entity: one }))
    })
}

/** Where the row is: where the entity came from, else the shard of its key, else the one that holds its primary key. */
async function placeOf(context: OperationContext, access: ShardAccess, entity: ObjectLiteral): Promise<Shard> {
  const { binding } = context
  const { metadata } = binding
  if (!metadata.hasAllPrimaryKeys(entity))
    throw new EntityNotFoundError(metadata.target, metadata.getEntityIdMap(entity))
  const origin = access.runtime.entityShards.of(entity)
  if (origin) return origin.shard
  const key = keyOf(binding, entity)
  if (key) return shardOfKey(binding, key)
  checkWidth(context, { name: 'move', writes: true }, binding.shards.length)
  const located = await locateRow(access, binding, entity)
  if (located) return located.shard
  throw new EntityNotFoundError(metadata.target, metadata.getEntityIdMap(entity))
}

function keyBefore(binding: EntityBinding, access: ShardAccess, entity: ObjectLiteral): readonly unknown[] {
  const origin = access.runtime.entityShards.of(entity)
  return binding.keyColumns.map((column, index): unknown => origin?.key[index] ?? column.getEntityValue(entity))
}

function newKeyOf(binding: EntityBinding, values: readonly unknown[]): readonly string[] {
  return binding.keyColumns.map((column, index) => {
    const key = canonicalOf(binding, index, values[index])
    if (key !== undefined) return key
    throw new ShardedError(
      'KEY_MISSING',
      `${binding.entity.name}.move was given no value for ${column.propertyPath} of the shard key ${keyText(binding.entity)}.`,
      {
        details: { entity: binding.entity.name, columns: [column.propertyPath], operation: 'move' },
        fix: 'Give move a value for each column of the shard key.',
      },
    )
  })
}

function canonicalOf(binding: EntityBinding, index: number, value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : canonicalValue(binding, index, value)
}

/**
 * Gives an entity another shard key. A related object that holds the key is no longer the related one: it is left as it is,
 * and taken off the entity.
 *
 * @returns puts the entity back as it was
 */
function setKey({ keyColumns }: EntityBinding, entity: ObjectLiteral, values: readonly unknown[]): () => void {
  const undo: (() => void)[] = []
  for (const [index, column] of keyColumns.entries()) {
    // No object shows it.
    if (isHidden(column)) continue
    const { relationMetadata: relation } = column
    const [related] = relation ? loadedRelation(relation, entity) : []
    if (relation && related) {
      relation.setEntityValue(entity, column.isVirtual ? {} : undefined)
      undo.push(() => relation.setEntityValue(entity, related))
    }
    if (!(column.isVirtual && related)) {
      const before: unknown = column.getEntityValue(entity)
      undo.push(() => column.setEntityValue(entity, before))
    }
    column.setEntityValue(entity, values[index])
  }
  return () => {
    for (const step of undo.reverse()) step()
  }
}
