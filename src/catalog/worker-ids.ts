import { randomUUID } from 'node:crypto'
import { sqlState, undefinedTable } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import { IdGenerator, type TickGrant } from '../ids/id-generator'
import { type IdLayout, idEpochSeconds, idLayouts, lastTick, tickOf } from '../ids/id-layout'
import { type IdMaker, slotsInTurn } from '../ids/id-maker'
import type { Row } from '../merging/row'
import { asUnavailable, createOnce, type HomeNode, ownTable } from './own-table'

/** A holder that is not heard of for so long has lost its number. Renewed four times in that time. */
const termSeconds = 60
const renewEveryMs = 15_000

/** Seconds that are reserved ahead of what is needed now. */
const aheadSeconds = 60

/** How far ahead of the home node's clock ids may run: bursts on one slot, and this machine's clock. */
const maxAheadSeconds = 24 * 60 * 60

/** The parameters: kind, holder, ticks a second, the tick that is wanted. Its own clock says what is now, and nobody else's. */
const tickAt = (time: string): string => `floor((extract(epoch FROM ${time}) - ${idEpochSeconds}) * $3::int)::bigint`
const now = tickAt('clock_timestamp()')
const until = (reserved: string): string =>
  `greatest(${reserved}, least($4::bigint, ${now} + ${maxAheadSeconds} * $3::int))`
const expires = `clock_timestamp() + interval '${termSeconds} seconds'`

/** Statements about the table of worker numbers. All that may be granted is written down first, and a number's next holder starts after it. */
const statementsOn = (table: string) => ({
  create: `
  CREATE TABLE IF NOT EXISTS ${table} (
    kind text NOT NULL,
    worker int NOT NULL,
    holder uuid,
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    reserved_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, worker)
  )`,
  fill: `
  INSERT INTO ${table} (kind, worker) SELECT $1::text, number FROM generate_series(0, $2::int - 1) AS number
  ON CONFLICT DO NOTHING`,
  /** SKIP LOCKED: who leases at the same time takes another number. The one whose ticks were used least comes first. */
  acquire: `
  WITH free AS (
    SELECT kind, worker, greatest(reserved_until, ${now}) AS used_until FROM ${table}
    WHERE kind = $1::text AND expires_at < clock_timestamp()
    ORDER BY reserved_until, worker LIMIT 1 FOR UPDATE SKIP LOCKED
  )
  UPDATE ${table} AS w SET holder = $2::uuid, expires_at = ${expires}, reserved_until = ${until('used_until')}
  FROM free WHERE w.kind = free.kind AND w.worker = free.worker
  RETURNING w.worker, used_until AS after, w.reserved_until AS until`,
  extend: `
  UPDATE ${table} SET expires_at = ${expires}, reserved_until = ${until('reserved_until')}
  WHERE kind = $1::text AND holder = $2::uuid AND worker = $5::int
  RETURNING worker, reserved_until AS until`,
  giveBack: `
  UPDATE ${table} SET holder = NULL, expires_at = '-infinity' WHERE kind = $1::text AND holder = $2::uuid`,
})

/**
 * A worker number, leased from the home node. The lease says who has the number; that no id is ever made twice rests on the
 * ticks alone: they are granted in a row that only its holder can change, each once, and are written down before they are
 * used. A process that was stopped, whose clock steps back or that starts again has what it was granted, and nothing else.
 */
class WorkerLease {
  private readonly holder = randomUUID()
  private held: TickGrant | undefined
  private readonly statements: ReturnType<typeof statementsOn>

  constructor(
    private readonly home: HomeNode,
    private readonly layout: IdLayout,
  ) {
    this.statements = statementsOn(ownTable(home, 'workers'))
  }

  /** Makes the table where it is missing. */
  async open(): Promise<void> {
    await createOnce(this.home, 'workers', this.statements.create)
  }

