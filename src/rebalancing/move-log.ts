import { createOnce, ownTable, upgradeOnce } from '../catalog/own-table'
import { sqlState, undefinedTable } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { quoted } from '../values/quoted'
import type { MoveNode } from './move-host'
import type { MoveMemory, MoveProgress, ShardMove } from './shard-move'
import { type MoveEvent, nextMoveState } from './shard-move-state'

/** Moves that are listed: those that are not over, and so many of the others. */
const maxListed = 1_000

/** States of moves that are over. */
const over = `'done', 'reverted', 'cancelled'`

/** Letters of an error that are stored. */
const maxErrorLetters = 2_000

/** Who works on a move, and for how long. */
export interface Driver {
  readonly id: string
  readonly leaseMs: number
}

/** Whether a shard is just between two nodes: it has left its former one, or is about to. */
export async function isSwitching(home: Pick<MoveNode, 'ownSchema' | 'query'>): Promise<boolean> {
  const table = ownTable(home, 'moves')
  try {
    const { rows } = await home.query(
      `SELECT count(*)::text AS moves FROM ${table} WHERE state IN ('switching', 'switching-back')`,
    )
    return rows[0]?.['moves'] !== '0'
  } catch (error) {
    // Nothing was ever moved.
    if (sqlState(error) === undefinedTable) return false
    throw error
  }
}

/** The moves of all shards, in a table of the home node. A row changes only by who drives it, and from the state that it had. */
export class MoveLog {
  private constructor(
    private readonly home: MoveNode,
    private readonly table: string,
  ) {}

  /** Creates the table where it is missing. */
  static async open(home: MoveNode): Promise<MoveLog> {
    const table = ownTable(home, 'moves')
    const openIndex = `CREATE UNIQUE INDEX IF NOT EXISTS "moves_open" ON ${table} (shard) WHERE state NOT IN (${over})`
    await createOnce(
      home,
      'moves',
      `CREATE TABLE IF NOT EXISTS ${table} (
         id text PRIMARY KEY, shard text NOT NULL, shard_group text NOT NULL, layout text NOT NULL, tables jsonb NOT NULL,
         from_database text NOT NULL, to_database text NOT NULL, state text NOT NULL, error text,
         progress jsonb NOT NULL DEFAULT '{}', memory jsonb NOT NULL DEFAULT '{}',
         started_at timestamptz NOT NULL DEFAULT clock_timestamp(), changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
         driver text, driven_until timestamptz, resharding jsonb);
       ${openIndex}`,
    )
    // An earlier version has made it without the column, and with an index that knew fewer ends.
    await upgradeOnce(home, 'moves', {
      lacks: 'resharding',
      statements: `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS resharding jsonb;
        DROP INDEX IF EXISTS ${quoted(home.ownSchema)}."sharding_move_open"; ${openIndex}`,
    })
    return new MoveLog(home, table)
  }

  /** @throws ShardedError SHARD_MOVE_REFUSED where the shard has a move that is not over */
  async insert(
    move: Pick<ShardMove, 'id' | 'shard' | 'group' | 'layout' | 'tables' | 'from' | 'to' | 'memory' | 'resharding'>,
  ): Promise<ShardMove> {
    const { id, shard, group, layout, tables, from, to, memory, resharding } = move
    // Two reshardings of one group would each store what the group's shards own.
    const found = await this.one(
      `INSERT INTO ${this.table} (id, shard, shard_group, layout, tables, from_database, to_database, state, resharding, memory)
       SELECT $1, $2, $3, $4, $5::jsonb, $6, $7, 'planned', $8::jsonb, $10::jsonb WHERE NOT EXISTS (
         SELECT FROM ${this.table} o WHERE o.shard_group = $3 AND o.state NOT IN (${over}) AND (
           o.shard = ANY ($9::text[]) OR o.state <> 'switched' AND (o.resharding IS NOT NULL AND $8::jsonb IS NOT NULL
             OR EXISTS (SELECT FROM jsonb_array_elements(o.resharding -> 'sources') s WHERE s ->> 'name' = $2))))
       ON CONFLICT DO NOTHING RETURNING ${columns}`,
      [
        id,
        shard,
        group,
        layout,
        JSON.stringify(tables),
        from,
        to,
        resharding ? JSON.stringify(resharding) : null,
        resharding?.sources.map(({ name }) => name) ?? [],
        JSON.stringify(memory),
      ],
    )
    if (found) return found
    throw new ShardedError('SHARD_MOVE_REFUSED', `Shard ${shard} has a move that is not over.`, {
      details: { shard, missing: [] },
      fix: 'Cancel it, or let it end and finish it.',
    })
  }

  /** @throws ShardedError SHARD_MOVE_STATE where there is none */
  async read(id: string): Promise<ShardMove> {
    const found = await this.one(`SELECT ${columns} FROM ${this.table} WHERE id = $1`, [id])
    if (found) return found
    throw new ShardedError('SHARD_MOVE_STATE', `There is no move ${id}.`, { details: { id } })
  }

  /** The newest first. */
  async list(): Promise<readonly ShardMove[]> {
    const { rows } = await this.home.query(
      `SELECT ${columns} FROM ${this.table} ORDER BY state IN (${over}), started_at DESC LIMIT ${maxListed}`,
    )
    return rows.map(moveOf)
  }

