import { randomUUID } from 'node:crypto'
import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { type IdMaker, nextId } from '../../ids/id-maker'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalColumnKey, type EntityBinding, type EntityId, preparedKey } from './entity-binding'
import { shardAt } from './entity-shards'
import { isHidden } from './hidden-key-source'

/** The slot that an id of a row with this shard key carries; undefined: any. */
export function slotToCarry({ entity }: EntityBinding, key: readonly string[]): number | undefined {
  return entity.id?.carriesSlot ? entity.fn.slotOf(key) : undefined
}

/** The slot of an object's id; undefined where it has none, or one that does not tell. */
export function slotOfObject(binding: EntityBinding, object: ObjectLiteral): number | undefined {
  const { id, slotColumns, metadata } = binding
  const reader = slotColumns.find(({ column }) => column === id?.column)
  const value: unknown = reader && id?.column.getEntityValue(object)
  if (!reader || !id || value === undefined || value === null || typeof value === 'function') return undefined
  return reader.slotOf(metadata.dataSource.driver.preparePersistentValue(value, id.column))
}

/** The shards that can hold the row of an object's id; undefined where the id does not tell. */
export function shardsOfObject(binding: EntityBinding, object: ObjectLiteral): readonly Shard[] | undefined {
  const slot = slotOfObject(binding, object)
  return slot === undefined ? undefined : binding.owners.shardsOfSlots([slot]).map((index) => shardAt(binding, index))
}

/**
 * An id that a row already has must lead to it.
 *
 * @throws ShardedError ID_OF_ANOTHER_SLOT
 */
export function checkIdSlot(binding: EntityBinding, object: ObjectLiteral, key: readonly string[]): void {
  const slot = slotOfObject(binding, object)
  if (slot !== undefined) checkSlot(binding, slot, key)
}

/** @throws ShardedError ID_OF_ANOTHER_SLOT */
export function checkSlot({ entity }: EntityBinding, slot: number, key: readonly string[]): void {
  const expected = entity.fn.slotOf(key)
  if (expected === undefined || slot === expected) return
  throw new ShardedError(
    'ID_OF_ANOTHER_SLOT',
    `${entity.name}.${entity.id?.propertyPath} carries slot ${slot}, and ${keyText(entity)} = ${key.join(', ')} has slot ${expected}.`,
    { details: { entity: entity.name, column: entity.id?.propertyPath, slot, expected, key } },
  )
}

/**
 * A row keeps its id when it moves: where that carries the slot of the key it had, it would be looked for there.
 *
 * @throws ShardedError ID_OF_ANOTHER_SLOT
 */
export function refuseMovedId(binding: EntityBinding, before: readonly unknown[], after: readonly unknown[]): void {
  if (binding.id?.carriesSlot) refuseMovedRow(binding, preparedKey(binding, before), preparedKey(binding, after))
}

/** The same, of values as the database has them. @throws ShardedError ID_OF_ANOTHER_SLOT */
export function refuseMovedRow(binding: EntityBinding, before: readonly unknown[], after: readonly unknown[]): void {
  const { id, entity } = binding
  // The caller refuses a row without a key, or with a part of its key unknown here.
  const isKnown = [...before, ...after].every((value) => value !== null && value !== undefined)
  if (!id?.carriesSlot || !isKnown) return
  const canonical = (values: readonly unknown[]): readonly string[] =>
    binding.keyColumns.map((_, index) => canonicalColumnKey(binding, index, values[index]))
  const slot = entity.fn.slotOf(canonical(before))
  if (slot !== undefined) checkSlot(binding, slot, canonical(after))
}

interface GivenId {
  readonly id: EntityId
  readonly value: unknown
}

/** The ids that one operation gives, so that it can be made as if TypeORM had them from the database. */
export class GivenIds {
  private readonly given = new Map<ObjectLiteral, GivenId>()
  /** Objects that are inserted without an id, which is made with their INSERT: see `make-ids.ts`. */
  private readonly expected = new Map<ObjectLiteral, EntityId>()
  private isKept = false
  private readonly undoes: (() => void)[] = []
  /** Takes away again what objects have only while they are written. */
  private readonly ends: (() => void)[] = []

  /** Gives an object an id where it has none. @throws ShardedError what `nextId` throws */
  async give(binding: EntityBinding, object: ObjectLiteral, key: readonly string[]): Promise<void> {
    const { id } = binding
    if (!id || id.column.getEntityValue(object) !== undefined) return
    const slot = slotToCarry(binding, key)
    this.set(id, object, id.maker.take(slot) ?? (await nextId(id.maker, slot)))
  }

