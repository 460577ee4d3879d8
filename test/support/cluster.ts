import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, chown, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { freePort } from './free-port'
import { type ServerAccount, serverAccount } from './server-account'
import { type ServerBinaries, serverBinaries } from './server-binaries'

const user = 'postgres'
const password = 'postgres'
const startDeadlineMs = 30_000

/** The same order of text on every machine: by code point, which is also what `Buffer.compare` gives. */
const deterministicLocale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']

/**
 * Nothing is saved from a power cut, everything from a killed server: fsync is off, but synchronous_commit stays on.
 * Without it a commit may still be in the memory that `kill()` throws away.
 */
const defaultSettings: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  // Its workers go through all databases of a run, of which there are hundreds, and find nothing that lasts.
  autovacuum: 'off',
  shared_buffers: '64MB',
  max_connections: '200',
  max_prepared_transactions: '50',
  wal_level: 'logical',
  // Files that move shards run beside each other, and each switched move is followed by a worker.
  max_worker_processes: '40',
  max_logical_replication_workers: '32',
  max_replication_slots: '40',
  max_wal_senders: '40',
  listen_addresses: '127.0.0.1',
  log_min_messages: 'fatal',
}

export interface ClusterOptions {
  /** A word for folder names and messages. */
  readonly name: string
  /** Server settings, over the defaults. */
  readonly settings?: Readonly<Record<string, string>>
  /** Encrypts connections that ask for it, under the certificate of `self-signed`, which is for the name `localhost`. */
  readonly tls?: boolean
  /** Asks clients for no password: to prove one takes a client three times as long as all else of a connection. */
  readonly trusts?: boolean
  /** Flags of `initdb` for the locale; by default the builtin provider with C.UTF-8. */
  readonly initdbFlags?: readonly string[]
}

/** A PostgreSQL server of its own, with its data in a temporary folder. */
export interface Cluster {
  readonly name: string
  readonly port: number
  /** Where its unix socket is. */
  readonly socketFolder: string
  /** The URL of a database of the cluster, as superuser; by default of `postgres`. */
  url(database?: string): string
  createDatabase(database: string): Promise<void>
  /** Crashes the server: SIGKILL to all its processes at one moment, no checkpoint, no goodbye. The data stay. */
  kill(): Promise<void>
  /** Brings a server that was killed, or still runs, back on the same port and data. */
  restart(): Promise<void>
  /** Keeps the data as they are now, as a backup of a server that crashed. The returned function puts them back, and starts the server with them. */
  save(): Promise<() => Promise<void>>
  /** Lets the server fall silent: none of its processes does anything, and no connection is closed. Until the returned function is called. */
  freeze(): Promise<() => void>
  /** Ends the server and removes its folder. */
  stop(): Promise<void>
}

/**
 * Starts a real PostgreSQL server. It ends with `stop()`, and also when this process ends in any way.
 *
 * @example
 * const cluster = await startCluster({ name: 'a' })
 * await cluster.createDatabase('shop')
 * const client = new Client({ connectionString: cluster.url('shop') })
 */
