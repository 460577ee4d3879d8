import { ShardedError } from '../errors/sharded-error'
import { sourceReport, targetReport } from '../rebalancing/check-requirements'
import type { MoveHost } from '../rebalancing/move-host'
import { missingForCopy } from '../rebalancing/move-requirements'
import type { ShardMove } from '../rebalancing/shard-move'
import { type ReshardingMove, tablesAt } from './resharding-move'

type Planned = Pick<ReshardingMove, 'id' | 'shard' | 'layout' | 'tables' | 'from' | 'to' | 'resharding'>

/** Looks whether all servers can do a resharding. It needs no replication. @throws ShardedError SHARD_MOVE_REFUSED with all that is missing */
export async function checkReshardingRequirements(host: MoveHost, move: Planned): Promise<void> {
  const { sources, targets } = move.resharding
  const missing = new Map<string, string>()
  for (const from of sources) {
    const placed = placedAt(move, from)
    const source = await sourceReport(host.node(from.database), placed, undefined)
    for (const to of targets) {
      // What would be in the way has the names of the target.
      const target = await targetReport(host.node(to.database), placedAt(move, to), { source, url: undefined })
      for (const { node, what, fix } of missingForCopy(source, target)) missing.set(`Node ${node}: ${what}`, fix)
    }
  }
  if (missing.size === 0) return
  const text = [...missing].map(([what, fix]) => `${what} (${fix}).`)
  throw new ShardedError('SHARD_MOVE_REFUSED', `Shard ${move.shard} cannot be taken apart. ${text.join(' ')}`, {
    details: { shard: move.shard, missing: [...missing.keys()] },
  })
}

const placedAt = (
  move: Planned,
  shard: Planned['resharding']['sources'][number],
): Pick<ShardMove, 'id' | 'shard' | 'layout' | 'tables' | 'from' | 'to'> => ({
  ...move,
  shard: shard.name,
  layout: shard.layout,
  tables: tablesAt(move.resharding, shard),
})
