import { type EntityMetadata, FindOperator } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import type { EntityBinding } from '../binding/entity-binding'
import { leadsApart, reachesApart } from '../binding/relation-apart'
import { leadsApartSomewhere } from './apart-loads'
import { isPlain } from './find-predicate'
import { loadTree } from './load-tree'

interface FindParts {
  readonly where?: unknown
  readonly relations?: unknown
  readonly loadEagerRelations?: boolean | undefined
  readonly order?: unknown
  readonly select?: unknown
}

/**
 * True where the statement of a find would follow a relation to rows elsewhere, and so is for the statement engine, which answers it
 * over all shards. What such relations only load is taken out of the options before (`find/apart-loads.ts`).
 */
export function followsApart({ metadata }: EntityBinding, options: FindParts): boolean {
  if (!reachesApart(metadata)) return false
  const branches = Array.isArray(options.where) ? options.where : [options.where]
  // A relation that is given as an id TypeORM joins all the same, where it is eager.
  const { relations, loadEagerRelations } = options
  const tree = loadTree(metadata, { relations, loadEagerRelations })
  if (tree && leadsApartSomewhere(tree)) return true
  return [options.order, options.select, ...branches].some((part) => follows(metadata, part, ''))
}

function follows(metadata: EntityMetadata, part: unknown, prefix: string): boolean {
  if (!isPlain(part) || metadata.relations.length === 0) return false
  return Object.entries(part).some(([name, value]) => {
    if (value === undefined || value === false || value === null) return false
    const path = prefix + name
    const relation = metadata.findRelationWithPropertyPath(path)
    if (!relation)
      return metadata.findEmbeddedWithPropertyPath(path) !== undefined && follows(metadata, value, `${path}.`)
    if (isForeignKeyOnly(relation, value)) return false
    const branches = Array.isArray(value) ? value : [value]
    return leadsApart(relation) || branches.some((branch) => follows(relation.inverseEntityMetadata, branch, ''))
  })
}

/** An operator on an owning relation compares the join column, which is here. */
function isForeignKeyOnly(relation: RelationMetadata, value: unknown): boolean {
  return value instanceof FindOperator && relation.isOwning && !relation.isManyToMany
}

/** @throws ShardedError CROSS_SHARD_RELATION */
export function refuseLeaving(metadata: EntityMetadata, relation: RelationMetadata): never {
  const inverse = relation.inverseEntityMetadata
  throw new ShardedError(
    'CROSS_SHARD_RELATION',
    `${metadata.name}.${relation.propertyPath} leads to ${inverse.name}, whose rows may be on another shard than those of ${metadata.name}.`,
    {
      details: { entity: metadata.name, relation: relation.propertyPath, inverse: inverse.name },
    },
  )
}
