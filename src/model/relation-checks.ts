import type { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import type { DeclaredEntity } from './declared-entities'
import type { ColumnDescription, EntityDescription, RelationDescription } from './entity-description'
import { isApart, type RelationPlaces } from './relations-apart'
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
      {
        details: { entity: entity.name, colocatedWith: other?.entity.name, relation: property },
        fix: 'Declare the columns of both shard keys in the same order.',
      },
    )
  }
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
  relation: RelationDescription,
  places: RelationPlaces,
): void {
  const { property, inverse, owning } = relation
  const { isReference } = places
  if (!owning?.isChecked || isApart(entity, relation, places)) return
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
      {
        details: { entity: entity.name, column: column.propertyPath, relation: property },
        fix: 'Leave the action out. For ON DELETE, CASCADE may take its place.',
      },
    )
  }
}

/**
 * Refuses a tree of TypeORM's whose rows have their shard keys for themselves: it is kept by statements over a row and its ancestors, on the
 * shard of both.
 *
 * @throws ShardedError RELATION_LEAVES_SHARD
 */
export function refuseScatteredTree({ entity, keyColumns }: DeclaredEntity): void {
  const { name, treeParent } = entity
  const primary = entity.columns.filter(({ isPrimary }) => isPrimary)
  if (treeParent === undefined || !primary.every((column) => keyColumns.includes(column))) return
  const key = primary.map(({ propertyPath }) => propertyPath).join(', ')
  throw new ShardedError(
    'RELATION_LEAVES_SHARD',
    `${name}.${treeParent} leads to a row on another shard: the shard key of ${name} holds its primary key (${key}), so no two rows of a tree have the same one.`,
    {
      details: { entity: name, relation: treeParent, inverse: name },
      fix: 'Take a column for the shard key that all rows of one tree have in common. Or leave @Tree() out and declare the two relations with @ManyToOne() and @OneToMany(): these may lead to other shards.',
    },
  )
}

interface Placed extends RelationPlaces {
  /** False for a sharded entity whose group is refused: where its relations lead is not known. */
  readonly placed: (target: EntityTarget) => boolean
  readonly refusals: Refusals
  /** The application does what a foreign key would do when a row is deleted. */
  readonly doesOnDelete: boolean
}

/** Checks the relations of any entity, sharded or not, that lead to rows elsewhere. */
export function checkRelations(entity: EntityDescription, parts: Placed): void {
  const { placed, refusals, doesOnDelete, ...places } = parts
  if (!placed(entity.target)) return
  for (const relation of entity.relations) {
    if (!placed(relation.inverse) || !isApart(entity, relation, places)) continue
    refusals.attempt(() => {
      if (relation.isManyToMany && relation.owning && places.isReference(entity.target))
        throw junctionOfCopies(entity, relation)
      const isDone = doesOnDelete && places.declared.has(relation.inverse) && !places.isReference(entity.target)
      refuseActions(entity, relation, isDone ? doneOnDelete : none)
    })
  }
}

/** A junction table lies with the rows of its owner, and those of a reference table are everywhere. */
const junctionOfCopies = ({ name }: EntityDescription, { property, inverseName }: RelationDescription): ShardedError =>
  new ShardedError(
    'RELATION_LEAVES_SHARD',
    `${name}.${property} needs a junction table to ${inverseName}, which is not on every node, as the rows of ${name} are.`,
    { details: { entity: name, relation: property, inverse: inverseName } },
  )

const none: ReadonlySet<string> = new Set()

/** What the application does in place of a foreign key, if it is asked to. */
const doneOnDelete: ReadonlySet<string> = new Set(['ON DELETE CASCADE', 'ON DELETE SET NULL', 'ON DELETE RESTRICT'])

const junctionFix =
  "Set onDelete: 'application' in the options of the data source, where the other entity is sharded: links then go with the rows of both sides. Or declare the relation with createForeignKeyConstraints: false: links stay where the row of the other side is deleted."

/** The database would do them by a foreign key, and none is made. @throws ShardedError RELATION_ACTION_UNSUPPORTED */
function refuseActions(
  entity: EntityDescription,
  { property, inverseName, owning, isManyToMany }: RelationDescription,
  done: ReadonlySet<string>,
): void {
  const actions = owning?.isChecked ? (owning.actions ?? []) : []
  const action = actions.find((one) => !one.endsWith('NO ACTION') && !done.has(one))
  if (action === undefined) return
  throw new ShardedError(
    'RELATION_ACTION_UNSUPPORTED',
    `${entity.name}.${property} has ${action}, and the row of ${inverseName} that it refers to may lie on another shard.`,
    {
      details: { entity: entity.name, relation: property, inverse: inverseName, action },
      ...(isManyToMany && { fix: junctionFix }),
    },
  )
}
