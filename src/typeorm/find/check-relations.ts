import { type EntityMetadata, FindOperator } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import type { GroupOf } from '../binding/colocation-group'
import type { EntityBinding } from '../binding/entity-binding'
import type { ShardRuntime } from '../runners/shard-runtime'
import { isPlain } from './find-predicate'

interface FindParts {
  readonly where?: unknown
  readonly relations?: unknown
  readonly order?: unknown
  readonly select?: unknown
}

/**
 * Refuses find options that touch a relation to another colocation group. A relation to an unsharded entity of the home node is no
 * row of the shard either, but the statement engine answers it. A reference table is on the node of every shard.
 *
 * @returns true if a relation leads to an unsharded entity, and so the find is for the engine
 * @throws ShardedError CROSS_SHARD_RELATION
 */
export function goesHome(
  { metadata }: EntityBinding,
  options: FindParts,
  { bindingOf, references }: Pick<ShardRuntime, 'bindingOf' | 'references'>,
): boolean {
  if (metadata.relations.length === 0) return false
  const groupOf: GroupOf = ({ target }) => bindingOf(target)?.entity.group
  const branches = Array.isArray(options.where) ? options.where : [options.where]
  const parts = [options.relations, options.order, options.select, ...branches]
  const isCopied = ({ target }: EntityMetadata) => references.has(target)
  return parts.map((part) => walk({ metadata, groupOf, isCopied }, part, '')).includes(true)
}

interface Walked {
  readonly metadata: EntityMetadata
  readonly groupOf: GroupOf
  /** True for a reference table. */
  readonly isCopied: (metadata: EntityMetadata) => boolean
}

/** @returns true if the part touches a relation to an unsharded entity of the home node */
function walk(walked: Walked, part: unknown, prefix: string): boolean {
  const { metadata } = walked
  if (!isPlain(part) || metadata.relations.length === 0) return false
  return Object.entries(part)
    .map(([name, value]) => {
      if (value === undefined || value === false || value === null) return false
      const path = prefix + name
      const relation = metadata.findRelationWithPropertyPath(path)
      if (relation) return walkRelation(walked, relation, value)
      return metadata.findEmbeddedWithPropertyPath(path) !== undefined && walk(walked, value, `${path}.`)
    })
    .includes(true)
}

function walkRelation(walked: Walked, relation: RelationMetadata, value: unknown): boolean {
  if (isForeignKeyOnly(relation, value)) return false
  const { metadata, groupOf, isCopied } = walked
  const inverse = relation.inverseEntityMetadata
  const isOnNodes = groupOf(metadata) !== undefined || isCopied(metadata)
  const goesHome = isOnNodes && groupOf(inverse) === undefined && !isCopied(inverse)
  if (!goesHome && !(isOnNodes && isCopied(inverse))) refuseLeaving(metadata, relation, groupOf)
  const branches = Array.isArray(value) ? value : [value]
  return branches.map((branch) => walk({ ...walked, metadata: inverse }, branch, '')).includes(true) || goesHome
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
