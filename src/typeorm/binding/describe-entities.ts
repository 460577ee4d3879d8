import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type {
  ColumnDescription,
  EntityDescription,
  OwningSide,
  RelationDescription,
  UniqueDescription,
} from '../../model/entity-description'
import type { ColumnType, KeyType, TypeModifiers } from '../../values/key-type'
import { rootEntity } from './root-entity'

/** TypeORM's metadata as the plain data that the checks of the metadata layer read. */
export function describeEntities(metadatas: readonly EntityMetadata[]): readonly EntityDescription[] {
  return metadatas.filter((metadata) => !metadata.isJunction && metadata.tableType !== 'view').map(describeEntity)
}

function describeEntity(metadata: EntityMetadata): EntityDescription {
  return {
    name: metadata.name,
    target: metadata.target,
    ...(metadata.parentEntityMetadata && { parent: rootEntity(metadata).target }),
    schema: metadata.tableMetadataArgs.schema,
    tableName: metadata.tableName,
    columns: metadata.columns.map(describeColumn),
    uniques: uniquesOf(metadata),
    relations: metadata.relations
      .filter((relation) => !relation.isTreeParent && !relation.isTreeChildren)
      .map(describeRelation),
    ...(metadata.treeParentRelation && { treeParent: metadata.treeParentRelation.propertyPath }),
  }
}

/** The unique constraints of a table and its unique indexes. */
export const uniquesOf = ({ uniques, indices }: EntityMetadata): readonly UniqueDescription[] =>
  [...uniques, ...indices.filter((index) => index.isUnique)].map((unique) => ({
    name: unique.name ?? unique.givenName ?? '(unnamed)',
    properties: unique.columns.map((column) => column.propertyPath),
  }))

function describeColumn(column: ColumnMetadata): ColumnDescription {
  return {
    propertyPath: column.propertyPath,
    propertyName: column.propertyName,
    // TypeORM makes the join column of a relation without a column of its own, and gives it no class.
    declaredOn: column.target || column.relationMetadata?.target,
    relationProperty: column.relationMetadata?.propertyName,
    type: typeName(column),
    keyType: keyTypeOf(column),
    modifiers: modifiersOf(column),
    isPrimary: column.isPrimary,
    writtenBy: writtenBy(column),
    isNullable: column.isNullable,
    generation: column.isGenerated ? (column.generationStrategy ?? 'increment') : undefined,
  }
}

function describeRelation(relation: RelationMetadata): RelationDescription {
  return {
    property: relation.propertyPath,
    inverse: relation.inverseEntityMetadata.target,
    inverseName: relation.inverseEntityMetadata.name,
    ...(relation.inverseRelation && { inverseProperty: relation.inverseRelation.propertyPath }),
    isManyToMany: relation.isManyToMany,
    ...(relation.isOwning && { owning: owningSideOf(relation) }),
  }
}

function owningSideOf(relation: RelationMetadata): OwningSide {
  const { createForeignKeyConstraints: isChecked, junctionEntityMetadata: junction, joinColumns } = relation
  if (junction) {
    const paths = (columns: readonly ColumnMetadata[]) =>
      columns.flatMap(({ referencedColumn }) => referencedColumn?.propertyPath ?? [])
    return {
      isChecked,
      joins: [],
      linked: { own: paths(junction.ownerColumns), other: paths(junction.inverseColumns) },
      // Those of the foreign key to the other entity.
      actions: actionsOf({ ...relation.inverseRelation, onDelete: relation.inverseRelation?.onDelete ?? 'CASCADE' }),
    }
  }
  const joins = joinColumns.flatMap(({ propertyPath: own, referencedColumn }) =>
    referencedColumn ? [{ own, referenced: referencedColumn.propertyPath }] : [],
  )
  return { isChecked, joins, actions: actionsOf(relation) }
}

type Actions = Pick<RelationMetadata, 'onDelete' | 'onUpdate'>

/** What a foreign key does about rows whose own is deleted or changed, as SQL has it. */
export const actionsOf = ({ onDelete, onUpdate }: Actions): readonly string[] => [
  ...(onDelete ? [`ON DELETE ${onDelete}`] : []),
  ...(onUpdate ? [`ON UPDATE ${onUpdate}`] : []),
]

