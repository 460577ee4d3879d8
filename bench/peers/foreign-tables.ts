import { Client } from 'pg'
import { fill, makePartitionedTables, partitionCount, partitionedTables, typeormPeer } from './partitions'
import type { Peer } from './peer'

interface Urls {
  /** The database that TypeORM speaks to. */
  readonly coordinator: string
  /** The databases that hold the rows. */
  readonly nodes: readonly string[]
}

/**
 * TypeORM over a coordinator of `postgres_fdw`: the partitions are foreign tables, which stand on the nodes as ours do. Set as its
 * manual advises for partitions: nodes are asked at once, and rows fetched a thousand at a time.
 */
export const foreignTables = async ({ coordinator, nodes }: Urls, rows: number): Promise<Peer> => {
  const client = await makePartitionedTables(coordinator)
  await client.query('CREATE EXTENSION postgres_fdw')
  for (const [index, node] of nodes.entries()) {
    const url = new URL(node)
    await client.query(`CREATE SERVER node_${index} FOREIGN DATA WRAPPER postgres_fdw OPTIONS
      (host '${url.hostname}', port '${url.port}', dbname '${url.pathname.slice(1)}', async_capable 'true', fetch_size '1000')`)
    await client.query(`CREATE USER MAPPING FOR CURRENT_USER SERVER node_${index}
      OPTIONS (user '${url.username}', password '${url.password}')`)
  }
  for (const { table } of partitionedTables)
    for (let index = 0; index < partitionCount; index++) {
      const node = (index * nodes.length) / partitionCount
      await client.query(`CREATE FOREIGN TABLE ${table}_${index} PARTITION OF ${table}
        FOR VALUES WITH (MODULUS ${partitionCount}, REMAINDER ${index}) SERVER node_${Math.floor(node)}`)
    }
  await makeRemoteTables(nodes)
  await fill(client, rows)
  await client.query('ANALYZE')
  await client.end()
  return typeormPeer('postgres_fdw', coordinator)
}

const columns = {
  item: `id bigint PRIMARY KEY, name varchar NOT NULL, email varchar NOT NULL, city varchar NOT NULL, amount int NOT NULL,
    price numeric(12, 2) NOT NULL, active boolean NOT NULL, rank int NOT NULL, "createdAt" timestamptz NOT NULL, note text`,
  line: 'id bigint PRIMARY KEY, "itemId" bigint NOT NULL, text varchar NOT NULL, amount int NOT NULL',
}

/** The tables that the foreign ones stand for, under the same names. */
const makeRemoteTables = async (nodes: readonly string[]): Promise<void> => {
  for (const [at, connectionString] of nodes.entries()) {
    const client = new Client({ connectionString })
    await client.connect()
    for (let index = 0; index < partitionCount; index++) {
      if (Math.floor((index * nodes.length) / partitionCount) !== at) continue
      await client.query(`CREATE TABLE item_${index} (${columns.item})`)
      await client.query(`CREATE INDEX ON item_${index} ("createdAt")`)
      await client.query(`CREATE TABLE line_${index} (${columns.line})`)
    }
    await client.end()
  }
}
