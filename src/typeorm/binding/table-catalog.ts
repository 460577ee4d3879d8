import type { EntityMetadata } from 'typeorm'
import type { ShardedEntity } from '../../model/sharded-entity'
import type { Layout } from '../../model/sharded-options'
import { placeholderSchema } from '../../planning/bind-shard-names'
import type { Locator, Reference, ShardedTable, TableCatalog } from '../../routing/table-catalog'
import { ownersOf, type ShardMap } from '../../topology/shard-map'
import type { UnitOwners } from '../../topology/unit-owners'
import { type GroupOf, type PlacingKey, placingKeys } from './colocation-group'
import { columnTypeOf, enumNameOf, hasOwnTypes, isEnum, typeName } from './describe-entities'
import type { EntityBinding } from './entity-binding'
import { hiddenKeySource, isHidden } from './hidden-key-source'
import { slotColumnsOf } from './slot-columns'

/** In which schema one database would have the sharded tables, and which one names without a schema are looked for in. */
export interface TableSchemas {
  readonly sharded: string
  readonly searched: string
}

interface CatalogParts {
  readonly schemas: TableSchemas
  readonly groupOf: GroupOf
  readonly isReference: (metadata: EntityMetadata) => boolean
  readonly bindingOf: (target: unknown) => EntityBinding | undefined
  readonly map: ShardMap
}

/**
 * The tables of TypeORM's metadata as SQL names them. Sharded tables stand in the placeholder schema; users write their
 * names as on one database.
 */
export function buildTableCatalog(
  metadatas: readonly EntityMetadata[],
  { schemas, groupOf, isReference, bindingOf, map }: CatalogParts,
): TableCatalog {
  const sharded = new Map<string, ShardedTable>()
  /** By schema and name, and by the name alone for what is found without a schema. */
  const home = new Map<string, readonly string[]>()
  /** Those of reference tables among them. */
  const copied = new Set<string>()
  const types = new Set(
    metadatas.flatMap((metadata) => {
      const group = groupOf(metadata)
      return group === undefined ? [] : enumsOf(metadata, map.groups.get(group)?.[0]?.layout)
    }),
  )
  // A type of unsharded tables as well is there on the home node.
  for (const metadata of metadatas)
    if (groupOf(metadata) === undefined) for (const name of enumsOf(metadata)) types.delete(name)
  for (const metadata of metadatas) {
    const group = groupOf(metadata)
    const name = metadata.tableName
    if (group === undefined) {
      const columns = storedColumns(metadata).map((column) => column.databaseName)
      const schema = metadata.schema ?? schemas.searched
      home.set(JSON.stringify([schema, name]), columns)
      if (isReference(metadata)) copied.add(JSON.stringify([schema, name]))
      if (schema === schemas.searched || !home.has(name)) home.set(name, columns)
      continue
    }
    const known = sharded.get(name)
    const table = describeTable(metadata, { name: group, owners: ownersOf(map, group) }, bindingOf)
    // The children of one table (single table inheritance) share it: its columns are those of all.
    sharded.set(name, known ? { ...known, columns: new Map([...known.columns, ...table.columns]) } : table)
  }
  const isOfSharded = (schema: string | undefined): boolean =>
    schema === placeholderSchema || (schema ?? schemas.searched) === schemas.sharded
  return Object.freeze({
    table: (schema: string | undefined, name: string) => (isOfSharded(schema) ? sharded.get(name) : undefined),
    isOfSharded,
    isReference: (schema: string | undefined, name: string) =>
      copied.has(JSON.stringify([schema ?? schemas.searched, name])),
    homeColumns: (schema: string | undefined, name: string) =>
      home.get(schema === undefined ? name : JSON.stringify([schema, name])),
    types,
    names: Object.freeze([...sharded.keys()]),
  })
}

/** A column that a query computes is none of the table: no `*` gives it. */
export const storedColumns = ({ columns }: EntityMetadata) =>
  columns.filter(({ isVirtualProperty }) => !isVirtualProperty)

/** The types that TypeORM makes of the enums of a table; of a shard's table, those that the shard has for itself. */
const enumsOf = ({ columns, tableName }: EntityMetadata, layout?: Layout): readonly string[] =>
  columns
    .filter(isEnum)
    // In the layout `table` all shards of a node are in one schema, and have one type of a name that the user gave.
    .filter(({ enumName }) => enumName === undefined || layout !== 'table')
    .map((column) => enumNameOf(column, tableName))

