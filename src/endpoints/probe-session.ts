import { Client, type PoolConfig } from 'pg'
import { badConnectionOptions, unavailable } from './connection-errors'
import { alignedSettings, type NodeSession, type Pooling, pinnedSettings } from './node-session'
import { internalsOf } from './pg-internals'

/** A pooler in session mode lets a connection wait that it has no server for: after this, in milliseconds, it is not asked on. */
const secondWaitMs = 2_000

/** How often two connections are compared before their sessions are believed to last. */
const rounds = 4

/** Bound of a question where `connectTimeoutMS` says nothing, in milliseconds. */
const questionMs = 10_000

/** A node while it is asked. */
export interface ProbedNode {
  /** That of this package's own tables. */
  readonly ownSchema: string
  readonly facts: { readonly searchSchema: string }
  query(text: string): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>
}

export interface Probe {
  /** Settings to be told besides those that are pinned or aligned. */
  readonly names: readonly string[]
  /** What else is asked on the connection. */
  readonly look?: ((node: Omit<ProbedNode, 'ownSchema'>) => Promise<void>) | undefined
}

/**
 * Asks a node what its sessions are like, on a connection that is closed again; where that is a pooler's, on a second one too.
 *
 * @throws ShardedError OPTIONS_INVALID, SHARD_UNAVAILABLE
 */
export async function probeSession(node: string, pool: PoolConfig, { names, look }: Probe): Promise<NodeSession> {
  const config = { ...pool, query_timeout: pool.connectionTimeoutMillis ?? questionMs }
  const client = quiet(node, config)
  try {
    await client.connect()
    const { rows } = await client.query(question, [[...pinnedSettings, ...alignedSettings, ...names]])
    const [{ pid, encoding, settings, schema, database }] = rows
    await look?.({ facts: { searchSchema: schema ?? 'public' }, query: (text) => client.query(text) })
    const pooling = internalsOf(client).processID === pid ? 'none' : await poolingOf(client, () => quiet(node, config))
    return Object.freeze({
      node,
      encoding,
      settings: new Map(Object.entries<string>(settings)),
      pooling,
      database,
    })
  } catch (error) {
    throw unavailable({ node, shard: undefined }, error)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Without a listener, the error of a connection between two statements would end the process. */
function quiet(node: string, config: PoolConfig): Client {
  const client = clientOf(node, config)
  client.on('error', () => undefined)
  return client
}

function clientOf(node: string, config: PoolConfig): Client {
  try {
    return new Client(config)
  } catch (error) {
    throw badConnectionOptions(node, error)
  }
}

const question = `SELECT pg_backend_pid() AS pid, pg_encoding_to_char(encoding) AS encoding, current_schema() AS schema,
    extract(epoch FROM pg_postmaster_start_time()) || ' ' || oid AS database,
    (SELECT json_object_agg(lower(name), setting) FROM pg_settings WHERE lower(name) = ANY($1)) AS settings
  FROM pg_database WHERE datname = current_database()`

/** Two connections that were seen to have one server process, or one that had two, share them: by transaction. */
async function poolingOf(first: Client, open: () => Client): Promise<Pooling> {
  const second = open()
  try {
    await withinMs(second.connect())
    for (let round = 0; round < rounds; round++) {
      const before = await backendOf(first)
      await withinMs(second.query('BEGIN'))
      const other = await withinMs(backendOf(second))
      if (other === before) return 'transaction'
      const after = await backendOf(first)
      await second.query('COMMIT')
      if (after !== before) return 'transaction'
    }
    return 'session'
  } catch (error) {
    // It gives no second connection a server while the first has one. A pooler of statements takes no BEGIN.
    return error instanceof TooLong ? 'session' : 'transaction'
  } finally {
    // Not waited for: one that waits for a server hears nothing.
    void second.end().catch(() => undefined)
  }
}

const backendOf = async (client: Client): Promise<number> =>
  (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

class TooLong extends Error {}

function withinMs<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TooLong()), secondWaitMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
