import type { EntityMetadata } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { LookupModel } from '../../model/lookup'
import { holdsShardKey, type ModelEntity } from '../../model/sharded-entity'
import {
  type DescribedEntity,
  type DescribedPart,
  type DescribedPlace,
  type ShardingDescription,
  shardingDescription,
} from '../../model/sharding-description'
import { groupsOf } from './colocation-group'
import { actionsOf, uniquesOf } from './describe-entities'
import { hiddenKeySource, isHidden } from './hidden-key-source'
import { isReferenceTable } from './references'
import { cascadesOf, leadsApart } from './relation-apart'

/**
 * Describes what a start has decided about the entities. Nothing is decided here: the model says which relations lead apart and where
 * entities are, the metadata which foreign keys are left.
 *
 * @param metadatas those of the data source, after `markRelationsApart`
 */
export function describeSharding(metadatas: readonly EntityMetadata[], model: LookupModel): ShardingDescription {
  const owned = metadatas.filter(({ isJunction }) => !isJunction)
  return shardingDescription(owned.map((metadata) => describeEntity(metadata, model)))
}

function describeEntity(metadata: EntityMetadata, model: LookupModel): DescribedEntity {
  const { name: entity, tableName: table } = metadata
  const known = model.entities.get(metadata.target)
  const parts = Object.freeze(partsOf(metadata, model).map((part) => Object.freeze(part)))
  if (known?.kind !== 'sharded') return Object.freeze({ entity, table, kind: known?.kind ?? 'home', parts })
  const group = model.groups.get(known.group)
  return Object.freeze({
    entity,
    table,
    kind: 'sharded',
    group: known.group,
    shardKey: Object.freeze(known.keyColumns.map(({ propertyPath }) => keyName(metadata, propertyPath))),
    ...(group && { rule: ruleText(group.print.rule, group.labels.length), layout: group.layout }),
    parts,
  })
}

/** A hidden part of a shard key has no property: it is named by its column, and by the relation that it comes from. */
function keyName(metadata: EntityMetadata, propertyPath: string): string {
  const column = metadata.findColumnWithPropertyPath(propertyPath)
  if (!column || !isHidden(column)) return propertyPath
  return `${column.databaseName} (from ${hiddenKeySource(metadata)?.propertyPath})`
}

const ruleText = (rule: string, shards: number): string =>
  /\bshards?\b/.test(rule) ? rule : `${rule} (${shards} ${shards === 1 ? 'shard' : 'shards'})`

function partsOf(metadata: EntityMetadata, model: LookupModel): readonly DescribedPart[] {
  const parent = metadata.tableType === 'entity-child' ? metadata.parentEntityMetadata : undefined
  const own = ownPlace(model.entities.get(metadata.target))
  // A child of single-table inheritance has the relations and constraints of its parent, which are described there.
  const isInherited = ({ propertyPath }: { readonly propertyPath: string }): boolean =>
    parent?.findRelationWithPropertyPath(propertyPath) !== undefined
  const relations = metadata.relations.filter((relation) => !isInherited(relation))
  return [
    ...(parent
      ? [{ kind: 'inheritance', name: parent.tableName, to: parent.name, detail: 'single table', place: own } as const]
      : []),
    ...(metadata.treeType
      ? [{ kind: 'tree', name: treeTable(metadata), to: metadata.name, detail: metadata.treeType, place: own } as const]
      : []),
    ...(parent ? [] : constraintsOf(metadata, model)),
    ...relations.flatMap((relation) => relationParts(relation, model)),
  ]
}

const treeTable = ({ closureJunctionTable, tableName, treeType }: EntityMetadata): string =>
  treeType === 'closure-table' ? closureJunctionTable.tableName : tableName

/** Where the rows of an entity's own tables are, seen from its rows. */
const ownPlace = (entity: ModelEntity | undefined): DescribedPlace =>
  entity?.kind === 'sharded' ? 'local' : (entity?.kind ?? 'home')

function constraintsOf(metadata: EntityMetadata, model: LookupModel): readonly DescribedPart[] {
  const entity = model.entities.get(metadata.target)
  const place = ownPlace(entity)
  const sharded = entity?.kind === 'sharded' ? entity : undefined
  const scope = (isEverywhere: boolean) => (isEverywhere || !sharded ? 'everywhere' : 'in each shard')
  const primary = metadata.primaryColumns.map(({ propertyPath }) => propertyPath)
  const primaryKey: DescribedPart = {
    kind: 'primary key',
    name: primary.join(', '),
    detail: sharded?.id ? `ids of kind ${sharded.id.kind}` : '',
    place,
    // An id that carries its slot is refused on another shard.
    checked: scope(sharded?.primaryKeyHoldsShardKey === true || sharded?.id?.carriesSlot === true),
  }
  const uniques = uniquesOf(metadata).map(
    ({ name, properties }): DescribedPart => ({
      kind: 'unique',
      name: properties.join(', '),
      detail: name,
      place,
      checked: scope(
        sharded !== undefined && (holdsShardKey(properties, sharded) || sharded.uniquesByReference.has(name)),
      ),
    }),
  )
  const lookups = model.lookups
    .filter((lookup) => lookup.entity.target === metadata.target)
    .map(
      ({ name, columns, isUnique }): DescribedPart => ({
        kind: 'lookup',
        name: columns.map(({ propertyPath }) => propertyPath).join(', '),
        detail: name,
        place: 'across shards',
        writes: 'two phases',
        ...(isUnique && { checked: 'everywhere' }),
      }),
    )
  return [...(primary.length > 0 ? [primaryKey] : []), ...sortedByName(uniques), ...sortedByName(lookups)]
}

