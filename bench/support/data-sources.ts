import { Client } from 'pg'
import { DataSource } from 'typeorm'
import { ShardedDataSource } from '../../src/index'
import type { FreshDatabases } from '../../test/support/fresh-databases'
import { Item, itemColumnNames, itemColumns, Line, Setting } from './item'

const entities = [Item, Line, Setting]
const poolSize = 16

/** Plain TypeORM on one database. */
export const openPlain = (url: string): Promise<DataSource> =>
  new DataSource({ type: 'postgres', url, entities, poolSize, synchronize: true }).initialize()

/** 16 shards over these databases. */
export const openSharded = (
  urls: readonly string[],
  options: { readonly preparedStatements?: boolean; readonly synchronize?: boolean } = {},
): Promise<ShardedDataSource> =>
  new ShardedDataSource({
    type: 'postgres',
    entities,
    poolSize,
    synchronize: true,
    ...options,
    nodes: Object.fromEntries(urls.map((url, index) => [`node_${index}`, { url }])),
  }).initialize()

/** Both sides, with tables; `nodes`: over how many databases ours spreads. */
export const openBoth = async (
  { nodes, oracle }: FreshDatabases,
  nodeCount: 1 | 2,
): Promise<{ readonly ours: ShardedDataSource; readonly plain: DataSource; close(): Promise<void> }> => {
  const plain = await openPlain(oracle)
  const ours = await openSharded(nodes.slice(0, nodeCount))
  const close = async (): Promise<void> => {
    await ours.destroy()
    await plain.destroy()
  }
  return { ours, plain, close }
}

const insertInto = (table: string, source: string): string =>
  `INSERT INTO ${table} (${itemColumnNames}) SELECT ${itemColumns} FROM ${source}`

/** Fills the items 1 … count on both sides, in the database, and brings the statistics up to date. */
export const loadItems = async (
  { ours, plain }: { readonly ours: ShardedDataSource; readonly plain: DataSource },
  databases: FreshDatabases,
  count: number,
): Promise<void> => {
  await plain.query(insertInto('item', `generate_series(1::bigint, ${count}) id`))
  await analyze([databases.oracle])
  await fillShards(ours, databases.nodes, count)
}

/** Fills the items 1 … count over the shards, in the databases, and brings their statistics up to date. */
export const fillShards = async (ours: ShardedDataSource, nodes: readonly string[], count: number): Promise<void> => {
  const ids = new Map<string, number[]>()
  for (let id = 1; id <= count; id++) {
    const { shard } = ours.locate(Item, id)
    const list = ids.get(shard)
    if (list) list.push(id)
    else ids.set(shard, [id])
  }
  for (const [shard, list] of ids)
    await ours.shard(shard).query(insertInto('"__shard__"."item"', 'unnest($1::bigint[]) id'), [list])
  await analyze(nodes)
}

const analyze = async (urls: readonly string[]): Promise<void> => {
  for (const connectionString of urls) {
    const client = new Client({ connectionString })
    await client.connect()
    await client.query('VACUUM ANALYZE')
    await client.end()
  }
}
