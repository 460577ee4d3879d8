import { Client } from 'pg'
import { startCluster } from './cluster'

/** A program that starts a cluster, tells its parent where, and never stops it. It runs until it gets a message. */
const main = async (): Promise<void> => {
  const cluster = await startCluster({ name: 'owned' })
  const client = new Client({ connectionString: cluster.url() })
  await client.connect()
  const { rows } = await client.query('SHOW unix_socket_directories')
  await client.end()
  process.send?.({ port: cluster.port, folder: rows[0].unix_socket_directories })
  process.once('message', () => process.disconnect())
}

void main()
