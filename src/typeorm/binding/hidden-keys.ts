import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ApplyValueTransformers } from 'typeorm/util/ApplyValueTransformers'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { findKeyColumns, inherits } from '../../model/declared-entities'
import { hiddenKeyProperty } from '../../model/hidden-key-name'
import type { HiddenKeyArgs, ShardArgsStorage, ShardKeyArgs } from '../../model/sharded-options'
import { describeEntities } from './describe-entities'
import { isHidden, noteHidden, noteSource } from './hidden-key-source'
import { PrivateField } from './private-field'
import { rootEntity } from './root-entity'

/**
 * Adds the columns of hidden shard keys to the entities of a data source.
 *
 * @returns what `@ShardKey()` would have said on these columns
 */
export function addHiddenKeys(
  metadatas: readonly EntityMetadata[],
  storage: ShardArgsStorage,
  refusals: Refusals,
): readonly ShardKeyArgs[] {
  const declared = storage.hiddenKeys ?? []
  if (declared.length === 0) return []
  const made: ShardKeyArgs[] = []
  const done = new Map<EntityMetadata, readonly ColumnMetadata[]>()
  /** The shard key of an entity, hidden or not. */
  const keyOf = (metadata: EntityMetadata, above: readonly EntityMetadata[]): readonly ColumnMetadata[] => {
    const args = argsOf(declared, metadata)
    const root = rootEntity(metadata)
    if (!args) return declaredKey(root, storage)
    const known = done.get(root)
    if (known) return known
    if (above.includes(root)) throw invalid(root, args, 'the relation leads back to the entity')
    const relation = sourceOf(root, args, storage)
    const key = keyOf(relation.inverseEntityMetadata, [...above, root])
    if (key.length === 0) throw invalid(root, args, `${relation.inverseEntityMetadata.name} has no shard key`)
    const columns = key.map((column) => joinColumnOf(relation, column) ?? addColumn(root, args, { column, key }))
    done.set(root, columns)
    if (columns.some(isHidden)) for (const one of [root, ...root.childEntityMetadatas]) noteSource(one, relation)
    made.push(...columns.map(({ propertyName }) => Object.freeze({ target: root.target, propertyName })))
    return columns
  }
  for (const metadata of metadatas)
    if (metadata.tableType !== 'entity-child' && argsOf(declared, metadata)) refusals.attempt(() => keyOf(metadata, []))
  return made
}

const argsOf = (declared: readonly HiddenKeyArgs[], { target }: EntityMetadata): HiddenKeyArgs | undefined =>
  declared.findLast((args) => inherits(target, args.target))

function declaredKey(metadata: EntityMetadata, storage: ShardArgsStorage): readonly ColumnMetadata[] {
  const [entity] = describeEntities([metadata])
  const found = entity ? findKeyColumns(storage, entity) : []
  return found.flatMap(({ propertyPath }) => metadata.findColumnWithPropertyPath(propertyPath) ?? [])
}

function sourceOf(metadata: EntityMetadata, args: HiddenKeyArgs, storage: ShardArgsStorage): RelationMetadata {
  const relation = metadata.findRelationWithPropertyPath(args.from)
  if (!relation) throw invalid(metadata, args, 'there is no such relation')
  if (declaredKey(metadata, storage).length > 0)
    throw invalid(metadata, args, 'another @ShardKey() marks a column of it')
  if (!relation.isOwning || relation.isManyToMany) throw invalid(metadata, args, 'the relation has no join column')
  if (!relation.createForeignKeyConstraints)
    throw invalid(metadata, args, 'the relation has no foreign key, so a row may be without the one that it refers to')
  return relation
}

/** The column of a relation that holds a part of the key already. */
const joinColumnOf = ({ joinColumns }: RelationMetadata, key: ColumnMetadata): ColumnMetadata | undefined =>
  joinColumns.find(({ referencedColumn }) => referencedColumn === key)

interface KeyPart {
  readonly column: ColumnMetadata
  readonly key: readonly ColumnMetadata[]
}

function addColumn(metadata: EntityMetadata, args: HiddenKeyArgs, { column, key }: KeyPart): ColumnMetadata {
  if (args.name !== undefined && key.length > 1)
    throw invalid(metadata, args, `a name is given, and the key has ${key.length} columns`)
  const name = args.name ?? column.databaseName
  if (metadata.columns.some(({ databaseName }) => databaseName === name))
    throw invalid(metadata, args, `the table has a column ${name} already`)
  const { type, length, precision, scale, collation, enum: values, enumName, transformer } = column
  const made = new ColumnMetadata({
    entityMetadata: metadata,
    args: {
      target: metadata.target,
      propertyName: hiddenKeyProperty(name),
      mode: 'regular',
      options: {
        name,
        type,
        nullable: false,
        select: false,
        // TypeORM compares it with rows that are loaded without it.
        update: false,
        ...(length && { length }),
        ...(precision !== undefined && precision !== null && { precision }),
        ...(scale !== undefined && { scale }),
        ...(collation && { collation }),
        ...(values && { enum: values }),
        ...(enumName && { enumName }),
        ...(transformer && { transformer }),
      },
    },
  } as ConstructorParameters<typeof ColumnMetadata>[0]) // TypeORM calls the data source of these options by two names.
  made.build(metadata.dataSource)
  hide(made)
  const all = [metadata, ...metadata.childEntityMetadatas]
  const properties = all.map(({ propertiesMap }) => propertiesMap)
  metadata.registerColumn(made)
  for (const [index, one] of all.entries()) one.propertiesMap = properties[index] ?? {}
  return made
}

/** An object has the value where nobody sees it, while it is written; the value sets of TypeORM's statements have it as any other. */
function hide(column: ColumnMetadata): void {
  noteHidden(column)
  const values = new PrivateField<unknown>()
  const ofValueSet = column.getEntityValue.bind(column)
  Object.assign(column, {
    getEntityValue(entity: ObjectLiteral | null | undefined, transform = false): unknown {
      if (entity === null || entity === undefined) return entity
      const value = values.get(entity)
      if (value === undefined) return ofValueSet(entity, transform)
      return transform && column.transformer ? ApplyValueTransformers.transformTo(column.transformer, value) : value
    },
    setEntityValue(entity: ObjectLiteral, value: unknown): void {
      if (value === undefined) values.delete(entity)
      else values.set(entity, value)
    },
  })
}

function invalid({ name }: EntityMetadata, { from }: HiddenKeyArgs, reason: string): ShardedError {
  return new ShardedError('KEY_COLUMN_INVALID', `${name} cannot take its shard key from "${from}": ${reason}.`, {
    details: { entity: name, relation: from },
    fix: 'Name a relation with a foreign key to an entity of the same colocation group, and a name for the column that is free; or declare the shard key as a column.',
  })
}
