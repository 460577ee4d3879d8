import { randomBytes } from 'node:crypto'
import { Client, DatabaseError } from 'pg'

/** Databases of one test, empty at first. */
export interface FreshDatabases {
  /** URL of node i; node i lives on server i modulo the number of servers. */
  readonly nodes: readonly string[]
  /** URL of one more database, on the first server: it holds all rows, as plain TypeORM would. */
  readonly oracle: string
  /** Drops all of them, with the connections that are still open. */
  drop(): Promise<void>
}

interface Place {
  readonly admin: string
  readonly database: string
}

/** Makes `count` databases with new names, spread over the servers of the admin URLs, and an oracle. */
export const freshDatabases = async (admins: readonly string[], count: number): Promise<FreshDatabases> => {
  const prefix = `t_${randomBytes(6).toString('hex')}`
  const place = (index: number, suffix: string): Place => {
    const admin = admins[index % admins.length]
    if (admin === undefined) throw new Error('There is no server to make databases on.')
    return { admin, database: `${prefix}_${suffix}` }
  }
  const nodes = Array.from({ length: count }, (_, index) => place(index, `n${index}`))
  const oracle = place(0, 'oracle')
  const places = [...nodes, oracle]
  const drop = async (): Promise<void> => {
    const dropAll = () => onServers(places, ({ database }) => `DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`)
    try {
      await dropAll()
    } catch (error) {
      if (!isInUse(error)) throw error
      for (const place of places) await dropReplication(place)
      await dropAll()
    }
  }
  try {
    // By files and not by WAL, which writes the template twice: half the time where nothing is synced to a disk.
    await onServers(places, ({ database }) => `CREATE DATABASE "${database}" STRATEGY file_copy`)
  } catch (error) {
    await drop().catch(() => undefined)
    throw error
  }
  return Object.freeze({ nodes: Object.freeze(nodes.map(urlOf)), oracle: urlOf(oracle), drop })
}

const urlOf = ({ admin, database }: Place): string => {
  const url = new URL(admin)
  url.pathname = `/${database}`
  return url.href
}

/** One connection a server, its statements one after the other: CREATE DATABASE copies a template that must be idle. */
const onServers = async (places: readonly Place[], statement: (place: Place) => string): Promise<void> => {
  const admins = [...new Set(places.map(({ admin }) => admin))]
  await Promise.all(
    admins.map(async (admin) => {
      const client = new Client({ connectionString: admin })
      await client.connect()
      try {
        for (const place of places) if (place.admin === admin) await client.query(statement(place))
      } finally {
        await client.end()
      }
    }),
  )
}

/** A database is not dropped while something replicates it: a shard of it moves, or was moved and follows. */
const isInUse = (error: unknown): boolean => error instanceof DatabaseError && error.code === '55006'

const dropReplication = async (place: Place): Promise<void> => {
  const client = new Client({ connectionString: urlOf(place) })
  try {
    await client.connect()
    const own = '(SELECT oid FROM pg_database WHERE datname = current_database())'
    const { rows } = await client.query(
      `SELECT quote_ident(subname) AS name FROM pg_subscription WHERE subdbid = ${own}`,
    )
    for (const { name } of rows) {
      await client.query(`ALTER SUBSCRIPTION ${name} DISABLE`)
      await client.query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`)
      await client.query(`DROP SUBSCRIPTION ${name}`)
    }
    const slots = 'FROM pg_replication_slots WHERE database = current_database()'
    await client.query(`SELECT pg_terminate_backend(active_pid, 5000) ${slots} AND active`)
    await client.query(`SELECT pg_drop_replication_slot(slot_name) ${slots}`)
  } catch (error) {
    // It was dropped before.
    if (!(error instanceof DatabaseError && error.code === '3D000')) throw error
  } finally {
    await client.end()
  }
}
