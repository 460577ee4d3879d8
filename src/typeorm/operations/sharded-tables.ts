import type { Table } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import { physicalName } from '../../planning/bind-shard-names'
import type { ShardedTable } from '../../routing/table-catalog'
import type { Shard } from '../../topology/shard'
import type { ShardAccess } from '../runners/shard-access'

interface ShardTable {
  readonly table: ShardedTable
  readonly shards: readonly Shard[]
}

/** True where every shard has the table, and in it the column. */
export async function hasOnAllShards(
  access: ShardAccess,
  { table, shards }: ShardTable,
  column?: string,
): Promise<boolean> {
  const byNode = new Map<string, Shard[]>()
  for (const shard of shards) pushTo(byNode, shard.node, shard)
  const [view, isColumn] = column === undefined ? ['tables', ''] : ['columns', ' AND "column_name" = $3']
  const answers = await access.query(
    [...byNode].map(([node, own]) => {
      const names = own.map((shard) => physicalName(table.name, shard))
      return {
        node,
        shards: own.map(({ name }) => name),
        text: `SELECT count(*)::int AS "count" FROM "information_schema"."${view}" WHERE ("table_schema"::text, "table_name"::text) IN (SELECT * FROM unnest($1::text[], $2::text[]))${isColumn}`,
        parameters: [
          names.map(({ schema }) => schema),
          names.map(({ name }) => name),
          ...(column === undefined ? [] : [column]),
        ],
      }
    }),
  )
  const found = answers.flat().reduce((sum, row) => sum + Number(row['count']), 0)
  return shards.length > 0 && found === shards.length
}

/**
 * The table as one database would have it, read from its first shard: all shards have the same. Names of constraints and
 * indexes are those of that shard.
 */
export async function loadShardedTable(
  access: ShardAccess,
  { table, shards }: ShardTable,
  { schema, isOfGroup }: { readonly schema: string; readonly isOfGroup: (name: string) => boolean },
): Promise<Table | undefined> {
  const [shard] = shards
  if (!shard) return undefined
  const logicalName = (name: string): string => {
    const bare = name.slice(name.lastIndexOf('.') + 1)
    const suffix = `_${shard.label}`
    const logical = shard.layout === 'table' && bare.endsWith(suffix) ? bare.slice(0, -suffix.length) : bare
    return isOfGroup(logical) ? logical : bare
  }
  const physical = physicalName(table.name, shard)
  const loaded = await access.onShard(shard, ({ queryRunner }) =>
    Promise.resolve(queryRunner?.getTable(`${physical.schema}.${physical.name}`)),
  )
  if (!loaded) return undefined
  loaded.name = table.name
  loaded.schema = schema
  for (const key of loaded.foreignKeys) {
    key.referencedTableName = logicalName(key.referencedTableName)
    key.referencedSchema = schema
  }
  return loaded
}
