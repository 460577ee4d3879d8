import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { Raw } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type NodeOptions, ShardedDataSource } from '../../src/index'
import { type Cluster, startCluster } from '../support/cluster'
import { type Pipe, startPipe } from '../support/pipe'
import { errorOf, Item, Setting, until } from './two-nodes'

const certificate = readFileSync(join(__dirname, '../support/self-signed/server.crt'), 'utf8')

/** What a connection begins with: the code of its first message, or the first byte of a TLS handshake. */
const openings: Readonly<Record<number, string>> = { 80877102: 'cancel', 80877103: 'ask for TLS', 196608: 'log in' }
const openingOf = (bytes: Buffer): string =>
  bytes[0] === 0x16 ? 'TLS' : (openings[bytes.length < 8 ? 0 : bytes.readUInt32BE(4)] ?? bytes.toString('hex'))

const sleeping = { value: Raw((column) => `CASE id WHEN 2 THEN length(pg_sleep(600)::text) ELSE ${column} END >= 0`) }

describe('a running statement is cancelled on its server', () => {
  let cluster: Cluster
  let watcher: Client
  let pipe: Pipe
  /** How connections began. */
  const begun: string[] = []

  beforeAll(async () => {
    cluster = await startCluster({ name: 'tls', tls: true })
    watcher = new Client({ connectionString: cluster.url() })
    await watcher.connect()
    pipe = await startPipe(cluster.port, (bytes) => begun.push(openingOf(bytes)))
  })
  beforeEach(() => {
    begun.length = 0
  })
  afterAll(async () => {
    pipe.close()
    await watcher.end()
    await cluster.stop()
  })

  const sessions = async (): Promise<readonly { pid: number; waits: string | null; ssl: boolean; address: string }[]> =>
    (
      await watcher.query(
        `SELECT pid, wait_event AS waits, ssl, client_addr AS address FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
         WHERE application_name = 'transport'`,
      )
    ).rows
  const isSleeping = async () => (await sessions()).some(({ waits }) => waits === 'PgSleep')
  const port = () => pipe.port
  const login = { username: 'postgres', password: 'postgres', database: 'postgres' }

  it.each<readonly [string, () => NodeOptions, object, { ssl: boolean; heard: readonly string[] }]>([
    [
      'over a unix socket',
      () => ({ ...login, host: cluster.socketFolder, port: cluster.port }),
      {},
      { ssl: false, heard: [] },
    ],
    [
      'without TLS',
      () => ({ ...login, host: 'localhost', port: port() }),
      {},
      { ssl: false, heard: ['log in', 'cancel'] },
    ],
    [
      'over TLS, its certificate checked by name',
      () => ({ ...login, host: 'localhost', port: port(), ssl: { ca: certificate } }),
      {},
      { ssl: true, heard: ['ask for TLS', 'ask for TLS'] },
    ],
    [
      'over TLS, its certificate unchecked',
      () => ({ ...login, host: '127.0.0.1', port: port(), ssl: { rejectUnauthorized: false } }),
      {},
      { ssl: true, heard: ['ask for TLS', 'ask for TLS'] },
    ],
    [
      'over TLS from the first byte',
      () => ({ ...login, host: 'localhost', port: port(), ssl: { ca: certificate } }),
      { sslnegotiation: 'direct' },
      { ssl: true, heard: ['TLS', 'TLS'] },
    ],
  ])('%s', async (_, node, extra, { ssl, heard }) => {
    const options = {
      type: 'postgres' as const,
      entities: [Item, Setting],
      nodes: { only: node() },
      applicationName: 'transport',
      poolSize: 1,
      extra,
    }
    // Schema work has a connection of its own.
    const maker = await new ShardedDataSource({ ...options, dropSchema: true, synchronize: true }).initialize()
    await maker.destroy()
    await until(async () => (await sessions()).length === 0)
    const dataSource = await new ShardedDataSource(options).initialize()
    try {
      const items = dataSource.getRepository(Item)
      await items.insert([{ id: 2 }, { id: 3 }])
      await until(async () => (await sessions()).length === 1)
      const [before] = await sessions()
      begun.length = heard.length > 0 ? 1 : 0
      for (const own of [items, items.onShard('item_left')]) {
        const controller = new AbortController()
        const error = errorOf(own.withLimits({ signal: controller.signal }).find({ where: sleeping }))
        await until(isSleeping)
        controller.abort('gone')
        expect(await error).toBe('gone')
        expect(await isSleeping()).toBe(false)
      }
      // The connection was not closed for it.
      expect(await items.count()).toBe(2)
      // A server answers a moment before it says that it waits for the next statement.
      await expect.poll(sessions).toEqual([{ ...before, waits: 'ClientRead', ssl }])
      expect(begun).toEqual(heard.length > 0 ? [...heard, ...heard.slice(1)] : [])
    } finally {
      await dataSource.destroy()
    }
  })
})