  /**
   * What may be used, up to the tick and beyond; of another number where this one was lost.
   *
   * @throws ShardedError ID_WORKERS_TAKEN, ID_TOO_FAR_AHEAD, SHARD_UNAVAILABLE
   */
  async grant(tick: number): Promise<TickGrant> {
    const { held } = this
    const extended = held && (await this.extend(held, tick))
    const grant = extended ?? (await this.acquire(tick)) ?? (await this.acquireOfAll(tick))
    if (!grant) {
      const { kind, workerBits } = this.layout
      throw new ShardedError('ID_WORKERS_TAKEN', `All ${2 ** workerBits} worker numbers of ${kind} ids are taken.`, {
        details: { kind },
      })
    }
    this.held = grant
    if (grant.until >= tick) return grant
    const { kind, ticksPerSecond } = this.layout
    const ahead = Math.ceil((tick - grant.until) / ticksPerSecond) + maxAheadSeconds
    throw new ShardedError(
      'ID_TOO_FAR_AHEAD',
      `An id of ${kind} would be ${ahead} seconds ahead of the home node ${this.home.name}.`,
      { details: { kind, node: this.home.name, seconds: ahead } },
    )
  }

  /** Gives the number back. */
  async close(): Promise<void> {
    if (!this.held) return
    this.held = undefined
    await this.home.query(this.statements.giveBack, [this.layout.kind, this.holder])
  }

  private async extend(held: TickGrant, tick: number): Promise<TickGrant | undefined> {
    const row = await this.ask(this.statements.extend, tick, [held.worker])
    return row && Object.freeze({ ...held, until: Number(row['until']) })
  }

  private async acquire(tick: number): Promise<TickGrant | undefined> {
    const row = await this.ask(this.statements.acquire, tick)
    if (!row) return undefined
    return Object.freeze({ worker: Number(row['worker']), after: Number(row['after']), until: Number(row['until']) })
  }

  private async acquireOfAll(tick: number): Promise<TickGrant | undefined> {
    await this.open()
    await this.home.query(this.statements.fill, [this.layout.kind, 2 ** this.layout.workerBits])
    return this.acquire(tick)
  }

  private async ask(text: string, tick: number, more: readonly unknown[] = []): Promise<Row | undefined> {
    const { kind, ticksPerSecond } = this.layout
    const wanted = Math.min(tick + aheadSeconds * ticksPerSecond, lastTick(idLayouts[kind]))
    try {
      const { rows } = await this.home.query(text, [kind, this.holder, ticksPerSecond, wanted, ...more])
      const [row]: readonly Row[] = rows
      return row
    } catch (error) {
      // Somebody dropped the table: all numbers are free again, and their ticks start at the home node's clock.
      if (sqlState(error) === undefinedTable) return undefined
      throw asUnavailable(error, this.home.name)
    }
  }
}

/** Makes ids of a layout under a leased worker number, which is kept until the end from the first id on. */
export class WorkerIds implements IdMaker {
  private readonly generator: IdGenerator
  private readonly lease: WorkerLease
  private readonly anySlot = slotsInTurn()
  private pending: Promise<void> | undefined
  private timer: NodeJS.Timeout | undefined

  constructor(
    home: HomeNode,
    layout: IdLayout,
    private readonly now: () => number = Date.now,
  ) {
    this.generator = new IdGenerator(layout)
    this.lease = new WorkerLease(home, layout)
  }

  /** Makes sure that there is a table of worker numbers. */
  open(): Promise<void> {
    return this.lease.open()
  }

  take(slot: number | undefined): string | undefined {
    return this.generator.take(slot ?? this.anySlot(), this.now())
  }

  /** @throws ShardedError ID_WORKERS_TAKEN, ID_TOO_FAR_AHEAD, SHARD_UNAVAILABLE */
  refill(slot: number | undefined): Promise<void> {
    return this.reserve(this.generator.tickFor(slot ?? this.anySlot(), this.now()))
  }

  /** Gives the worker number back. */
  async close(): Promise<void> {
    // A reservation that is on its way starts the timer when it comes.
    await this.pending?.catch(() => undefined)
    clearInterval(this.timer)
    await this.lease.close()
  }

  /** One at a time: who waited for another looks again whether that was enough. */
  private reserve(tick: number): Promise<void> {
    if (this.pending) return this.pending.catch(() => undefined)
    this.pending = this.lease
      .grant(tick)
      .then((grant) => {
        this.generator.use(grant)
        this.timer ??= setInterval(() => this.renew(), renewEveryMs).unref()
      })
      .finally(() => {
        this.pending = undefined
      })
    return this.pending
  }

  /** Keeps the number, and a reservation ahead of the clock. Where the home node is away, the next `refill` will tell. */
  private renew(): void {
    void this.reserve(tickOf(this.generator.layout, this.now())).catch(() => undefined)
  }
}
