import { type EntityMetadata, FindOperator } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { isPlain } from './find-predicate'

/** The colocation group of an entity; undefined for an unsharded one. */
export type GroupOf = (metadata: EntityMetadata) => string | undefined

interface FindParts {
  readonly where?: unknown
  readonly relations?: unknown
  readonly order?: unknown
  readonly select?: unknown
}

/**
 * Refuses find options that touch a relation which leaves the shard: it would be joined with a table that is not there.
 *
 * @throws ShardedError CROSS_SHARD_RELATION
 */
export function checkRelations(metadata: EntityMetadata, options: FindParts, groupOf: GroupOf): void {
  for (const part of [options.relations, options.order, options.select]) walk(metadata, part, '', groupOf)
  for (const branch of Array.isArray(options.where) ? options.where : [options.where])
    walk(metadata, branch, '', groupOf)
}

function walk(metadata: EntityMetadata, part: unknown, prefix: string, groupOf: GroupOf): void {
  if (!isPlain(part) || metadata.relations.length === 0) return
  for (const [name, value] of Object.entries(part)) {
    if (value === undefined || value === false || value === null) continue
    const path = prefix + name
    const relation = metadata.findRelationWithPropertyPath(path)
    if (relation) {
      if (isForeignKeyOnly(relation, value)) continue
      refuseLeaving(metadata, relation, groupOf)
      for (const branch of Array.isArray(value) ? value : [value])
        walk(relation.inverseEntityMetadata, branch, '', groupOf)
    } else if (metadata.findEmbeddedWithPropertyPath(path)) {
      walk(metadata, value, `${path}.`, groupOf)
    }
  }
}

/** An operator on an owning relation compares the join column, which is here. */
function isForeignKeyOnly(relation: RelationMetadata, value: unknown): boolean {
  return value instanceof FindOperator && relation.isOwning && !relation.isManyToMany
}

/** @throws ShardedError CROSS_SHARD_RELATION */
export function refuseLeaving(metadata: EntityMetadata, relation: RelationMetadata, groupOf: GroupOf): void {
  const inverse = relation.inverseEntityMetadata
  if (groupOf(metadata) === groupOf(inverse)) return
  throw new ShardedError(
    'CROSS_SHARD_RELATION',
    `${metadata.name}.${relation.propertyPath} leads to ${inverse.name}, which is not colocated with ${metadata.name}.`,
    {
      details: { entity: metadata.name, relation: relation.propertyPath, inverse: inverse.name },
    },
  )
}