  /** An object that is to be saved gets its id from its INSERT, unless it has one. */
  expect({ id }: EntityBinding, object: ObjectLiteral): void {
    if (id && id.column.getEntityValue(object) === undefined) this.expected.set(object, id)
  }

  /** Gives an object an id that is a part of its shard key. @throws IdsRunDry */
  giveKey({ id }: EntityBinding, object: ObjectLiteral): void {
    if (!id?.isKey || id.column.getEntityValue(object) !== undefined) return
    const text = id.maker.take(undefined)
    if (text === undefined) throw new IdsRunDry(id.maker)
    this.set(id, object, text)
  }

  /** Gives an object a uuid that is a part of its shard key. */
  giveUuid(column: ColumnMetadata, object: ObjectLiteral): void {
    this.giveValue(column, object, randomUUID())
  }

  /** Gives an object a value of its shard key. */
  giveValue(column: ColumnMetadata, object: ObjectLiteral, value: unknown): void {
    const { propertyName, isVirtual } = column
    // The join column of a relation that has no property of its own: TypeORM sets it in the object that the relation holds.
    if (isVirtual && object[propertyName] === undefined) {
      delete object[propertyName]
      this.undoes.push(() => delete object[propertyName])
    } else if (isHidden(column)) this.ends.push(() => column.setEntityValue(object, undefined))
    else this.undoes.push(() => column.setEntityValue(object, undefined))
    column.setEntityValue(object, value)
  }

  /** What made the id of an object in this operation; undefined: it was given none. */
  madeFor(object: ObjectLiteral): EntityId | undefined {
    return this.given.get(object)?.id
  }

  /** Whether there is no id to settle. */
  get isEmpty(): boolean {
    return this.given.size === 0
  }

  /** The rows are written, whatever becomes of the operation after that. */
  keep(): void {
    this.isKept = true
  }

  /** After a write that failed: plain TypeORM would have given none. */
  takeBack(): void {
    for (const end of this.ends) end()
    if (this.isKept) return
    for (const [object, { id }] of this.given) id.column.setEntityValue(object, undefined)
    for (const undo of this.undoes) undo()
  }

  /**
   * After a write that succeeded. TypeORM merges what the database returned as it came, without the column's transformer:
   * an object is to have the value that it would be loaded with.
   */
  settle(): void {
    for (const end of this.ends) end()
    for (const [object, { id, value }] of this.given) {
      const now: unknown = id.column.getEntityValue(object)
      if (id.column.transformer && now !== value && now !== undefined)
        id.column.setEntityValue(object, id.hydrate(String(now)))
    }
    for (const [object, id] of this.expected) {
      const now: unknown = id.column.getEntityValue(object)
      if (id.column.transformer && now !== undefined) id.column.setEntityValue(object, id.hydrate(String(now)))
    }
  }

  /** Takes back from objects whose rows were not written, as the rows that the database returned tell. */
  keepReturned(rows: readonly ObjectLiteral[]): void {
    const returned = new Map<EntityId, Set<string>>()
    for (const [object, { id, value }] of this.given) {
      let texts = returned.get(id)
      if (!texts) {
        texts = new Set(rows.map((row) => String(row[id.column.databaseName])))
        returned.set(id, texts)
      }
      const { driver } = id.column.entityMetadata.dataSource
      const isOurs = id.column.getEntityValue(object) === value
      if (isOurs && !texts.has(String(driver.preparePersistentValue(value, id.column))))
        id.column.setEntityValue(object, undefined)
    }
  }

  private set(id: EntityId, object: ObjectLiteral, text: string): void {
    const value = id.hydrate(text)
    id.column.setEntityValue(object, value)
    this.given.set(object, { id, value })
  }
}

/** Thrown where ids have to be reserved before objects can be placed: see `whenReserved`. */
class IdsRunDry extends Error {
  constructor(readonly maker: IdMaker) {
    super('Ids have to be reserved first.')
  }
}

/** Ids that are reserved when they ran out once; twice as many each time. */
const firstReservation = 1_000
const maxReservations = 32

/** Does what needs ids at hand, and does it again after they were reserved. What was given stays given. */
export async function whenReserved<T>(work: () => T): Promise<T> {
  for (let count = 0; count <= maxReservations; count++) {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof IdsRunDry)) throw error
      await error.maker.refill(undefined, firstReservation * 2 ** count)
    }
  }
  throw new ShardedError('ID_TOO_FAR_AHEAD', `Ids ran out ${maxReservations} times.`, {})
}
