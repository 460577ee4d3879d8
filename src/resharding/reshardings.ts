import { randomBytes } from 'node:crypto'
import { ShardedError } from '../errors/sharded-error'
import { tablesOfSchema } from '../rebalancing/make-target'
import { MoveLog } from '../rebalancing/move-log'
import { onConnection } from '../rebalancing/on-node'
import type { Resharding } from '../rebalancing/resharding'
import type { ShardMove } from '../rebalancing/shard-move'
import { cancelMove, driveMove, finishMove, type LeasedMove, type MoveKind } from '../rebalancing/shard-moves'
import { checkReshardingRequirements } from './check-requirements'
import { ReshardingDriver } from './resharding-driver'
import type { ReshardingHost } from './resharding-host'
import { asResharding, tablesAt } from './resharding-move'

/**
 * Plans a resharding. Nothing is done yet but to look whether it can be done.
 *
 * @throws ShardedError SHARD_MOVE_REFUSED
 */
export async function startResharding(
  host: ReshardingHost,
  { group, resharding }: { readonly group: string; readonly resharding: Resharding },
): Promise<ShardMove> {
  const [source] = resharding.sources
  const [target] = resharding.targets
  if (!source || !target) throw new RangeError('A resharding has a source and a target.')
  const { name, layout } = source
  if (layout === 'schema') for (const one of resharding.sources) await refuseOthers(host, one, resharding.tables)
  const planned = {
    id: randomBytes(4).toString('hex'),
    shard: name,
    group,
    layout,
    tables: tablesAt(resharding, source),
    from: source.database,
    to: target.database,
    resharding,
    memory: {},
  }
  const log = await MoveLog.open(host.home)
  await checkReshardingRequirements(host, planned)
  return log.insert(planned)
}

/** A table that is no entity's has no shard key: where its rows go nobody knows. */
async function refuseOthers(
  host: ReshardingHost,
  { name, database }: Resharding['sources'][number],
  tables: readonly string[],
): Promise<void> {
  const found = await onConnection(host.node(database), (send) => tablesOfSchema(send, name))
  const others = found.filter((table) => !tables.includes(table))
  if (others.length === 0) return
  throw new ShardedError(
    'SHARD_MOVE_REFUSED',
    `Shard ${name} cannot be taken apart: the tables ${others.join(', ')} of its schema belong to no entity, so that the shard of their rows is not known.`,
    {
      details: { shard: name, missing: others },
      fix: 'Move them to a schema of your own, or make entities of them.',
    },
  )
}

/** Moves whose shards end. */
const kindOf = (host: ReshardingHost): MoveKind => {
  const machine = ({ move, ...lease }: LeasedMove, options?: { readonly abandonTarget?: boolean }) =>
    new ReshardingDriver(asResharding(move), { ...lease, host }, options)
  return {
    machine,
    settle: async (lease) => {
      const driver = machine(lease)
      if (await driver.mayStillSettle()) await driver.step()
    },
  }
}

/**
 * Does what a resharding needs until it is switched, or over. Another process may go on with it at any time when this one is gone.
 *
 * @throws ShardedError SHARD_MOVE_TAKEN, SHARD_MOVE_STALLED, SHARD_MOVE_DIFFERS; the signal's reason
 */
export const driveResharding = (host: ReshardingHost, id: string, signal?: AbortSignal): Promise<ShardMove> =>
  driveMove(host, id, signal, kindOf(host))

/** Takes a resharding back whose switch has not begun: nothing of it is left. @throws ShardedError SHARD_MOVE_STATE */
export const cancelResharding = (
  host: ReshardingHost,
  id: string,
  options: { readonly abandonTarget?: boolean } = {},
): Promise<ShardMove> => cancelMove(host, id, { ...options, kind: kindOf(host) })

/** Drops what is left of the shards that have ended. @throws ShardedError SHARD_MOVE_STATE */
export const finishResharding = (host: ReshardingHost, id: string): Promise<ShardMove> =>
  finishMove(host, id, { kind: kindOf(host) })
