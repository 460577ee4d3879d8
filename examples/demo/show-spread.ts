import type { ShardedDataSource } from '../../src'
import { bar, count, heading, line } from './screen'

interface ShardCount {
  readonly shard: string
  readonly result: readonly [{ readonly rows: number }]
}

/** How the rows of an entity lie on its shards and nodes, as bars. */
export const showSpread = async (
  dataSource: ShardedDataSource,
  { entity, table }: { entity: new () => object; table: string },
): Promise<void> => {
  const counts: readonly ShardCount[] = await dataSource
    .getRepository(entity)
    .acrossShards()
    .query(`SELECT count(*)::int AS rows FROM "__shard__"."${table}"`)
  const nodes = new Map(dataSource.shards(entity).map(({ name, node }) => [name, node]))
  const totals = new Map<string, number>()
  const most = Math.max(...counts.map(({ result: [{ rows }] }) => rows))
  heading(`Rows of ${entity.name} in each shard`)
  for (const { shard, result } of counts) {
    const [{ rows }] = result
    const node = nodes.get(shard) ?? ''
    bar(`${shard}  node ${node}`, rows, most)
    totals.set(node, (totals.get(node) ?? 0) + rows)
  }
  line(`  ${[...totals].map(([node, rows]) => `node ${node}: ${count(rows)} rows`).join('   ')}`)
}
