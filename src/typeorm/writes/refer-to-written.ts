import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { loadedRelation } from '../binding/entity-shards'
import { cascadesOf } from '../binding/relation-apart'
import type { CascadedReference } from './cascaded-references'
import { type ReplacedRelation, replaceRelations } from './replace-relations'
import type { WrittenRows } from './written-rows'

/** Has what cascades reach from objects hold those that were written, in place of others of the same rows. @returns undoes it */
export function referToWritten(references: readonly CascadedReference[], written: WrittenRows): () => void {
  const replaced: ReplacedRelation[] = []
  const seen = new Set<ObjectLiteral>()
  const visit = (metadata: EntityMetadata, entity: ObjectLiteral): void => {
    if (seen.has(entity)) return
    seen.add(entity)
    for (const relation of metadata.relations) {
      const { isCascadeInsert, isCascadeUpdate } = cascadesOf(relation)
      const objects = isCascadeInsert || isCascadeUpdate ? loadedRelation(relation, entity) : []
      const inverse = relation.inverseEntityMetadata
      const kept = objects.map((object) => written.firstOf(inverse, object) ?? object)
      const isChanged = kept.some((object, index) => object !== objects[index])
      const [one] = kept
      if (isChanged) replaced.push({ entity, relation, value: isList(relation.getEntityValue(entity)) ? kept : one })
      for (const object of kept) if (objects.includes(object)) visit(inverse, object)
    }
  }
  for (const { metadata, entity } of references) visit(metadata, entity)
  return replaceRelations(replaced)
}

const isList = (value: unknown): boolean => Array.isArray(value)
