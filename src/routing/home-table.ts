import type { UnitOwners } from '../topology/unit-owners'
import type { CarriedTable } from './carried-table'
import type { ShardedTable, TableCatalog } from './table-catalog'

const noShards: UnitOwners = Object.freeze({
  all: Object.freeze([]),
  shardOf: () => undefined,
  shardsOf: () => 'all' as const,
  shardsOfSlots: () => [],
})

/** The group of tables of the home node: no group of shards has an empty name. */
const homeGroup = ''

/** A table of the home node as one of a statement: it has rows, conditions and partners as a sharded table has, and no shards. */
const homeTable = (name: string, columns: readonly string[]): ShardedTable =>
  Object.freeze({
    name,
    group: homeGroup,
    owners: noShards,
    entity: undefined,
    isOwn: false,
    keyColumns: [],
    slotColumns: new Map(),
    idColumn: undefined,
    locators: [],
    references: [],
    columns: new Map(columns.map((column) => [column, { isNullable: true, timeType: undefined, type: undefined }])),
    primaryKey: [],
    hasOwnTypes: false,
    hiddenColumns: new Set<string>(),
    keySources: new Set<string>(),
    uuidDefaults: new Set<string>(),
  })

/** A catalog in which the tables of the home node are tables as the sharded ones are, where their columns are known. */
export function withHomeTables(catalog: TableCatalog): TableCatalog {
  const table = (schema: string | undefined, name: string): ShardedTable | undefined => {
    const columns = catalog.homeColumns(schema, name)
    return catalog.table(schema, name) ?? (columns && homeTable(name, columns))
  }
  return Object.create(catalog, { table: { value: table } })
}

export const isHomeTable = ({ use }: CarriedTable): boolean => use.table.group === homeGroup
