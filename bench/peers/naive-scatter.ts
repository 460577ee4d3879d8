import { Pool, type QueryResult } from 'pg'
import type { ShardedDataSource } from '../../src/index'
import { Item, type Line } from '../support/item'
import type { Peer } from './peer'
import { addTo, columnsOf, insertLines } from './pg-alone'

const poolSize = 16

interface ItemRow {
  readonly id: string
  readonly createdAt: Date
}

/**
 * What an application writes that has shards and no sharding layer: one query a shard, all at once, their rows sorted and cut
 * here. It uses the tables of ours, and our places. Its writes over nodes are not atomic.
 */
export const naiveScatter = (ours: ShardedDataSource, urls: readonly string[]): Peer => {
  const pools = new Map(
    urls.map((connectionString, index) => [`node_${index}`, new Pool({ connectionString, max: poolSize })]),
  )
  const poolOf = (node: string): Pool => {
    const pool = pools.get(node)
    if (!pool) throw new Error(`There is no node ${node}.`)
    return pool
  }
  const shards = ours.shards(Item)
  const everywhere = (text: (table: string) => string, values: unknown[] = []): Promise<QueryResult[]> =>
    Promise.all(shards.map(({ name, node }) => poolOf(node).query(text(`"${name}"."item"`), values)))
  const at = (id: string): { readonly pool: Pool; readonly shard: string } => {
    const { shard, node } = ours.locate(Item, id)
    return { pool: poolOf(node), shard }
  }
  const newest = async (condition: string, count: number, values: unknown[] = []): Promise<readonly ItemRow[]> => {
    const text = (table: string) => `SELECT * FROM ${table} ${condition} ORDER BY "createdAt" DESC LIMIT ${count}`
    const rows: ItemRow[] = (await everywhere(text, values)).flatMap((result) => result.rows)
    return rows.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime()).slice(0, count)
  }
  const total = async (expression: string): Promise<number> => {
    const results = await everywhere((table) => `SELECT ${expression} AS n FROM ${table}`)
    return results.reduce((sum, { rows }) => sum + Number(rows[0]?.n), 0)
  }
  return {
    name: 'naive scatter',
    works: {
      byKey: async (id) => {
        const { pool, shard } = at(id)
        return (await pool.query(`SELECT * FROM "${shard}"."item" WHERE id = $1`, [id])).rows
      },
      top: (count) => newest('', count),
      after: (time, count) => newest('WHERE "createdAt" < $1', count, [time]),
      page: async (offset, count) => (await newest('', offset + count)).slice(offset),
      raw: (count) => newest('', count),
      count: () => total('count(*)'),
      sum: () => total('sum(amount)'),
      updateByKey: async (id, amount) => {
        const { pool, shard } = at(id)
        return (await pool.query(`UPDATE "${shard}"."item" SET amount = $2 WHERE id = $1`, [id, amount])).rowCount ?? 0
      },
      updateBetween: async (from, to, amount) => {
        const text = (table: string) => `UPDATE ${table} SET amount = $3 WHERE "createdAt" BETWEEN $1 AND $2`
        return (await everywhere(text, [from, to, amount])).reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0)
      },
      saveLines: async (lines) => {
        const byShard = new Map<string, { readonly pool: Pool; readonly lines: Line[] }>()
        for (const line of lines) {
          const { pool, shard } = at(line.itemId)
          const known = byShard.get(shard)
          if (known) known.lines.push(line)
          else byShard.set(shard, { pool, lines: [line] })
        }
        await Promise.all(
          [...byShard].map(([shard, { pool, lines: own }]) =>
            pool.query(insertLines(`"${shard}"."line"`), columnsOf(own)),
          ),
        )
      },
      transfer: async (from, to) => {
        const [giver, taker] = [at(from), at(to)]
        await giver.pool.query(addTo(`"${giver.shard}"."item"`, -1), [from])
        await taker.pool.query(addTo(`"${taker.shard}"."item"`, 1), [to])
      },
    },
    close: async () => {
      for (const pool of pools.values()) await pool.end()
    },
  }
}
