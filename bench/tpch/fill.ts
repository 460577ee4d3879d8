import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Client } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import type { ShardedDataSource } from '../../src/index'
import type { Design } from './designs'
import { fillStatements } from './rows'
import { tpchTables } from './tables'

const connect = async (connectionString: string): Promise<Client> => {
  const client = new Client({ connectionString })
  await client.connect()
  return client
}

/** Fills the tables of one database, and brings its statistics up to date. */
export async function fillPlain(url: string, scale: number): Promise<void> {
  const client = await connect(url)
  for (const text of fillStatements(scale)) await client.query(text)
  await client.query('VACUUM ANALYZE')
  await client.end()
}

/** The lines of a COPY of a table, by what `placeOf` says of the column `key`. */
async function copiedLines(
  client: Client,
  { table, key }: { readonly table: string; readonly key: string | undefined },
  placeOf: (key: string) => string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const lines = new Map<string, string[]>()
  let rest = ''
  for await (const chunk of client.query(copyTo(`COPY (SELECT ${key ?? 0}, t.* FROM ${table} t) TO STDOUT`))) {
    const parts = (rest + String(chunk)).split('\n')
    rest = parts.pop() ?? ''
    for (const line of parts) {
      const tab = line.indexOf('\t')
      const place = placeOf(line.slice(0, tab))
      const list = lines.get(place)
      if (list) list.push(`${line.slice(tab + 1)}\n`)
      else lines.set(place, [`${line.slice(tab + 1)}\n`])
    }
  }
  return lines
}

/** Copies the rows of one database to the shards of a design, and brings the nodes' statistics up to date. */
export async function fillShards(
  dataSource: ShardedDataSource,
  urls: { readonly plain: string; readonly nodes: readonly string[] },
  design: Design,
): Promise<void> {
  const plain = await connect(urls.plain)
  const nodes = await Promise.all(urls.nodes.map(connect))
  // Reference tables refuse what does not come by the data source: here every node gets the same rows.
  for (const client of nodes) await client.query('SET session_replication_role = replica')
  for (const { name: table } of tpchTables) {
    const key = design.groups.find((tables) => table in tables)?.[table]
    const entity = `${table}, ${design.name}`
    const places = new Map<string, string>()
    const placeOf = (value: string): string => {
      const known = places.get(value) ?? (key === undefined ? '' : dataSource.locate(entity, value).shard)
      places.set(value, known)
      return known
    }
    for (const [shard, lines] of await copiedLines(plain, { table, key }, placeOf)) {
      const node = dataSource.shardMap.shards.get(shard)?.node ?? 'node_0'
      const owner = nodes.slice(Number(node.slice('node_'.length))).slice(0, 1)
      const path = `"${shard === '' ? 'public' : shard}"."${table}"`
      for (const client of design.references.includes(table) ? nodes : owner)
        await pipeline(Readable.from(lines), client.query(copyFrom(`COPY ${path} FROM STDIN`)))
    }
  }
  for (const client of nodes) await client.query('VACUUM ANALYZE')
  await Promise.all([plain, ...nodes].map((client) => client.end()))
}