  /** Takes a move whose driver, if it has one, was not heard of in time. @returns undefined where another process drives it */
  claim(id: string, { id: driver, leaseMs }: Driver): Promise<ShardMove | undefined> {
    return this.one(
      `UPDATE ${this.table} SET driver = $2, driven_until = ${lease('$3')}
       WHERE id = $1 AND (driver IS NULL OR driver = $2 OR driven_until < clock_timestamp()) RETURNING ${columns}`,
      [id, driver, leaseMs],
    )
  }

  /** Takes a move from whoever drives it, and stores that it is to be cancelled; undefined where its state no longer allows it. */
  cancel(id: string, { id: driver, leaseMs }: Driver, from: ShardMove['state']): Promise<ShardMove | undefined> {
    return this.one(
      `UPDATE ${this.table} SET driver = $2, driven_until = ${lease('$3')}, state = $4, error = NULL, changed_at = clock_timestamp()
       WHERE id = $1 AND state = $5 RETURNING ${columns}`,
      [id, driver, leaseMs, nextMoveState(from, 'cancel'), from],
    )
  }

  /** Holds a move for longer. @throws ShardedError SHARD_MOVE_TAKEN */
  async renew(id: string, { id: driver, leaseMs }: Driver): Promise<void> {
    const { rowCount } = await this.home.query(
      `UPDATE ${this.table} SET driven_until = ${lease('$3')} WHERE id = $1 AND driver = $2`,
      [id, driver, leaseMs],
    )
    if (rowCount === 0) throw taken(id)
  }

  /** Lets a move go. */
  async release(id: string, { id: driver }: Driver): Promise<void> {
    await this.home.query(`UPDATE ${this.table} SET driver = NULL, driven_until = NULL WHERE id = $1 AND driver = $2`, [
      id,
      driver,
    ])
  }

  /** Stores the state that follows upon an event. @throws ShardedError SHARD_MOVE_TAKEN where another process has stored something else */
  async advance(
    { id, state }: ShardMove,
    { id: driver }: Driver,
    { event, memory = {} }: { readonly event: MoveEvent; readonly memory?: MoveMemory },
  ): Promise<ShardMove> {
    const found = await this.one(
      `UPDATE ${this.table} SET state = $3, memory = memory || $4::jsonb, error = NULL, changed_at = clock_timestamp()
       WHERE id = $1 AND driver = $2 AND state = $5 RETURNING ${columns}`,
      [id, driver, nextMoveState(state, event), JSON.stringify(memory), state],
    )
    if (found) return found
    throw taken(id)
  }

  /** Adds to what is known of a move. @throws ShardedError SHARD_MOVE_TAKEN */
  async note(id: string, { id: driver }: Driver, { memory = {}, progress = {}, error }: NotedMove): Promise<void> {
    const { rowCount } = await this.home.query(
      `UPDATE ${this.table} SET memory = memory || $3::jsonb, progress = progress || $4::jsonb, error = $5 WHERE id = $1 AND driver = $2`,
      [id, driver, JSON.stringify(memory), JSON.stringify(progress), error?.slice(0, maxErrorLetters) ?? null],
    )
    if (rowCount === 0) throw taken(id)
  }

  private async one(text: string, values: readonly unknown[]): Promise<ShardMove | undefined> {
    const { rows } = await this.home.query(text, values)
    const [row]: readonly Row[] = rows
    return row && moveOf(row)
  }
}

interface NotedMove {
  readonly memory?: MoveMemory
  readonly progress?: MoveProgress
  readonly error?: string
}

const taken = (id: string): ShardedError =>
  new ShardedError('SHARD_MOVE_TAKEN', `Another process drives the move ${id}.`, { details: { id } })

const lease = (milliseconds: string): string => `clock_timestamp() + ${milliseconds}::float8 * interval '1 millisecond'`

/** As texts: a user may have changed how `pg` reads JSON and times. */
const columns = `id, shard, shard_group, layout, tables::text AS tables, from_database, to_database, state, error,
  progress::text AS progress, memory::text AS memory, resharding::text AS resharding, extract(epoch FROM started_at)::text AS started, extract(epoch FROM changed_at)::text AS changed,
  driver, extract(epoch FROM driven_until)::text AS until`

const dateOf = (seconds: unknown): Date => new Date(Number(seconds) * 1_000)

const textOf = (value: unknown): string | undefined => (value === null ? undefined : String(value))

const moveOf = (row: Row): ShardMove =>
  Object.freeze({
    id: String(row['id']),
    shard: String(row['shard']),
    group: String(row['shard_group']),
    // The table is this package's own, and so is what it holds.
    layout: row['layout'] as ShardMove['layout'],
    tables: JSON.parse(String(row['tables'])),
    from: String(row['from_database']),
    to: String(row['to_database']),
    state: row['state'] as ShardMove['state'],
    error: textOf(row['error']),
    progress: JSON.parse(String(row['progress'])),
    ...(row['resharding'] !== null && { resharding: JSON.parse(String(row['resharding'])) }),
    memory: JSON.parse(String(row['memory'])),
    startedAt: dateOf(row['started']),
    changedAt: dateOf(row['changed']),
    driver: textOf(row['driver']),
    drivenUntil: row['until'] === null ? undefined : dateOf(row['until']),
  })
