import { randomUUID } from 'node:crypto'
import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { type IdMaker, nextId } from '../../ids/id-maker'
import type { EntityBinding } from './entity-binding'
import type { EntityId } from './entity-id'
import { slotToCarry } from './entity-ids'

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
  private readonly uuids: { readonly column: ColumnMetadata; readonly object: ObjectLiteral }[] = []

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
    column.setEntityValue(object, randomUUID())
    this.uuids.push({ column, object })
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
    if (this.isKept) return
    for (const [object, { id }] of this.given) id.column.setEntityValue(object, undefined)
    for (const { column, object } of this.uuids) column.setEntityValue(object, undefined)
  }

  /**
   * After a write that succeeded. TypeORM merges what the database returned as it came, without the column's transformer:
   * an object is to have the value that it would be loaded with.
   */
  settle(): void {
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