/** PostgreSQL's short names of the types of times, by those of TypeORM. */
const timeTypes: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [Date, 'timestamp'],
  ...['date', 'timestamp', 'timestamptz', 'time', 'timetz'].map((type) => [type, type] as const),
  ...['timestamp', 'time'].flatMap(
    (type) =>
      [
        [`${type} without time zone`, type],
        [`${type} with time zone`, `${type}tz`],
      ] as const,
  ),
])

function describeTable(
  metadata: EntityMetadata,
  group: { readonly name: string; readonly owners: UnitOwners },
  bindingOf: (target: unknown) => EntityBinding | undefined,
): ShardedTable {
  const binding = bindingOf(metadata.target)
  const own = binding ? binding.keyColumns.map((column) => column.databaseName) : undefined
  // A reference table is on every node: two rows that refer to one of its rows may lie on any two shards.
  const foreignKeys = placingKeys(metadata).filter(
    ({ referencedEntityMetadata }) => bindingOf(referencedEntityMetadata.target)?.entity.group === group.name,
  )
  const references = foreignKeys.map((foreignKey) => describeReference(foreignKey, bindingOf))
  // A junction has no shard key of its own: a foreign key to one is as good.
  const referenced = own ? undefined : references.find(({ keyColumns }) => keyColumns !== undefined)
  const keyColumns = own ?? referenced?.keyColumns ?? []
  const entity: ShardedEntity | undefined = binding?.entity ?? referenced?.entity
  const primaryKey = metadata.primaryColumns.map((column) => column.databaseName)
  const locators: Locator[] = [locator(metadata.tableName, primaryKey, primaryKey)]
  if (keyColumns.length > 0) locators.push({ domain: `key of ${group.name}`, columns: keyColumns })
  for (const { columnNames, referencedColumnNames, referencedEntityMetadata } of foreignKeys) {
    locators.push(locator(referencedEntityMetadata.tableName, columnNames, referencedColumnNames))
  }
  return Object.freeze({
    name: metadata.tableName,
    group: group.name,
    owners: group.owners,
    entity,
    isOwn: own !== undefined,
    keyColumns: Object.freeze(keyColumns),
    slotColumns: new Map(
      slotColumnsOf(metadata, (target) => bindingOf(target)?.entity).map(({ column, slotOf }) => [
        column.databaseName,
        slotOf,
      ]),
    ),
    idColumn: binding?.id?.column.databaseName,
    locators: Object.freeze(locators),
    references: Object.freeze(references),
    columns: new Map(
      storedColumns(metadata).map((column) => [
        column.databaseName,
        {
          isNullable: column.isNullable,
          timeType: column.isArray ? undefined : timeTypes.get(column.type),
          type: columnTypeOf(column),
          elementType: column.isArray ? typeName(column) : undefined,
        },
      ]),
    ),
    primaryKey: Object.freeze(primaryKey),
    hasOwnTypes: hasOwnTypes(metadata),
    hiddenColumns: new Set(metadata.columns.filter(isHidden).map((column) => column.databaseName)),
    keySources: new Set(hiddenKeySource(metadata)?.joinColumns.map((column) => column.databaseName)),
    uuidDefaults: new Set(
      metadata.columns
        .filter((column) => column.isGenerated && column.generationStrategy === 'uuid')
        .map((column) => column.databaseName),
    ),
  })
}

/** Locators of one domain have their columns in one order: by the names of the columns that they refer to. */
function locator(table: string, columns: readonly string[], referenced: readonly string[]): Locator {
  const pairs = referenced.map((name, index) => [name, columns[index] ?? ''] as const)
  pairs.sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.freeze({
    domain: `${table} (${pairs.map(([name]) => name).join(', ')})`,
    columns: Object.freeze(pairs.map(([, name]) => name)),
  })
}

function describeReference(
  { columnNames, referencedColumnNames, referencedEntityMetadata }: PlacingKey,
  bindingOf: (target: unknown) => EntityBinding | undefined,
): Reference & { readonly entity: ShardedEntity | undefined } {
  const binding = bindingOf(referencedEntityMetadata.target)
  const key = binding?.keyColumns.flatMap(
    (column) => columnNames[referencedColumnNames.indexOf(column.databaseName)] ?? [],
  )
  return {
    columns: columnNames,
    table: referencedEntityMetadata.tableName,
    referenced: referencedColumnNames,
    keyColumns: key?.length === binding?.keyColumns.length ? key : undefined,
    entity: binding?.entity,
  }
}
