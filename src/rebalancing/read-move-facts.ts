import { readIdentity } from '../catalog/node-catalog'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import type { MoveHost, MoveNode } from './move-host'
import { readStructure } from './read-structure'
import { movedSchema, replicationName, type ShardMove } from './shard-move'
import type { MoveFacts } from './shard-move-state'
import { missingStatements, type ShardStructure } from './shard-structure'

/** Looks at both databases of a move. What only the driver knows comes with the arguments. @throws TOPOLOGY_MISMATCH */
export async function readMoveFacts(
  host: MoveHost,
  move: ShardMove,
  { isVerified }: Pick<MoveFacts, 'isVerified'>,
): Promise<MoveFacts> {
  const [source, target] = [host.node(move.from), host.node(move.to)]
  const isEpochCommitted = move.memory.isEpochCommitted === true
  await Promise.all([checkIdentity(source, move.from), checkIdentity(target, move.to)])
  // A structure is compared while it is made; the switch looks at it again.
  const isMade = move.state !== 'planned' && move.state !== 'copying'
  const [atSource, atTarget, structures] = await Promise.all([
    sourceFacts(source, move),
    targetFacts(target, move),
    isMade ? undefined : Promise.all([readStructure(source, move), readStructure(target, move)]),
  ])
  const lacks = (phase: 'before-copy' | 'after-copy'): number =>
    structures ? missingStatements(...structures, phase).length : 0
  return {
    source: atSource,
    target: { ...atTarget, lacksBeforeCopy: lacks('before-copy'), lacksAfterCopy: lacks('after-copy') },
    isVerified,
    isEpochCommitted,
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
  const { rows } = await node.query(
    `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS renamed,
       EXISTS (SELECT FROM pg_publication WHERE pubname = $2) AS published,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $2 AND database = current_database()) AS slot,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $2 AND wal_status = 'lost') AS lost`,
    [movedSchema(move), replicationName(move)],
  )
  const [row]: readonly Row[] = rows
  return {
    isRenamed: row?.['renamed'] === true,
    hasPublication: row?.['published'] === true,
    hasSlot: row?.['slot'] === true,
    isSlotLost: row?.['lost'] === true,
  }
}

type TargetFacts = Omit<MoveFacts['target'], 'lacksBeforeCopy' | 'lacksAfterCopy'>

async function targetFacts(node: MoveNode, move: ShardMove): Promise<TargetFacts> {
  const { rows } = await node.query(
    `SELECT s.subenabled AS enabled, (count(*) FILTER (WHERE r.srsubstate = 'r'))::int AS copied
     FROM pg_subscription s LEFT JOIN pg_subscription_rel r ON r.srsubid = s.oid
     WHERE s.subname = $1 AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY s.oid, s.subenabled`,
    [replicationName(move)],
  )
  const [row]: readonly Row[] = rows
  const tables = move.tables.length
  if (!row) return { subscription: 'none', tables, copiedTables: 0 }
  return {
    subscription: row['enabled'] === true ? 'enabled' : 'disabled',
    tables,
    copiedTables: Number(row['copied']),
  }
}
