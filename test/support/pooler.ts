import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { freePort } from './free-port'
import { serverAccount } from './server-account'

const startDeadlineMs = 10_000

export interface PoolerOptions {
  readonly mode: 'session' | 'transaction'
  /** URLs of the databases behind it. */
  readonly urls: readonly string[]
  /** Server connections of each database. */
  readonly poolSize?: number
}

/** A pgbouncer of its own. */
export interface Pooler {
  /** For each database, its URL through the pooler. */
  readonly urls: readonly string[]
  stop(): Promise<void>
}

/** Where Debian and others put it. */
const program = [
  '/usr/sbin/pgbouncer',
  '/usr/bin/pgbouncer',
  '/usr/local/bin/pgbouncer',
  '/opt/homebrew/bin/pgbouncer',
].find((path) => existsSync(path))

/**
 * False where this machine has no pgbouncer: tests of poolers are left out there, and say so. Where `CI` is set it must be
 * there: `.ci/run` installs it.
 */
export const hasPooler = (): boolean => {
  if (program === undefined && process.env['CI']) throw new Error('pgbouncer is missing: .ci/run installs it.')
  if (program === undefined) console.info('pgbouncer is not installed: the tests of poolers are left out.')
  return program !== undefined
}

/** Starts a pooler, which refuses to run as root and is run as the user of the servers. */
export const startPooler = async ({ mode, urls, poolSize = 5 }: PoolerOptions): Promise<Pooler> => {
  if (program === undefined) throw new Error('pgbouncer is not installed.')
  const [port, account] = await Promise.all([freePort(), serverAccount()])
  const folder = await mkdtemp(join(tmpdir(), 'pgbouncer-'))
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(file, configuration({ mode, urls, poolSize }, port))
  await chmod(folder, 0o755)
  if (account.uid !== undefined && account.gid !== undefined) {
    for (const path of [folder, file]) await chown(path, account.uid, account.gid)
  }
  const child = spawn(program, [file], { ...account, cwd: folder, stdio: 'ignore' })
  const own = urls.map((url) => {
    const through = new URL(url)
    through.host = `127.0.0.1:${port}`
    return through.href
  })
  const stop = async (): Promise<void> => {
    await end(child)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await waitFor(own[0] ?? '', child)
    return { urls: own, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Its log goes nowhere; it takes any user, and logs in to the servers as theirs. */
const configuration = ({ mode, urls, poolSize }: Required<PoolerOptions>, port: number): string => {
  const databases = urls.map((text) => {
    const { hostname, port: server, pathname, username, password } = new URL(text)
    return `${pathname.slice(1)} = host=${hostname} port=${server || 5432} dbname=${pathname.slice(1)} user=${username} password=${password}`
  })
  return [
    '[databases]',
    ...databases,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    `pool_mode = ${mode}`,
    `default_pool_size = ${poolSize}`,
    'max_client_conn = 200',
    '',
  ].join('\n')
}

const waitFor = async (url: string, child: ChildProcess): Promise<void> => {
  const deadline = Date.now() + startDeadlineMs
  for (;;) {
    const client = new Client({ connectionString: url })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 30))
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
