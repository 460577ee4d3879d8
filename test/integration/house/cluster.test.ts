import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Cluster, startCluster } from '../../support/cluster'

const query = async (url: string, sql: string): Promise<unknown[]> => {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const folderOf = async (cluster: Cluster): Promise<string> => {
  const [row] = await query(cluster.url(), 'SHOW unix_socket_directories')
  return (row as { unix_socket_directories: string }).unix_socket_directories
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('close', () => socket.destroy())
    socket.once('connect', () => socket.end())
  })

describe('a cluster', () => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await startCluster({ name: 'harness', settings: { work_mem: '3MB' } })
  })
  afterAll(() => cluster.stop())

  it('is a PostgreSQL 18 with the default order of text, prepared transactions and the settings asked for', async () => {
    const rows = await query(
      cluster.url(),
      `SELECT current_setting('server_version_num')::int / 10000 AS version, datlocprovider AS provider,
        datlocale AS locale, current_setting('max_prepared_transactions') AS prepared,
        current_setting('work_mem') AS work_mem FROM pg_database WHERE datname = 'postgres'`,
    )
    expect(rows).toEqual([{ version: 18, provider: 'b', locale: 'C.UTF-8', prepared: '50', work_mem: '3MB' }])
  })

  it('keeps what was committed, and only that, through a crash', async () => {
    await cluster.createDatabase('crash')
    await query(cluster.url('crash'), 'CREATE TABLE kept (id int)')
    const open = new Client({ connectionString: cluster.url('crash') })
    open.on('error', () => undefined)
    await open.connect()
    await open.query('BEGIN')
    await open.query('INSERT INTO kept VALUES (2)')
    await query(cluster.url('crash'), 'INSERT INTO kept VALUES (1)')

    await cluster.kill()
    await expect(query(cluster.url('crash'), 'SELECT 1')).rejects.toThrow()

    await cluster.restart()
    expect(await query(cluster.url('crash'), 'SELECT id FROM kept')).toEqual([{ id: 1 }])
  })

  it('takes other flags of initdb', async () => {
    const german = await startCluster({
      name: 'icu',
      initdbFlags: ['--locale-provider=icu', '--icu-locale=de', '--locale=C'],
    })
    try {
      const rows = await query(german.url(), "SELECT datlocale FROM pg_database WHERE datname = 'template0'")
      expect(rows).toEqual([{ datlocale: 'de' }])
    } finally {
      await german.stop()
    }
  })

  it('leaves no server and no folder after stop', async () => {
    const short = await startCluster({ name: 'short' })
    const folder = await folderOf(short)
    await short.stop()
    expect({ listens: await listens(short.port), folder: existsSync(folder) }).toEqual({
      listens: false,
      folder: false,
    })
  })
})

describe('a cluster whose process ends without stopping it', () => {
  const started = async (): Promise<{ child: ChildProcess; port: number; folder: string }> => {
    const child = fork(join(__dirname, '..', '..', 'support', 'cluster-owner.ts'), {
      execArgv: ['-r', '@swc-node/register'],
    })
    const [{ port, folder }] = await once(child, 'message')
    return { child, port, folder }
  }

  const isGone = async (port: number, folder: string): Promise<void> => {
    await expect.poll(() => listens(port), { timeout: 10_000 }).toBe(false)
    await expect.poll(() => existsSync(folder), { timeout: 10_000 }).toBe(false)
  }

  it('does not keep it from ending, and is gone then', async () => {
    const { child, port, folder } = await started()
    child.send('end')
    expect(await once(child, 'exit')).toEqual([0, null])
    await isGone(port, folder)
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('is gone after %s', async (signal) => {
    const { child, port, folder } = await started()
    expect(await listens(port)).toBe(true)
    child.kill(signal)
    await once(child, 'exit')
    await isGone(port, folder)
  })
})
