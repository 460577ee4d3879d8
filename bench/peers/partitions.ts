import { Client } from 'pg'
import { DataSource } from 'typeorm'
import { Item, itemColumnNames, itemColumns, Line, Setting } from '../support/item'
import type { Peer } from './peer'
import { typeormWorks } from './typeorm-works'

export const partitionCount = 16
const poolSize = 16
const entities = [Item, Line, Setting]

/** The tables of both entities, cut by hash as ours are. */
export const partitionedTables = [
  { table: 'item', key: 'id' },
  { table: 'line', key: '"itemId"' },
] as const

/** Makes tables as TypeORM does, and puts partitioned ones of the same columns in their place. */
export const makePartitionedTables = async (url: string): Promise<Client> => {
  await (await new DataSource({ type: 'postgres', url, entities, synchronize: true }).initialize()).destroy()
  const client = new Client({ connectionString: url })
  await client.connect()
  for (const { table, key } of partitionedTables) {
    await client.query(`ALTER TABLE ${table} RENAME TO ${table}_model`)
    await client.query(`CREATE TABLE ${table} (LIKE ${table}_model INCLUDING DEFAULTS) PARTITION BY HASH (${key})`)
    await client.query(`DROP TABLE ${table}_model`)
  }
  return client
}

/** TypeORM over what PostgreSQL spreads by itself: one database, each table in 16 partitions. */
export const nativePartitions = async (url: string, rows: number): Promise<Peer> => {
  const client = await makePartitionedTables(url)
  for (const { table } of partitionedTables)
    for (let index = 0; index < partitionCount; index++)
      await client.query(
        `CREATE TABLE ${table}_${index} PARTITION OF ${table} FOR VALUES WITH (MODULUS ${partitionCount}, REMAINDER ${index})`,
      )
  await client.query('ALTER TABLE item ADD PRIMARY KEY (id)')
  await client.query('CREATE INDEX ON item ("createdAt")')
  await client.query('ALTER TABLE line ADD PRIMARY KEY (id, "itemId")')
  await fill(client, rows)
  await client.end()
  return typeormPeer('native partitions', url)
}

export const fill = async (client: Client, rows: number): Promise<void> => {
  await client.query(
    `INSERT INTO item (${itemColumnNames}) SELECT ${itemColumns} FROM generate_series(1::bigint, ${rows}) id`,
  )
  await client.query('VACUUM ANALYZE')
}

export const typeormPeer = async (name: string, url: string): Promise<Peer> => {
  const dataSource = await new DataSource({ type: 'postgres', url, entities, poolSize }).initialize()
  return { name, works: typeormWorks(dataSource), close: () => dataSource.destroy() }
}