const sortedByName = (parts: readonly DescribedPart[]): readonly DescribedPart[] =>
  [...parts].sort((a, b) => (a.name < b.name ? -1 : 1))

function relationParts(relation: RelationMetadata, model: LookupModel): readonly DescribedPart[] {
  const { propertyPath: name, inverseEntityMetadata, relationType, isEager, isLazy, isNullable } = relation
  const place = placeOfRelated(relation, model)
  const parts: DescribedPart[] = [
    {
      kind: 'relation',
      name,
      to: inverseEntityMetadata.name,
      detail: [
        relationType,
        ...(isEager ? ['eager'] : []),
        ...(isLazy ? ['lazy'] : []),
        ...(relation.isOwning && isNullable ? ['nullable'] : []),
      ].join(', '),
      place,
      ...readingOf(relation, place),
    },
  ]
  if (relation.isOwning && relation.isManyToMany) parts.push(...joinTableOf(relation, model))
  else if (relation.isOwning && relation.createForeignKeyConstraints) parts.push(foreignKeyOf(relation, place))
  const cascades = cascadeWords(relation)
  if (cascades.length > 0)
    parts.push({
      kind: 'cascade',
      name,
      to: inverseEntityMetadata.name,
      detail: cascades.join(', '),
      place,
      writes: writingOf(relation, place, model),
    })
  return parts
}

/** Where the row is that a relation leads to. */
function placeOfRelated(relation: RelationMetadata, model: LookupModel): DescribedPlace {
  const far = model.entities.get(relation.inverseEntityMetadata.target)
  if (far?.kind !== 'sharded') return far?.kind ?? 'home'
  return leadsApart(relation) ? 'across shards' : 'local'
}

function readingOf(relation: RelationMetadata, place: DescribedPlace): Pick<DescribedPart, 'reads' | 'conditions'> {
  if (!leadsApart(relation)) return { reads: 'join', conditions: 'join' }
  if (relation.isManyToMany) return { reads: 'two statements a node', conditions: 'gather' }
  return { reads: place === 'across shards' ? 'a statement a node' : 'a statement', conditions: 'gather' }
}

/** Where one is sent along with the row, and where other nodes take part. */
function writingOf(
  relation: RelationMetadata,
  place: DescribedPlace,
  { entities }: LookupModel,
): NonNullable<DescribedPart['writes']> {
  const own = ownPlace(entities.get(relation.entityMetadata.target))
  if (place === 'reference') return 'every node, two phases'
  return place === own && !leadsApart(relation) ? 'with the row' : 'two phases'
}

function cascadeWords(relation: RelationMetadata): readonly string[] {
  const { isCascadeInsert, isCascadeUpdate, isCascadeRemove, isCascadeSoftRemove, isCascadeRecover } =
    cascadesOf(relation)
  return [
    ...(isCascadeInsert ? ['insert'] : []),
    ...(isCascadeUpdate ? ['update'] : []),
    ...(isCascadeRemove ? ['remove'] : []),
    ...(isCascadeSoftRemove ? ['soft-remove'] : []),
    ...(isCascadeRecover ? ['recover'] : []),
  ]
}

/** A foreign key that leads apart is taken from the metadata: nothing checks it. */
function foreignKeyOf(relation: RelationMetadata, place: DescribedPlace): DescribedPart {
  const { joinColumns, inverseEntityMetadata, foreignKeys } = relation
  return {
    kind: 'foreign key',
    name: joinColumns.map(({ propertyPath }) => propertyPath).join(', '),
    to: inverseEntityMetadata.name,
    detail: actionsOf(relation).join(', '),
    place,
    checked: foreignKeys.length > 0 ? 'everywhere' : 'no',
  }
}

function joinTableOf(relation: RelationMetadata, model: LookupModel): readonly DescribedPart[] {
  const { junctionEntityMetadata: junction, inverseEntityMetadata, entityMetadata } = relation
  if (!junction) return []
  const groupOf = groupsOf(model)
  const group = groupOf(junction)
  const place: DescribedPlace =
    group === undefined
      ? isReferenceTable(model)(junction)
        ? 'reference'
        : 'home'
      : group === groupOf(entityMetadata)
        ? 'local'
        : 'across shards'
  return [
    {
      kind: 'join table',
      name: junction.tableName,
      to: inverseEntityMetadata.name,
      detail: junction.columns.map(({ propertyPath }) => propertyPath).join(', '),
      place,
      checked: junction.foreignKeys.length === 2 ? 'everywhere' : 'no',
    },
  ]
}
