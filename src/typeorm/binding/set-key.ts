import type { ObjectLiteral } from 'typeorm'
import type { EntityBinding } from './entity-binding'
import { loadedRelation } from './loaded-relation'

/**
 * Gives an entity another shard key. A related object that holds the key is no longer the related one: it is left as it is,
 * and taken off the entity.
 *
 * @returns puts the entity back as it was
 */
export function setKey({ keyColumns }: EntityBinding, entity: ObjectLiteral, values: readonly unknown[]): () => void {
  const undo: (() => void)[] = []
  for (const [index, column] of keyColumns.entries()) {
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
