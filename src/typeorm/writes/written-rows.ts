import { isDeepStrictEqual } from 'node:util'
import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import { rowText } from '../binding/primary-key-text'

/** The objects that a save has written, by the rows that they are of. */
export class WrittenRows {
  private readonly rows = new Map<string, { readonly object: ObjectLiteral; readonly isGiven: boolean }>()

  /** @param written in the order in which TypeORM comes to them @param given those that the call was given */
  constructor(written: Iterable<readonly [EntityMetadata, ObjectLiteral]>, given: readonly ObjectLiteral[]) {
    const isGiven = new Set(given)
    for (const [metadata, object] of written) {
      if (!metadata.hasAllPrimaryKeys(object)) continue
      const row = rowText(metadata, object)
      if (!this.rows.has(row) || isGiven.has(object)) this.rows.set(row, { object, isGiven: isGiven.has(object) })
    }
  }

  /**
   * The object that was written of the row of another one: TypeORM writes the first that it comes to, and ignores the others. It comes to what it
   * is given before all else; of others it is not known here which is first.
   *
   * @returns undefined where none was, and for that object itself
   * @throws ShardedError CROSS_SHARD_RELATION where it hangs on the order which of the two is written
   */
  firstOf(metadata: EntityMetadata, object: ObjectLiteral): ObjectLiteral | undefined {
    const known = metadata.hasAllPrimaryKeys(object) ? this.rows.get(rowText(metadata, object)) : undefined
    if (!known || known.object === object) return undefined
    if (!known.isGiven && saysOther(metadata, object, known.object))
      throw new ShardedError(
        'CROSS_SHARD_RELATION',
        `A save reaches ${metadata.name} over shards by a cascade: another object of the same row is saved with it.`,
        { details: { entity: metadata.name } },
      )
    return known.object
  }
}

/** Whether an object would change what another one of its row says. */
const saysOther = ({ nonVirtualColumns }: EntityMetadata, object: ObjectLiteral, other: ObjectLiteral): boolean =>
  nonVirtualColumns.some((column) => {
    const value: unknown = column.getEntityValue(object)
    return !column.isPrimary && value !== undefined && !isDeepStrictEqual(value, column.getEntityValue(other))
  })
