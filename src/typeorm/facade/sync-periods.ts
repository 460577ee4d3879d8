import type { NodePool } from '../../endpoints/node-pool'
import type { RollingFunction } from '../../functions/sharding-function'
import type { Row } from '../../merging/row'
import type { ShardGroup } from '../../model/sharded-entity'
import type { Shard } from '../../topology/shard'
import type { ComposedDataSource } from './compose-data-source'
import { dropUnrouted, findUnrouted, type UnroutedShard, unmark } from './expired-shards'

/** A shard whose period is no longer kept, and that is still there. */
export interface UndroppedShard {
  readonly shard: string
  readonly reason: string
}

/** What `syncTopology` has changed. */
export interface TopologyChanges {
  /** The names of shards that were made. */
  readonly added: readonly string[]
  /** The names of shards whose tables were dropped. */
  readonly dropped: readonly string[]
  /** The names of shards whose tables stay, without a route to them. */
  readonly detached: readonly string[]
  /** They are tried again the next time. */
  readonly kept: readonly UndroppedShard[]
}

interface SyncParts {
  /** What the data source is made of now. */
  readonly built: () => ComposedDataSource
  /** Takes over what is stored. */
  readonly follow: () => Promise<void>
  readonly pools: () => ReadonlyMap<string, NodePool>
  /** Names of shards that are on their way to another node. */
  readonly moving: () => Promise<ReadonlySet<string>>
  /** Default: the home node's clock, which all processes have alike. */
  readonly now?: Date | undefined
}

interface RollingGroup extends ShardGroup {
  readonly rolling: RollingFunction
}

/** Groups whose shards come and go with time. */
export const rollingGroups = (groups: ReadonlyMap<string, ShardGroup>): readonly RollingGroup[] =>
  [...groups.values()].flatMap((group) => (group.rolling ? [{ ...group, rolling: group.rolling }] : []))

/**
 * Makes the shards of periods that are due, and does away with those of periods that are no longer kept. Tables are made before a route leads
 * to them, and dropped when none does any more: after a crash in between, the next call goes on. Call it alone, under the lock of schema work.
 */
export async function syncPeriods(parts: SyncParts): Promise<TopologyChanges> {
  const { built, follow, now } = parts
  await follow()
  const added = await addDue(parts, now ?? (await clockOf(built())))
  if (added.length > 0) await follow()
  const at = now ?? (await clockOf(built()))
  const hindered = await retireExpired(parts, at)
  const ended = await endUnrouted(parts, at)
  return Object.freeze({
    added: Object.freeze(added),
    dropped: ended.dropped,
    detached: ended.detached,
    kept: Object.freeze([...hindered, ...ended.kept]),
  })
}

async function clockOf({ runtime }: ComposedDataSource): Promise<Date> {
  const { rows } = await runtime
    .pool(runtime.map.home)
    .background.query('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now')
  const [row]: readonly Row[] = rows
  return new Date(Number(row?.['now']))
}

async function addDue({ built }: SyncParts, now: Date): Promise<readonly string[]> {
  const { model, grown } = built()
  const due = new Map<string, readonly string[]>()
  for (const { name, labels, rolling } of rollingGroups(model.groups)) {
    const { added } = rolling.due(now, labels)
    if (added.length > 0) due.set(name, [...labels, ...added])
  }
  if (due.size === 0) return []
  const { shards, schemas, store } = await grown(due)
  for (const shard of shards) await schemas.synchronizeShard(shard, false)
  await store()
  return shards.map(({ name }) => name)
}

/** @returns the shards that cannot be retired */
async function retireExpired({ built, follow, moving }: SyncParts, now: Date): Promise<readonly UndroppedShard[]> {
  const { model, runtime, topology } = built()
  const expired = rollingGroups(model.groups).flatMap(({ name, labels, rolling }) => {
    const old = new Set(rolling.due(now, labels).expired)
    return (runtime.map.groups.get(name) ?? []).filter(({ label }) => old.has(label))
  })
  if (expired.length === 0) return []
  const inMoves = await moving()
  const kept: UndroppedShard[] = []
  const retired = expired.filter((shard) => {
    const reason = hindranceOf(shard, built(), inMoves)
    if (reason !== undefined) kept.push(Object.freeze({ shard: shard.name, reason }))
    return reason === undefined
  })
  for (const group of new Set(retired.map((shard) => shard.group)))
    await topology.retire(
      group,
      retired.flatMap((shard) => (shard.group === group ? [shard.label] : [])),
    )
  if (retired.length > 0) await follow()
  return kept
}

function hindranceOf(
  { name, group }: Shard,
  { runtime }: ComposedDataSource,
  moving: ReadonlySet<string>,
): string | undefined {
  if (moving.has(name)) return 'it has a move that is not over'
  if (runtime.lookups.ofGroup(group).length > 0 || runtime.lookups.notedOf(group).length > 0)
    return 'lookups, or onDelete of the application, are kept of its rows: delete them first'
  return undefined
}

async function endUnrouted({ built, pools }: SyncParts, now: Date): Promise<Omit<TopologyChanges, 'added'>> {
  const { model, runtime, schemas } = built()
  const ended = { dropped: [] as string[], detached: [] as string[], kept: [] as UndroppedShard[] }
  for (const group of rollingGroups(model.groups)) {
    const { name, rolling } = group
    if (rolling.expiry === undefined) continue
    const isExpired = (label: string): boolean =>
      rolling.isLabel(label) &&
      !runtime.map.shards.has(`${name}_${label}`) &&
      rolling.due(now, [label]).expired.length > 0
    for (const pool of pools().values()) {
      // What is there is found when it answers again.
      if (pool.isAbsent) continue
      const found = await findUnrouted(pool, { group, tables: schemas.tablesOf(name), isExpired })
      for (const shard of found) await endOne(pool, { shard, expiry: rolling.expiry, ended })
    }
  }
  return Object.freeze({
    dropped: Object.freeze(ended.dropped),
    detached: Object.freeze(ended.detached),
    kept: Object.freeze(ended.kept),
  })
}

interface Ended {
  readonly dropped: string[]
  readonly detached: string[]
  readonly kept: UndroppedShard[]
}

async function endOne(
  pool: NodePool,
  {
    shard,
    expiry,
    ended,
  }: { readonly shard: UnroutedShard; readonly expiry: 'drop' | 'detach'; readonly ended: Ended },
): Promise<void> {
  const reason = await (expiry === 'drop' ? dropUnrouted(pool, shard) : unmark(pool, shard))
  if (reason !== undefined) ended.kept.push(Object.freeze({ shard: shard.name, reason }))
  else ended[expiry === 'drop' ? 'dropped' : 'detached'].push(shard.name)
}
