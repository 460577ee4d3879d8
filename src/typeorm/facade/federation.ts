import type { DataSource, EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { TableColumn } from 'typeorm/schema-builder/table/TableColumn'
import { TableUtils } from 'typeorm/schema-builder/util/TableUtils'
import { addressOf } from '../../endpoints/node-address'
import { ShardedError } from '../../errors/sharded-error'
import type { FederatedColumn, FederatedPart, FederatedTable } from '../../federation/federated-table'
import { federationScript } from '../../federation/federation-script'
import type { UnitKeys } from '../../functions/sharding-function'
import { physicalName } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { maxNameBytes } from '../../values/max-name-bytes'
import { quoted } from '../../values/quoted'
import type { GroupOf } from '../binding/colocation-group'
import { enumNameOf, isEnum, typeName } from '../binding/describe-entities'
import type { EntityBinding } from '../binding/entity-binding'
import { postgresDriver } from '../binding/postgres-driver'
import { storedColumns } from '../binding/table-catalog'
import type { ShardRuntime } from '../runners/shard-runtime'
import { poolConfigOf } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/** The options of `federation.sql`. */
export interface FederationOptions {
  /** The schema of the tables; that of their parts has `_parts` behind it. Default `'federation'`. */
  readonly schema?: string
  /** Whether passwords of the options are written into the script. Default false: it has lines in which to put them. */
  readonly passwords?: boolean
}

interface FederationParts {
  readonly dataSource: DataSource
  readonly options: ShardedDataSourceOptions
  readonly runtime: ShardRuntime
  readonly groupOf: GroupOf
  readonly isReference: (metadata: EntityMetadata) => boolean
}

/** Types that extensions of the same name bring; of others the name is given. */
const extensionOf: Readonly<Record<string, string>> = {
  citext: 'citext',
  hstore: 'hstore',
  ltree: 'ltree',
  cube: 'cube',
  geometry: 'postgis',
  geography: 'postgis',
  vector: 'vector',
  halfvec: 'vector',
}

/**
 * The shards as one database for programs that know nothing of them: PostgreSQL asks the nodes by `postgres_fdw`. See
 * `ShardedDataSource.federation`.
 */
export class Federation {
  constructor(private readonly parts: FederationParts) {}

  /**
   * The script that makes a database the coordinator of all shards, or brings one in line with the present shard map: a view or a
   * partitioned table for every entity's table, under its own name, in the schema `federation`. Sent to nobody: run it with psql, as a
   * role that may create extensions and servers. It contains the addresses of the nodes as this process has them.
   *
   * @param node the node that is to be the coordinator: its own rows are read directly. Without it, for a database of its own
   * @throws ShardedError OPTIONS_INVALID for a node that does not exist, NAME_INVALID
   * @example
   * await writeFile('federation.sql', dataSource.federation.sql())
   */
  sql(node?: string, { schema = 'federation', passwords = false }: FederationOptions = {}): string {
    const { dataSource, options, runtime } = this.parts
    const { nodes } = runtime.map
    if (node !== undefined && !nodes.includes(node))
      throw new ShardedError('OPTIONS_INVALID', `federation.sql: there is no node "${node}".`, {
        details: { node, nodes },
      })
    const own = dataSource.entityMetadatas.filter(
      ({ tableType }) => tableType !== 'entity-child' && tableType !== 'view',
    )
    const extensions = own.flatMap(({ columns }) => columns.flatMap((column) => extensionOf[typeName(column)] ?? []))
    return federationScript({
      schema,
      coordinator: node,
      epoch: runtime.map.epoch,
      nodes: nodes.map((name) => {
        const address = addressOf(poolConfigOf(options, options.nodes[name] ?? {}))
        return { name, ...address, ...(!passwords && { password: undefined }) }
      }),
      tables: own.map((metadata) => this.tableOf(metadata, { schema, coordinator: node })),
      extensions: [...new Set(extensions)].sort(),
    })
  }

  private tableOf(
    metadata: EntityMetadata,
    { schema, coordinator }: { readonly schema: string; readonly coordinator: string | undefined },
  ): FederatedTable {
    const { runtime, groupOf, isReference } = this.parts
    const group = groupOf(metadata)
    const binding = runtime.bindingOf(metadata.target)
    const columns = storedColumns(metadata).map((column) => columnOf(column, schema))
    if (group === undefined) {
      const name = this.nameOf(metadata)
      // Every node has a copy of a reference table.
      const node = (isReference(metadata) && coordinator) || runtime.map.home
      return { name, columns, parts: [this.wholePart(metadata, { name, node })], partitionKey: undefined }
    }
    const shards = runtime.map.groups.get(group) ?? []
    const keys = binding && keysOfShards(binding)
    const parts = shards.map((shard) => shardPart(metadata, shard, keys?.get(shard.index)))
    return { name: metadata.tableName, columns, parts, partitionKey: keys && binding.keyColumns[0]?.databaseName }
  }

  /** Of an unsharded table: one of another schema has that schema's name before its own. */
  private nameOf({ schema, tableName }: EntityMetadata): string {
    const { map, searchSchemaOf } = this.parts.runtime
    return schema === undefined || schema === searchSchemaOf(map.home) ? tableName : checkName(`${schema}_${tableName}`)
  }

  private wholePart(
    { schema, tableName }: EntityMetadata,
    place: { readonly name: string; readonly node: string },
  ): FederatedPart {
    return { ...place, schema: schema ?? this.parts.runtime.searchSchemaOf(place.node), table: tableName }
  }
}

function shardPart({ tableName }: EntityMetadata, shard: Shard, keys: UnitKeys | undefined): FederatedPart {
  const { schema, name: table } = physicalName(tableName, shard)
  // A group's name and a label have no dot.
  return { name: checkName(`${shard.name}.${tableName}`), node: shard.node, schema, table, ...(keys && { keys }) }
}

/** By shard, the keys that it alone owns; undefined where PostgreSQL would not find the shard by them. */
function keysOfShards({ entity, shards, owners }: EntityBinding): ReadonlyMap<number, UnitKeys> | undefined {
  const { unitKeys } = entity.fn
  if (unitKeys?.length !== shards.length) return undefined
  const byShard = new Map<number, UnitKeys>()
  for (const [unit, keys] of unitKeys.entries()) {
    const shard = owners.shardOf(unit)
    if (shard !== undefined) byShard.set(shard, keys)
  }
  return byShard.size === shards.length ? byShard : undefined
}

function columnOf(column: ColumnMetadata, schema: string): FederatedColumn {
  const { databaseName: name, collation, isNullable, isArray } = column
  const driver = postgresDriver(column.entityMetadata.dataSource)
  const base = { name, collation, isNullable }
  if (isEnum(column)) {
    const type = `${quoted(schema)}.${quoted(checkName(enumNameOf(column, column.entityMetadata.tableName)))}`
    const values = (column.enum ?? []).map(String)
    return { ...base, type: isArray ? `${type}[]` : type, enum: { type, values, isArray } }
  }
  return { ...base, type: driver.createFullType(new TableColumn(TableUtils.createTableColumnOptions(column, driver))) }
}

function checkName(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name
  throw new ShardedError(
    'NAME_INVALID',
    `federation.sql: the name '${name}' has more than ${maxNameBytes} bytes. Give the group a shorter name with the option group.`,
    { details: { name } },
  )
}