/** What TypeORM writes behind the name of a column's type when it creates the column. */
export function modifiersOf(column: ColumnMetadata): TypeModifiers {
  const precision = column.precision ?? undefined
  switch (typeName(column)) {
    case 'character varying':
      return column.length ? { length: Number(column.length) } : {}
    case 'character':
      return { length: Number(column.length || 1) }
    case 'numeric':
      return precision === undefined ? {} : { precision, scale: column.scale ?? 0 }
    case 'timestamp without time zone':
    case 'timestamp with time zone':
      return precision === undefined ? {} : { precision }
    default:
      return {}
  }
}

/** The column's PostgreSQL type in its long name. */
export function typeName(column: ColumnMetadata): string {
  return column.entityMetadata.dataSource.driver.normalizeType(column)
}

const keyTypes: Readonly<Record<string, KeyType>> = {
  smallint: 'integer',
  integer: 'integer',
  bigint: 'integer',
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  int: 'integer',
  numeric: 'numeric',
  decimal: 'numeric',
  'double precision': 'float',
  float8: 'float',
  float: 'float',
  text: 'text',
  'character varying': 'text',
  varchar: 'text',
  enum: 'text',
  'simple-enum': 'text',
  character: 'char',
  char: 'char',
  uuid: 'uuid',
  boolean: 'boolean',
  bool: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  'timestamp without time zone': 'timestamp',
  timestamptz: 'timestamptz',
  'timestamp with time zone': 'timestamptz',
  bytea: 'bytes',
}

/** The kind of shard key that a column can be; undefined: none. */
export function keyTypeOf(column: ColumnMetadata): KeyType | undefined {
  if (column.isArray || isNondeterministic(column)) return undefined
  return keyTypes[typeName(column)]
}

/** The full type of a column whose values can be keys. */
export function columnTypeOf(column: ColumnMetadata): ColumnType | undefined {
  const type = keyTypeOf(column)
  return type && { type, ...modifiersOf(column) }
}

/** A collation of the column's own may hold different texts equal (nondeterministic ICU): one key would have two texts. */
function isNondeterministic(column: ColumnMetadata): boolean {
  return column.collation !== undefined && !['C', 'POSIX', 'default', 'C.UTF-8', 'ucs_basic'].includes(column.collation)
}

/** Who decides on the value of a column in place of the object that is written; undefined: what the object has is stored. */
function writtenBy(column: ColumnMetadata): string | undefined {
  if (column.isDiscriminator) return 'TypeORM stores the discriminator of the class in it'
  if (column.asExpression !== undefined) return 'PostgreSQL computes it'
  if (column.isVersion) return 'TypeORM counts it up with each update'
  if (column.isUpdateDate) return 'TypeORM sets it with each update'
  if (column.isDeleteDate) return 'TypeORM sets it with softDelete and restore'
  if (column.isMaterializedPath || column.isNestedSetLeft || column.isNestedSetRight)
    return 'TypeORM keeps the place in the tree in it'
  return column.isInsert ? undefined : 'TypeORM leaves it out of INSERT (insert: false)'
}

/** True for a column of an enum, or of a list of them. */
export const isEnum = ({ type }: Pick<ColumnMetadata, 'type'>): boolean => type === 'enum' || type === 'simple-enum'

/** The name of a column's enum: the one that the user gave, or else as TypeORM makes it. */
export const enumNameOf = ({ enumName, databaseName }: ColumnMetadata, table: string): string =>
  enumName ?? `${table}_${databaseName.toLowerCase()}_enum`

/** True where the table of an entity has a column whose type (an enum) each shard declares for itself. */
export function hasOwnTypes(metadata: EntityMetadata): boolean {
  // The root of a single table inheritance has the columns of all its children.
  return rootEntity(metadata).columns.some(isEnum)
}

/** True where the entity has a column whose type each shard declares for itself. */
export function hasPerShardTypes(metadata: EntityMetadata): boolean {
  return metadata.columns.some(isEnum)
}
