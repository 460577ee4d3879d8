import type { ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'

/** The related objects that are there, as a list. A lazy relation that was not loaded gives none, and is not touched. */
export function loadedRelation(relation: RelationMetadata, entity: ObjectLiteral): readonly ObjectLiteral[] {
  const value: unknown = relation.getEntityValue(entity)
  if (Array.isArray(value)) return value.filter(isObject)
  return isObject(value) ? [value] : []
}

const isObject = (value: unknown): value is ObjectLiteral =>
  value !== null &&
  typeof value === 'object' &&
  !(value instanceof Promise) &&
  !(value instanceof Date) &&
  !(value instanceof Uint8Array)
