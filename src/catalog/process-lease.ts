import { randomUUID } from 'node:crypto'
import { refusesCreation, sqlState, undefinedTable } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { type CatalogNode, readEpoch } from './node-catalog'
import { author } from './noted-change'
import { createOnce, ownTable } from './own-table'

/** A lease that is not renewed for so long has ended, in milliseconds, by the server's clock. */
export const leaseMs = 30_000

/** It is renewed so often. A node that is silent is noticed in as long again, and another one asked. */
const renewEveryMs = 10_000

/** By the process's own clock a lease ends earlier: it has stopped when others take it for gone. */
const fenceMs = 25_000

/** Rows of processes that ended without a word stay for so long. */
const forgetMs = 3_600_000

/** A process that serves sharded entities, and the map that it obeys. */
export interface ServingProcess {
  readonly id: string
  /** A user and a machine. */
  readonly author: string
  readonly pid: number
  /** The epoch by which its operations begin. */
  readonly epoch: number
  readonly startedAt: Date
  readonly expiresAt: Date
}

const create = (table: string): string =>
  `CREATE TABLE IF NOT EXISTS ${table} (
     id uuid PRIMARY KEY, author text NOT NULL, pid int NOT NULL, epoch bigint NOT NULL,
     started_at timestamptz NOT NULL DEFAULT clock_timestamp(), expires_at timestamptz NOT NULL)`

/** Renews the lease and asks for the last change of the map: one statement. The rows of processes that ended without a word go after a while. */
const renewText = (node: CatalogNode): string => {
  const table = ownTable(node, 'processes')
  const after = (milliseconds: number): string => `clock_timestamp() + ${milliseconds} * interval '1 millisecond'`
  return `WITH renewed AS (
       INSERT INTO ${table} (id, author, pid, epoch, expires_at) VALUES ($1::uuid, $2, $3::int, $4::bigint, ${after(leaseMs)})
       ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, expires_at = ${after(leaseMs)}),
     gone AS (DELETE FROM ${table} WHERE id <> $1::uuid AND expires_at < ${after(-forgetMs)})
     SELECT coalesce(max(epoch), 0)::text AS epoch FROM ${ownTable(node, 'epochs')}`
}

/** The processes that a node knows whose leases have not ended. @throws the database's error */
export async function readProcesses(node: CatalogNode): Promise<readonly ServingProcess[]> {
  try {
    // As texts and numbers: a user may have changed how `pg` reads times.
    const { rows } = await node.query(
      `SELECT id::text, author, pid, epoch::text, (extract(epoch FROM started_at) * 1000)::float8::text AS started,
         (extract(epoch FROM expires_at) * 1000)::float8::text AS expires
       FROM ${ownTable(node, 'processes')} WHERE expires_at > clock_timestamp() ORDER BY started_at, id`,
    )
    return rows.map((row: Row) =>
      Object.freeze({
        id: String(row['id']),
        author: String(row['author']),
        pid: Number(row['pid']),
        epoch: Number(row['epoch']),
        startedAt: new Date(Number(row['started'])),
        expiresAt: new Date(Number(row['expires'])),
      }),
    )
  } catch (error) {
    if (sqlState(error) === undefinedTable) return []
    throw error
  }
}

/** Of what several nodes know of a process, the newest: it renews its lease elsewhere where the home node does not answer. */
export function newestOf(lists: readonly (readonly ServingProcess[])[]): readonly ServingProcess[] {
  const newest = new Map<string, ServingProcess>()
  for (const one of lists.flat()) {
    const known = newest.get(one.id)
    if (!known || known.expiresAt < one.expiresAt) newest.set(one.id, one)
  }
  return [...newest.values()]
}

interface LeaseParts {
  /** The epoch that the process obeys. */
  readonly epoch: () => number
  /** Refuses all operations for a reason, or none any more. */
  readonly fence: (reason: ShardedError | undefined) => void
  readonly warn: (text: string) => void
  /** Milliseconds of a clock that never goes back. Default: the process's. */
  readonly now?: () => number
}

/** The lease of one process: what it obeys, where others can read it. */
export class ProcessLease {
  private readonly id = randomUUID()
  private readonly now: () => number
  /** When the last renewal was sent that a node has taken, and the epoch that it told; undefined: none was. */
  private renewed: { readonly at: number; readonly epoch: number } | undefined
  /** The role may not write the row. */
  private isRefused = false
  private isFenced = false
  /** The nodes that have taken it. */
  private readonly holders = new Set<CatalogNode>()

  constructor(private readonly parts: LeaseParts) {
    this.now = parts.now ?? (() => performance.now())
  }

  /** Asks the home node for the last change of the map, and renews the lease where it is due. @throws the database's error */
  async ask(home: CatalogNode): Promise<number> {
    if (!this.isDue) return readEpoch(home)
    try {
      return await this.renew(home)
    } catch (error) {
      // Whoever may only read has no lease.
      if (!refusesCreation(error)) throw error
      this.isRefused = true
      this.parts.warn(`This process has no lease, and is not among topology.processes(). ${String(error)}`)
      return readEpoch(home)
    }
  }

  /** Renews the lease, where it is due, on the first node that takes it: the home node does not answer. */
  async renewElsewhere(others: readonly CatalogNode[]): Promise<void> {
    for (const node of others) {
      if (!this.isDue) return
      await this.renew(node).catch(() => undefined)
    }
  }

  /** Ends what operations do where no node has taken the lease in time. */
  check(): void {
    const { renewed } = this
    if (!renewed || this.isFenced || this.now() - renewed.at < fenceMs) return
    this.isFenced = true
    const text = `No node has taken the lease of this process for ${fenceMs} ms.`
    this.parts.fence(new ShardedError('LEASE_LOST', text, { details: {} }))
  }

  /** Gives the lease back where it can be. */
  async end(): Promise<void> {
    const nodes = [...this.holders]
    this.holders.clear()
    this.renewed = undefined
    await Promise.allSettled(
      nodes.map((node) => node.query(`DELETE FROM ${ownTable(node, 'processes')} WHERE id = $1::uuid`, [this.id])),
    )
  }

  private get isDue(): boolean {
    const { renewed } = this
    if (this.isRefused) return false
    return !renewed || renewed.epoch !== this.parts.epoch() || this.now() - renewed.at >= renewEveryMs
  }

  /** @returns the last change of the map that the node has noted */
  private async renew(node: CatalogNode): Promise<number> {
    const [at, epoch] = [this.now(), this.parts.epoch()]
    const send = () => node.query(renewText(node), [this.id, author(), process.pid, epoch])
    const { rows } = await send().catch(async (error: unknown) => {
      if (sqlState(error) !== undefinedTable) throw error
      await createOnce(node, 'processes', create(ownTable(node, 'processes')))
      return send()
    })
    this.renewed = { at, epoch }
    this.holders.add(node)
    if (this.isFenced) this.parts.fence(undefined)
    this.isFenced = false
    const [row]: readonly Row[] = rows
    return Number(row?.['epoch'])
  }
}
