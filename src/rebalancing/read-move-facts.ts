import { readIdentity } from '../catalog/node-catalog'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { MoveHost, MoveNode } from './move-host'
import { readStructure } from './read-structure'
import { movedSchema, replicationName, type ShardMove, wayBack } from './shard-move'
import type { MoveFacts, WayBackFacts } from './shard-move-state'
import { missingStatements, type ShardStructure } from './shard-structure'

/** Looks at both databases of a move. What only the driver knows comes with the arguments. @throws TOPOLOGY_MISMATCH */
export async function readMoveFacts(
  host: MoveHost,
  move: ShardMove,
  { isVerified }: Pick<MoveFacts, 'isVerified'>,
): Promise<MoveFacts> {
  const [source, target] = [host.node(move.from), host.node(move.to)]
  await Promise.all([checkIdentity(source, move.from), checkIdentity(target, move.to)])
  // A structure is compared while it is made; the switch looks at it again.
  const isMade = move.state !== 'planned' && move.state !== 'copying'
  const [atSource, atTarget, back, structures] = await Promise.all([
    sourceFacts(source, move),
    targetFacts(target, move),
    wayBackFacts(host, move),
    isMade ? undefined : Promise.all([readStructure(source, move), readStructure(target, move)]),
  ])
  const lacks = (phase: 'before-copy' | 'after-copy'): number =>
    structures ? missingStatements(...structures, phase).length : 0
  return {
    source: atSource,
    target: { ...atTarget, lacksBeforeCopy: lacks('before-copy'), lacksAfterCopy: lacks('after-copy') },
    wayBack: back,
    isVerified,
    isEpochCommitted: move.memory.isEpochCommitted === true,
    isReturnCommitted: move.memory.isReturnCommitted === true,
  }
}

/** What source and target have, for who makes what is missing. */
export const bothStructures = (
  host: MoveHost,
  move: ShardMove,
): Promise<readonly [source: ShardStructure, target: ShardStructure]> =>
  Promise.all([readStructure(host.node(move.from), move), readStructure(host.node(move.to), move)])

/** The names of nodes are the options' affair: another database may go by a node's name now. */
async function checkIdentity(node: MoveNode, identity: string): Promise<void> {
  const found = await readIdentity(node)
  if (found === identity) return
  throw new ShardedError('TOPOLOGY_MISMATCH', `Node ${node.name} is the database ${found}, and not ${identity}.`, {
    details: { node: node.name },
    fix: 'Let the options lead to the database that the move was begun with, or cancel the move.',
  })
}

async function sourceFacts(node: MoveNode, move: ShardMove): Promise<MoveFacts['source']> {
  const [hasLeft, published] = await Promise.all([leftPlace(node, move), publisherFacts(node, move)])
  return { ...published, hasLeft }
}

/** Whether the tables of the shard have left their place on a node. */
async function leftPlace(node: MoveNode, move: ShardMove): Promise<boolean> {
  const { rows } = await node.query('SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS renamed', [
    movedSchema(move),
  ])
  return rows[0]?.['renamed'] === true
}

interface PublisherFacts extends Pick<MoveFacts['source'], 'hasPublication' | 'hasSlot' | 'isSlotLost'> {
  readonly isPublishing: boolean
}

async function publisherFacts(node: MoveNode, move: ShardMove): Promise<PublisherFacts> {
  const { rows } = await node.query(
    `SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1) AS published,
       EXISTS (SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = $1) AS publishing,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()) AS slot,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND wal_status = 'lost') AS lost`,
    [replicationName(move)],
  )
  const [row]: readonly Row[] = rows
  return {
    hasPublication: row?.['published'] === true,
    isPublishing: row?.['publishing'] === true,
    hasSlot: row?.['slot'] === true,
    isSlotLost: row?.['lost'] === true,
  }
}

type TargetFacts = Omit<MoveFacts['target'], 'lacksBeforeCopy' | 'lacksAfterCopy'>

async function targetFacts(node: MoveNode, move: ShardMove): Promise<TargetFacts> {
  const [hasLeft, subscribed] = await Promise.all([leftPlace(node, move), subscriberFacts(node, move)])
  return { ...subscribed, tables: move.tables.length, hasLeft }
}

async function subscriberFacts(
  node: MoveNode,
  move: ShardMove,
): Promise<Pick<MoveFacts['target'], 'subscription' | 'copiedTables'>> {
  const { rows } = await node.query(
    `SELECT s.subenabled AS enabled, (count(*) FILTER (WHERE r.srsubstate = 'r'))::int AS copied
     FROM pg_subscription s LEFT JOIN pg_subscription_rel r ON r.srsubid = s.oid
     WHERE s.subname = $1 AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY s.oid, s.subenabled`,
    [replicationName(move)],
  )
  const [row]: readonly Row[] = rows
  if (!row) return { subscription: 'none', copiedTables: 0 }
  return { subscription: row['enabled'] === true ? 'enabled' : 'disabled', copiedTables: Number(row['copied']) }
}

async function wayBackFacts(host: MoveHost, move: ShardMove): Promise<WayBackFacts> {
  const back = wayBack(move)
  const [published, { subscription }] = await Promise.all([
    publisherFacts(host.node(back.from), back),
    subscriberFacts(host.node(back.to), back),
  ])
  return { ...published, subscription, isWanted: move.memory.isReversible === true }
}
