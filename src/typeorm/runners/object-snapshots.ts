import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { EmbeddedMetadata } from 'typeorm/metadata/EmbeddedMetadata'

/**
 * What objects were like before TypeORM filled them with what their rows got. Where a write over shards fails, those of shards
 * that had succeeded are filled already; plain TypeORM, whose one statement has failed, fills none.
 *
 * @example
 * const snapshots = new ObjectSnapshots()
 * snapshots.keep(user, metadata)
 * try { await write(user) } catch (error) { snapshots.restore(); throw error }
 */
export class ObjectSnapshots {
  private readonly objects = new Map<ObjectLiteral, () => void>()

  /** Keeps an object as it is now, if it is not kept already. */
  keep(object: ObjectLiteral, { embeddeds }: Pick<EntityMetadata, 'embeddeds'>): void {
    if (!this.objects.has(object)) this.objects.set(object, restorerOf(object, embeddeds))
  }

  /** Makes the objects again what they were. */
  restore(): void {
    for (const restore of this.objects.values()) restore()
  }
}

/** Embedded objects are filled in place; what else a column holds is replaced. */
function restorerOf(object: ObjectLiteral, embeddeds: readonly EmbeddedMetadata[]): () => void {
  const before: ObjectLiteral = { ...object }
  const inside = embeddeds.flatMap(({ propertyName, embeddeds: own }) => {
    const values: unknown = object[propertyName]
    const list: readonly unknown[] = Array.isArray(values) ? values : [values]
    return list.flatMap((value) => (isObject(value) ? restorerOf(value, own) : []))
  })
  return () => {
    for (const name of Object.keys(object)) if (!Object.hasOwn(before, name)) delete object[name]
    Object.assign(object, before)
    for (const restore of inside) restore()
  }
}

const isObject = (value: unknown): value is ObjectLiteral => value !== null && typeof value === 'object'
