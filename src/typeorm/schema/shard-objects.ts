import type { EntityMetadata } from 'typeorm'
import { captureColumns, captureOf } from '../../lookups/capture-sql'
import { physicalName } from '../../planning/bind-shard-names'
import { shardMark } from '../../planning/shard-mark'
import type { Shard } from '../../topology/shard'
import type { Lookups } from '../binding/lookups'

/** A table that schema work makes for a shard. */
export interface ShardTable {
  readonly schema: string
  readonly name: string
  readonly mark: string
  /** Columns that it has under any version of the entity. */
  readonly columns: readonly string[]
}

/** What schema work makes, changes and drops for one shard. */
export interface ShardObjects {
  readonly shard: Shard
  readonly tables: readonly ShardTable[]
}

/** @param metadatas the entities of the shard's group, with their junction and closure tables */
export function shardObjects(shard: Shard, metadatas: readonly EntityMetadata[], lookups: Lookups): ShardObjects {
  const tables = metadatas.filter(isMade).map(({ tableName, primaryColumns }) =>
    tableFor(
      shard,
      tableName,
      primaryColumns.map(({ databaseName }) => databaseName),
    ),
  )
  for (const { table } of lookups.all) {
    if (table.name !== shard.group) continue
    tables.push(
      tableFor(
        shard,
        table.name,
        table.columns.map(({ name }) => name),
      ),
    )
  }
  if (lookups.ofGroup(shard.group).length > 0) tables.push(tableFor(shard, captureOf(shard.group), captureColumns))
  return Object.freeze({ shard, tables: Object.freeze(tables) })
}

/** Whether schema work makes the table of an entity: children of single-table inheritance stand in their parent's. */
const isMade = ({ tableType, synchronize }: EntityMetadata): boolean =>
  synchronize && tableType !== 'entity-child' && tableType !== 'view'

const tableFor = (shard: Shard, table: string, columns: readonly string[]): ShardTable =>
  Object.freeze({ ...physicalName(table, shard), mark: shardMark(shard, table), columns: Object.freeze(columns) })
