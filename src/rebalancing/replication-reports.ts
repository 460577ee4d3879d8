import { sqlState } from '../endpoints/sql-state'
import type { Row } from '../merging/row'
import type { MoveHost, MoveNode } from './move-host'
import type { PublisherReport, SubscriberReport, WayBackReport } from './move-requirements'
import { onConnection } from './on-node'
import { subscriptionStatement } from './replication'
import { type ShardMove, wayBack } from './shard-move'

/** As far as a move goes that nobody drives yet. */
export type PlannedMove = Pick<ShardMove, 'id' | 'shard' | 'layout' | 'tables' | 'from' | 'to' | 'isWayBack'>

const publisherSql = `SELECT current_user AS role, current_setting('wal_level') AS wal_level,
  current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)::int AS free_slots,
  current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')::int AS free_senders,
  (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS replicator,
  (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = $1) AS may_replicate`

/** @param url by which the other node connects; undefined: none does */
export async function publisherReport(node: MoveNode, url: string | undefined): Promise<PublisherReport> {
  const user = userOf(url)
  const { rows } = await node.query(publisherSql, [user ?? null])
  const [row]: readonly Row[] = rows
  return {
    name: node.name,
    role: String(row?.['role']),
    walLevel: String(row?.['wal_level']),
    freeSlots: Number(row?.['free_slots']),
    freeSenders: Number(row?.['free_senders']),
    isReplicator: row?.['replicator'] === true,
    replicator: user === undefined ? undefined : { name: user, mayReplicate: row?.['may_replicate'] === true },
  }
}

/** The role of a URL. */
export const userOf = (url: string | undefined): string | undefined =>
  url !== undefined && URL.canParse(url) ? decodeURIComponent(new URL(url).username) || undefined : undefined

/** PostgreSQL 15 has no role for it: superusers alone subscribe. */
const subscriberSql = `SELECT current_user AS role, has_database_privilege(current_database(), 'CREATE') AS may_create,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_create_subscription' AND pg_has_role(oid, 'USAGE')) AS may_subscribe,
  current_setting('max_logical_replication_workers')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%worker' AND backend_type NOT LIKE '%launcher')::int AS free_workers,
  coalesce(current_setting('max_active_replication_origins', true), current_setting('max_replication_slots'))::int - (SELECT count(*) FROM pg_replication_origin)::int AS free_origins`

interface Followed {
  readonly move: PlannedMove
  readonly publisher: string
  readonly url: string | undefined
}

/** @param followed what the node is to follow; without its URL it is not tried whether it is reached */
export async function subscriberReport(node: MoveNode, { move, publisher, url }: Followed): Promise<SubscriberReport> {
  const { rows } = await node.query(subscriberSql)
  const [row]: readonly Row[] = rows
  const maySubscribe = row?.['may_subscribe'] === true
  return {
    name: node.name,
    role: String(row?.['role']),
    maySubscribe,
    freeWorkers: Number(row?.['free_workers']),
    freeOrigins: Number(row?.['free_origins']),
    publisher,
    unreachable:
      url !== undefined && maySubscribe && row?.['may_create'] === true
        ? await whyUnreachable(node, move, url)
        : undefined,
  }
}

/** What both nodes say of the way back. Undefined where none is wanted. */
export async function wayBackReport(
  host: MoveHost,
  move: PlannedMove & Pick<ShardMove, 'memory'>,
): Promise<WayBackReport | undefined> {
  if (!move.memory.isReversible) return undefined
  const back = wayBack(move)
  const [from, to] = [host.node(back.from), host.node(back.to)]
  const url = host.replicationUrl(back.from)
  return {
    publisher: await publisherReport(from, url),
    subscriber: await subscriberReport(to, { move: back, publisher: from.name, url }),
  }
}

/** Makes a subscription and takes it back: the server connects to the other one meanwhile. */
async function whyUnreachable(node: MoveNode, move: PlannedMove, url: string): Promise<string | undefined> {
  try {
    await onConnection(node, async (send) => {
      await send('BEGIN')
      await send(`SET LOCAL client_min_messages = error; ${subscriptionStatement(move, url)}`)
      await send('ROLLBACK')
    })
    return undefined
  } catch (error) {
    if (sqlState(error) === undefined) throw error
    return withoutPassword(error instanceof Error ? error.message : String(error), url)
  }
}

/** An error must not spread what it was told in confidence. */
function withoutPassword(text: string, url: string): string {
  const password = URL.canParse(url) ? new URL(url).password : ''
  return password === '' ? text : text.replaceAll(password, '…').replaceAll(decodeURIComponent(password), '…')
}
