import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { loadedRelation } from '../binding/entity-shards'
import { rowText } from '../binding/primary-key-text'
import { cascadesOf } from '../binding/relation-apart'
import { type ReplacedRelation, replaceRelations } from './replace-relations'

/**
 * Has the graph of a save hold one object of each row: TypeORM writes the first that its cascades come to, and ignores the others. It comes to what
 * the save is given before all else, and then goes as deep as relations lead, in the order of their declaration. A save over shards goes by
 * several calls, each of which would write the object that it meets.
 *
 * @returns undoes it
 */
export function oneObjectARow(metadata: EntityMetadata, entities: readonly ObjectLiteral[]): () => void {
  const firstOfRow = new Map<string, ObjectLiteral>()
  const replaced: ReplacedRelation[] = []
  const visited = new Set<ObjectLiteral>()
  const firstOf = (at: EntityMetadata, object: ObjectLiteral): ObjectLiteral => {
    if (visited.has(object) || !at.hasAllPrimaryKeys(object)) return object
    const row = rowText(at, object)
    const first = firstOfRow.get(row)
    if (!first) firstOfRow.set(row, object)
    return first ?? object
  }
  const visit = (at: EntityMetadata, entity: ObjectLiteral): void => {
    if (visited.has(entity)) return
    visited.add(entity)
    for (const relation of at.relations) {
      const { isCascadeInsert, isCascadeUpdate } = cascadesOf(relation)
      const objects = isCascadeInsert || isCascadeUpdate ? loadedRelation(relation, entity) : []
      const inverse = relation.inverseEntityMetadata
      const kept = objects.map((object) => {
        const first = firstOf(inverse, object)
        visit(inverse, first)
        return first
      })
      if (kept.every((object, index) => object === objects[index])) continue
      const [one] = kept
      replaced.push({ entity, relation, value: Array.isArray(relation.getEntityValue(entity)) ? kept : one })
    }
  }
  for (const entity of entities) firstOf(metadata, entity)
  for (const entity of entities) visit(metadata, entity)
  return replaceRelations(replaced)
}