export const startCluster = async (options: ClusterOptions): Promise<Cluster> => {
  const [binaries, account, port] = await Promise.all([serverBinaries(), serverAccount(), freePort()])
  const folder = await mkdtemp(join(tmpdir(), `pg-${options.name}-`))
  const guard = startGuard(folder)
  const server = new EmbeddedCluster({ options, binaries, account, folder, port, guard })
  try {
    await server.initialise()
    await server.start()
    return server
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** With the owners of its files, who are the server's. */
const copyFolder = async (from: string, to: string): Promise<void> => {
  await promisify(execFile)('cp', ['-a', from, to])
}

const startGuard = (folder: string): ChildProcess => {
  const guard = spawn(process.execPath, [join(__dirname, 'cluster-guard.cjs'), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  letProcessEnd(guard)
  return guard
}

/** A program that forgets `stop()` ends all the same, and its guard cleans up. */
const letProcessEnd = (child: ChildProcess): void => {
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr]) if (stream instanceof Socket) stream.unref()
}

interface ClusterParts {
  readonly options: ClusterOptions
  readonly binaries: ServerBinaries
  readonly account: ServerAccount
  readonly folder: string
  readonly port: number
  readonly guard: ChildProcess
}

class EmbeddedCluster implements Cluster {
  readonly name: string
  readonly port: number
  readonly #parts: ClusterParts
  readonly #data: string
  #server: ChildProcess | undefined
  #log = ''

  constructor(parts: ClusterParts) {
    this.#parts = parts
    this.name = parts.options.name
    this.port = parts.port
    this.#data = join(parts.folder, 'data')
  }

  get socketFolder(): string {
    return this.#parts.folder
  }

  url(database = 'postgres'): string {
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/${database}`
  }

  async createDatabase(database: string): Promise<void> {
    const client = new Client({ connectionString: this.url() })
    await client.connect()
    try {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`)
    } finally {
      await client.end()
    }
  }

  async save(): Promise<() => Promise<void>> {
    const saved = `${this.#data}-${randomUUID()}`
    await this.kill()
    await copyFolder(this.#data, saved)
    await this.restart()
    return async () => {
      await this.kill()
      await rm(this.#data, { recursive: true })
      await copyFolder(saved, this.#data)
      await this.restart()
    }
  }

  async kill(): Promise<void> {
    // Processes outlive their postmaster for a moment. One that dies lets go of its locks, so another would still answer:
    // all are frozen before the first dies.
    const pids = await this.#stopAll()
    for (const pid of pids) signal(pid, 'SIGKILL')
    await this.#end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.#end('SIGINT')
    await this.start()
  }

  async freeze(): Promise<() => void> {
    const pids = await this.#stopAll()
    return () => {
      for (const pid of pids) signal(pid, 'SIGCONT')
    }
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT')
    await rm(this.#parts.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
    this.#parts.guard.stdin?.end()
  }

  async initialise(): Promise<void> {
    const { folder, account, binaries, options } = this.#parts
    await mkdir(this.#data, { mode: 0o700 })
    const passwordFile = join(folder, 'password')
    await writeFile(passwordFile, `${password}\n`)
    await chmod(folder, 0o755)
    if (account.uid !== undefined && account.gid !== undefined) {
      // The server keeps its sockets beside its data: the whole folder is its own.
      for (const path of [folder, this.#data, passwordFile]) await chown(path, account.uid, account.gid)
    }
    const auth = options.trusts ? 'trust' : 'scram-sha-256'
    const flags = ['-D', this.#data, '-U', user, '--pwfile', passwordFile, `--auth=${auth}`, '--encoding=UTF8']
    const locale = options.initdbFlags ?? deterministicLocale
    const initdb = this.#spawn(binaries.initdb, [...flags, '--no-sync', ...locale])
    const [code] = await once(initdb, 'close')
    if (code !== 0) throw new Error(`initdb of cluster ${this.name} failed:\n${this.#log}`)
    if (options.tls) await this.#putCertificate()
  }

  /** A server takes no key that others may read. */
  async #putCertificate(): Promise<void> {
    const { uid, gid } = this.#parts.account
    for (const name of ['server.crt', 'server.key']) {
      const file = join(this.#data, name)
      await copyFile(join(__dirname, 'self-signed', name), file)
      await chmod(file, 0o600)
      if (uid !== undefined && gid !== undefined) await chown(file, uid, gid)
    }
  }

  /** Starts the server; after a crash the old backends need a moment to let go of the shared memory. */
  async start(): Promise<void> {
    const deadline = Date.now() + startDeadlineMs
    for (;;) {
      const server = this.#spawnServer()
      this.#server = server
      if (await this.#isReady(deadline)) return letProcessEnd(server)
      if (Date.now() >= deadline) throw new Error(`Cluster ${this.name} did not start:\n${this.#log}`)
      await this.#end('SIGKILL')
      await sleep(50)
    }
  }

  #spawnServer(): ChildProcess {
    const settings = {
      ...defaultSettings,
      unix_socket_directories: this.#parts.folder,
      ...(this.#parts.options.tls && { ssl: 'on' }),
      ...this.#parts.options.settings,
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    return this.#spawn(this.#parts.binaries.postgres, ['-D', this.#data, '-p', String(this.port), ...flags])
  }

  /** True when the server takes connections, false when it ended instead. */
  async #isReady(deadline: number): Promise<boolean> {
    while (Date.now() < deadline && !hasEnded(this.#server)) {
      const client = new Client({ connectionString: this.url() })
      client.on('error', () => undefined)
      try {
        await client.connect()
        return true
      } catch {
        await sleep(20)
      } finally {
        await client.end().catch(() => undefined)
      }
    }
    return false
  }

  /**
   * Stops the server and all its processes, and names them. Those that no client waits for count too: one that is left
   * waiting for a lock of a dead one keeps the shared memory in use for ever, and no server starts on these data again.
   */
  async #stopAll(): Promise<readonly number[]> {
    const server = this.#server?.pid
    if (server === undefined || hasEnded(this.#server)) return []
    const client = new Client({ connectionString: this.url() })
    client.on('error', () => undefined)
    await client.connect()
    try {
      // Stopped before it is asked for its processes, it starts no more of them.
      signal(server, 'SIGSTOP')
      const { rows } = await client.query<{ pid: number; isOwn: boolean }>(
        'SELECT pid, pid = pg_backend_pid() AS "isOwn" FROM pg_stat_activity',
      )
      for (const { pid, isOwn } of rows) if (!isOwn) signal(pid, 'SIGSTOP')
      return [server, ...rows.map(({ pid }) => pid)]
    } finally {
      // Not waited for: to end, its process may need a lock that one of the stopped ones holds.
      client.end().catch(() => undefined)
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined || hasEnded(server)) return
    server.ref()
    const ended = once(server, 'exit')
    server.kill(signal)
    await ended
  }

  #spawn(file: string, args: readonly string[]): ChildProcess {
    this.#log = ''
    const child = spawn(file, args, {
      ...this.#parts.account,
      cwd: this.#parts.folder,
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C is for this process; it, or the guard, ends the server.
      detached: true,
    })
    const keep = (chunk: Buffer): void => {
      this.#log = `${this.#log}${chunk}`.slice(-4000)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    child.once('error', (error) => keep(Buffer.from(error.message)))
    return child
  }
}

const hasEnded = (child: ChildProcess | undefined): boolean =>
  child === undefined || child.exitCode !== null || child.signalCode !== null

/** Signals a process that may have ended. */
const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
