import type { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import type { DeclaredEntity } from './declared-entities'
import type { ColumnDescription, EntityDescription, RelationDescription } from './entity-description'
import type { EntityTarget } from './sharded-options'

/**
 * Refuses a relation inside a colocation group that joins one column of the shard key with another one of the other entity's: rows
 * that are joined would have the same values in another order, and so belong to different shards.
 *
 * @param colocated an entity of the same group; undefined for others
 * @throws ShardedError COLOCATION_INVALID
 */
export function refuseCrossedJoin(
  one: DeclaredEntity,
  { property, inverse, owning }: RelationDescription,
  colocated: (target: EntityTarget) => DeclaredEntity | undefined,
): void {
  const { entity, keyColumns } = one
  const other = colocated(inverse)
  const indexOf = (columns: readonly ColumnDescription[], path: string) =>
    columns.findIndex(({ propertyPath }) => propertyPath === path)
  for (const { own, referenced } of (other && owning?.joins) ?? []) {
    const index = indexOf(keyColumns, own)
    const position = indexOf(other?.keyColumns ?? [], referenced)
    if (index < 0 || position < 0 || index === position) continue
    const columns = (of: DeclaredEntity | undefined) =>
      of?.keyColumns.map(({ propertyPath }) => propertyPath).join(', ')
    throw new ShardedError(
      'COLOCATION_INVALID',
      `${entity.name}.${property} joins ${own} with ${referenced}, and the shard keys have them in another order: (${columns(one)}) and (${columns(other)}).`,
      { details: { entity: entity.name, colocatedWith: other?.entity.name, relation: property } },
    )
  }
}

/**
 * Refuses a relation inside a colocation group that nothing keeps inside a shard. The database checks a foreign key among the
 * rows of one shard. Without it a row may refer to one of another shard key, which no join on its own shard finds, unless the
 * shard key is among what is joined.
 *
 * @param colocated an entity of the same group; undefined for others
 * @throws ShardedError RELATION_UNCHECKED
 */
export function refuseUncheckedRelation(
  { entity, keyColumns }: DeclaredEntity,
  { property, inverse, inverseName, isManyToMany, owning }: RelationDescription,
  colocated: (target: EntityTarget) => DeclaredEntity | undefined,
): void {
  const other = colocated(inverse)
  if (!other || !owning || owning.isChecked) return
  const joinsKey = keyColumns.every((column, index) =>
    owning.joins.some(
      ({ own, referenced }) => own === column.propertyPath && referenced === other.keyColumns[index]?.propertyPath,
    ),
  )
  if (joinsKey && !isManyToMany) return
  const what = isManyToMany
    ? 'a junction table without foreign keys'
    : 'no foreign key, and does not join by the shard key'
  throw new ShardedError(
    'RELATION_UNCHECKED',
    `${entity.name}.${property} to ${inverseName} has ${what}: a row could refer to one of another shard.`,
    { details: { entity: entity.name, relation: property, inverse: inverseName } },
  )
}

/**
 * Refuses a foreign key by which the database itself would write the shard key: ON DELETE SET NULL leaves a row without a key on
 * a shard, SET DEFAULT and ON UPDATE CASCADE of a reference table one with the key of another shard. A key that is NOT NULL
 * fails there, as on one database.
 *
 * @throws ShardedError KEY_COLUMN_INVALID
 */
export function refuseUnkeptKey(
  { entity, keyColumns }: DeclaredEntity,
  { property, inverse, owning }: RelationDescription,
  isReference: (target: EntityTarget) => boolean,
): void {
  if (!owning?.isChecked) return
  for (const column of keyColumns) {
    if (!owning.joins.some(({ own }) => own === column.propertyPath)) continue
    const action = owning.actions?.find(
      (one) =>
        one.endsWith('SET DEFAULT') ||
        (one.endsWith('SET NULL') && column.isNullable) ||
        (one === 'ON UPDATE CASCADE' && isReference(inverse)),
    )
    if (action === undefined) continue
    throw new ShardedError(
      'KEY_COLUMN_INVALID',
      `${entity.name}.${column.propertyPath} cannot be a shard key: by ${entity.name}.${property} the database writes it (${action}).`,
      { details: { entity: entity.name, column: column.propertyPath, relation: property } },
    )
  }
}

interface Placed {
  readonly groupOf: ReadonlyMap<EntityTarget, string>
  /** False for a sharded entity whose group is refused: where its relations lead is not known. */
  readonly placed: (target: EntityTarget) => boolean
  readonly isReference: (target: EntityTarget) => boolean
  readonly refusals: Refusals
}

/** Refuses relations that lead to where no foreign key reaches, or where an eager load cannot go. */
export function checkRelations(entity: EntityDescription, placed: Placed): void {
  if (!placed.placed(entity.target)) return
  for (const relation of entity.relations) {
    if (!placed.placed(relation.inverse) || isLocal(entity, relation, placed)) continue
    placed.refusals.attempt(() => checkRelation(entity, relation, placed))
  }
}

/** The rows of both sides, or a copy of them, are on one node, and so is the foreign key or the junction table between them. */
function isLocal(
  { target }: EntityDescription,
  { inverse, owning }: RelationDescription,
  { groupOf, isReference }: Placed,
): boolean {
  if (isReference(target) || isReference(inverse))
    return isReference(inverse) && (isReference(target) || owning !== undefined)
  return groupOf.get(target) === groupOf.get(inverse)
}

/** @throws ShardedError RELATION_LEAVES_SHARD */
function checkRelation(entity: EntityDescription, relation: RelationDescription, { isReference }: Placed): void {
  // The junction table of a relation to a reference table lies with the rows that refer to it.
  const isLinkedThere = isReference(entity.target) && !relation.owning
  const needsLink = (relation.hasForeignKey || relation.isManyToMany) && !isLinkedThere
  if (!needsLink && !relation.isEagerOrLazy) return
  const link = !needsLink ? 'an eager or lazy relation' : relation.isManyToMany ? 'a junction table' : 'a foreign key'
  const why = isReference(entity.target)
    ? `not on every node, as the rows of ${entity.name} are`
    : `not colocated with ${entity.name}`
  throw new ShardedError(
    'RELATION_LEAVES_SHARD',
    `${entity.name}.${relation.property} needs ${link} to ${relation.inverseName}, which is ${why}.`,
    { details: { entity: entity.name, relation: relation.property, inverse: relation.inverseName } },
  )
}
