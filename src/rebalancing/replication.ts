import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import { pause, type Send } from './on-node'
import { type MovedTable, type MoveMemory, replicationName, type ShardMove } from './shard-move'

/** To make a slot waits for every transaction that runs on the server, prepared ones too. */
const slotMs = 60_000

/** The publisher's process of a subscription that is gone ends soon. */
const slotReleaseMs = 15_000
const lookEveryMs = 50

export const tablePath = ({ schema, name }: MovedTable): string => `${quoted(schema)}.${quoted(name)}`

/** Tables one by one: a publication of a whole schema would need a superuser. */
export async function publish(send: Send, move: ShardMove): Promise<void> {
  const { rows } = await send('SELECT FROM pg_publication WHERE pubname = $1', [replicationName(move)])
  if (rows.length > 0) return
  const tables = move.tables.map(tablePath).join(', ')
  await send(`CREATE PUBLICATION ${quoted(replicationName(move))} FOR TABLE ${tables}`)
}

/**
 * Reserves the way back at the new place, before the switch. Its publication has no tables yet: what still arrives there is not to be sent
 * back. It is made anew where an earlier switch has published them and was given up.
 */
export async function reserveWayBack(send: Send, back: ShardMove): Promise<void> {
  await dropSlots(send, back)
  await send(`CREATE PUBLICATION ${quoted(replicationName(back))}`)
  await reserveSlot(send, back)
}

/** From its commit on, all that is written to the new place is sent back: the server keeps to that after a crash too. */
export const publishStatement = (back: ShardMove): string =>
  `ALTER PUBLICATION ${quoted(replicationName(back))} ADD TABLE ${back.tables.map(tablePath).join(', ')}`

/** Apart from the subscription: that could not make it on a server that holds both databases. */
export async function reserveSlot(send: Send, move: ShardMove): Promise<void> {
  const { rows } = await send('SELECT FROM pg_replication_slots WHERE slot_name = $1', [replicationName(move)])
  if (rows.length > 0) return
  await send(`SET statement_timeout = ${slotMs}`)
  try {
    await send(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [replicationName(move)])
  } finally {
    await send('RESET statement_timeout')
  }
}

/** It is not enabled yet: first its numbers are stored. */
export const subscriptionStatement = (move: Pick<ShardMove, 'id' | 'isWayBack'>, url: string): string => {
  const name = quoted(replicationName(move))
  return `CREATE SUBSCRIPTION ${name} CONNECTION ${literal(url)} PUBLICATION ${name}
   WITH (enabled = false, create_slot = false, slot_name = ${name}, copy_data = ${!move.isWayBack}, streaming = off)`
}

/** @returns what must be stored before it is enabled */
export async function subscribe(
  send: Send,
  { move, url }: { readonly move: ShardMove; readonly url: string },
): Promise<MoveMemory> {
  const name = replicationName(move)
  if ((await subscriptionOf(send, move)) === undefined) await send(subscriptionStatement(move, url))
  const { rows } = await send(
    `SELECT s.oid::text AS oid, ARRAY(SELECT srrelid::text FROM pg_subscription_rel WHERE srsubid = s.oid) AS relations
     FROM pg_subscription s WHERE s.oid = $1::oid`,
    [await subscriptionOf(send, move)],
  )
  const [row]: readonly Row[] = rows
  if (!row) throw new RangeError(`The subscription ${name} was made, and is not there.`)
  // An array of the catalog.
  return { subscription: { oid: String(row['oid']), relations: row['relations'] as readonly string[] } }
}

export const enableSubscription = (send: Send, move: ShardMove): Promise<unknown> =>
  send(`ALTER SUBSCRIPTION ${quoted(replicationName(move))} ENABLE`)

async function subscriptionOf(send: Send, move: ShardMove): Promise<string | undefined> {
  const { rows } = await send(
    `SELECT oid::text AS oid FROM pg_subscription
     WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [replicationName(move)],
  )
  return rows[0]?.['oid']
}

/**
 * Without its slot, which would need the source: that may be down. Its workers end before the statement does, so nothing is put into the
 * tables afterwards.
 */
export async function dropSubscription(send: Send, move: ShardMove): Promise<void> {
  if ((await subscriptionOf(send, move)) === undefined) return
  const name = quoted(replicationName(move))
  await send(`ALTER SUBSCRIPTION ${name} DISABLE`)
  await send(`BEGIN; ALTER SUBSCRIPTION ${name} SET (slot_name = NONE); DROP SUBSCRIPTION ${name}; COMMIT`)
}

/**
 * Drops the slot, those that copies have left which broke off, and the publication. A target that died holds a slot for as long as the
 * server believes that it is there: its process is ended.
 *
 * @throws ShardedError SHARD_MOVE_STALLED
 */
export async function dropSlots(send: Send, move: ShardMove): Promise<void> {
  const deadline = performance.now() + slotReleaseMs
  const { subscription } = move.memory
  const copies = subscription?.relations.map((relation) => `pg_${subscription.oid}_sync_${relation}_`) ?? []
  for (;;) {
    const { rows } = await send(
      `SELECT slot_name AS name, active_pid AS pid FROM pg_replication_slots
       WHERE database = current_database() AND (slot_name = $1 OR EXISTS (SELECT FROM unnest($2::text[]) AS c(name) WHERE starts_with(slot_name, c.name)))`,
      [replicationName(move), copies],
    )
    if (rows.length === 0) break
    for (const { name, pid } of rows as readonly SlotRow[]) await dropSlot(send, { name, pid })
    if (performance.now() > deadline)
      throw new ShardedError('SHARD_MOVE_STALLED', `A slot of the move ${move.id} is still in use at its source.`, {
        details: { id: move.id },
      })
    await pause(lookEveryMs)
  }
  await send(`DROP PUBLICATION IF EXISTS ${quoted(replicationName(move))}`)
}

interface SlotRow {
  readonly name: string
  readonly pid: number | null
}

/** Between a look and the statement, the slot's state may have changed: the next look tells. */
async function dropSlot(send: Send, { name, pid }: SlotRow): Promise<void> {
  if (pid === null)
    await send(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active',
      [name],
    )
  else await send('SELECT pg_terminate_backend($1)', [pid])
}

/**
 * Brings all that the source has committed to its disk, and says how far that reaches. Committed without waiting for the disk
 * (synchronous_commit = off), it would not be sent.
 */
export async function flushedLsn(send: Send): Promise<string> {
  await send('BEGIN; SET LOCAL synchronous_commit = on')
  const { rows } = await send(`SELECT pg_logical_emit_message(true, 'sharding_move', '')::text AS lsn`)
  await send('COMMIT')
  return String(rows[0]?.['lsn'])
}

/** Whether the target has all that the source has written before a place of its WAL. */
export async function hasReached(
  { source, target }: { readonly source: Send; readonly target: Send },
  move: ShardMove,
  lsn: string,
): Promise<boolean> {
  const [seen, confirmed] = await Promise.all([
    target(
      `SELECT FROM pg_stat_subscription WHERE subname = $1 AND pid IS NOT NULL AND relid IS NULL AND latest_end_lsn > $2::pg_lsn`,
      [replicationName(move), lsn],
    ),
    source(`SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn > $2::pg_lsn`, [
      replicationName(move),
      lsn,
    ]),
  ])
  return seen.rows.length > 0 || confirmed.rows.length > 0
}
