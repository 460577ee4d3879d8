import { setTimeout as pause } from 'node:timers/promises'
import type { EntityTarget, ObjectLiteral } from 'typeorm'
import { newestOf, readProcesses, type ServingProcess } from '../../catalog/process-lease'
import type { NodePool } from '../../endpoints/node-pool'
import { ShardedError } from '../../errors/sharded-error'
import type { ShardedModel } from '../../model/sharded-entity'
import type { LoadStatistics } from '../../rebalancing/load-statistics'
import type { MoveHost } from '../../rebalancing/move-host'
import type { MovePlan } from '../../rebalancing/plan-moves'
import type { Resharding } from '../../rebalancing/resharding'
import { type ExecuteOptions, type PlanResult, runPlan } from '../../rebalancing/run-plan'
import type { MoveProgress, ShardMove } from '../../rebalancing/shard-move'
import { isOver, type MoveState } from '../../rebalancing/shard-move-state'
import {
  cancelMove,
  driveMove,
  finishMove,
  listMoves,
  readMove,
  readWayBack,
  revertMove,
  startMove,
  type WayBackState,
} from '../../rebalancing/shard-moves'
import type { TopologyReport } from '../../rebalancing/topology-report'
import type { ReshardingHost } from '../../resharding/resharding-host'
import { cancelResharding, driveResharding, finishResharding, startResharding } from '../../resharding/reshardings'
import type { TableCatalog } from '../../routing/table-catalog'
import type { Reassigned } from '../../topology/group-owners'
import type { Shard } from '../../topology/shard'
import type { ControlPoints } from '../../transactions/control-point'
import type { ShardRuntime } from '../runners/shard-runtime'
import { hindranceOf } from './fixed-shards'
import { openMovePools, replicationUrlOf } from './move-pools'
import type { NodePools } from './node-pools'
import { nodeInUse, removeNode } from './remove-node'
import { isolateFrom, mergeInto, ownersNow, reshardingOf, rowRouter, splitEvenly, unlikeHash } from './reshape-shards'
import type { ShardSchemas } from './shard-schemas'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'
import type { StoredTopology } from './stored-topology'
import { checkPlanOptions, type PlanOptions, planTopology } from './topology-plan'
import { type ReportOptions, takeReport } from './topology-report'

/** A shard on its way from one node to another. */
export interface ShardMoveReport {
  readonly id: string
  readonly kind: 'move' | Resharding['kind']
  /** Of a merge the first. */
  readonly shard: string
  /** The shards that take its place; of a move itself. */
  readonly into: readonly string[]
  /** The names of nodes; of a resharding those of the first shards. */
  readonly from: string
  readonly to: string
  readonly state: MoveState
  /** Of the last try; undefined: none has failed. */
  readonly error: string | undefined
  readonly progress: MoveProgress
  /** Of a switched move, how the former place follows; undefined: it does not, or the new one gave no answer. */
  readonly wayBack: WayBackState | undefined
  readonly startedAt: Date
  readonly changedAt: Date
}

/** What ends a move's work in this process. The move stays as it is, for `resumeMove` or `cancelMove`. */
export interface DriveMoveOptions {
  readonly signal?: AbortSignal
}

/** How a shard is moved. */
export interface MoveShardOptions extends DriveMoveOptions {
  /** The former place follows the new one until `finishMove`, so that `revertMove` can go back there. On by default. */
  readonly reverse?: boolean
}

/** Where new shards are to be. */
export interface ReshapeOptions extends DriveMoveOptions {
  /** The name of a node. Default: that of the former shard. */
  readonly to?: string
}

/** How a shard is split. */
export interface SplitShardOptions extends DriveMoveOptions {
  /** Default: as many as `to` names nodes, or 2. */
  readonly parts?: number
  /** The names of the nodes of the parts, in order. Default: that of the shard. */
  readonly to?: readonly string[]
}

interface Reshape {
  readonly kind: Resharding['kind']
  readonly shards: readonly Shard[]
  readonly nodes: readonly string[]
  readonly signal: AbortSignal | undefined
  readonly made: () => Reassigned
}

/** Milliseconds between two looks at processes. */
const lookEveryMs = 200

interface TopologyParts {
  /** The epoch by which operations of this process begin. */
  readonly obeyed: () => number
  readonly options: () => ShardedDataSourceOptions
  readonly runtime: () => ShardRuntime
  readonly stored: () => StoredTopology
  readonly schemas: () => ShardSchemas
  readonly model: () => ShardedModel
  readonly catalog: () => TableCatalog
  /** A shard key and the shard that owns it now. @throws ShardedError KEY_INVALID, KEY_NOT_OWNED, NOT_SHARDED */
  readonly keyOf: (
    target: EntityTarget<ObjectLiteral>,
    key: unknown,
  ) => { readonly name: string; readonly canonical: readonly string[] }
  readonly loads: () => LoadStatistics | undefined
  readonly points: ControlPoints
  readonly warn: (text: string) => void
  /** Takes over the map that is stored. */
  readonly follow: () => Promise<void>
}

/**
 * Where shards are, and how they come to other nodes.
 *
 * @example
 * const move = await dataSource.topology.moveShard('user_07', 'b') // while it is read and written
 * await dataSource.topology.finishMove(move.id) // drops what is left at the former place; or revertMove, which goes back there
 */
export class Topology {
  private opening: Promise<NodePools> | undefined

  constructor(private readonly parts: TopologyParts) {}

  /**
   * Moves a shard to another node while it is read and written, by PostgreSQL's logical replication. Writes wait for the moment of the
   * switch; every process of the application then goes to the new place. The former one follows it, closed to everybody else, until
   * `finishMove` drops it or `revertMove` goes back.
   *
   * @returns the move, which is switched
   * @throws ShardedError SHARD_UNKNOWN, OPTIONS_INVALID, SHARD_MOVE_REFUSED with all that is missing, SHARD_MOVE_STALLED; the signal's reason
   */
  async moveShard(name: string, to: string, { signal, reverse }: MoveShardOptions = {}): Promise<ShardMoveReport> {
    const { options, runtime, stored, schemas } = this.parts
    const { shard } = runtime().handle({ name })
    this.checkNode(to, 'moveShard')
    if (shard.node === to) throw refused(name, `it lies on node ${to}`, 'Name another node.')
    const hindrance = hindranceOf(shard, to, { options: options(), runtime: runtime() })
    if (hindrance) throw refused(name, hindrance.why, hindrance.fix)
    const request = {
      shard,
      tables: schemas().tablesOf(shard.group),
      from: stored().identityOf(shard.node),
      to: stored().identityOf(to),
      reverse,
    }
    const host = await this.host()
    const { id } = await startMove(host, request)
    return this.reportOf(host, await driveMove(host, id, signal))
  }

  /**
   * Splits a shard of a group of `hash` while it is read and written: each part is a new shard with about as many of its slots. The rows are
   * copied by this process. Writes wait for the moment of the switch; every process of the application then goes to the new shards. The former
   * shard stays, under another name, until `finishMove`.
   *
   * @returns the resharding, which is switched
   * @throws ShardedError SHARD_UNKNOWN, OPTIONS_INVALID, SHARD_MOVE_REFUSED with all that is missing, SHARD_MOVE_STALLED; the signal's reason
   * @example
   * const { into } = await dataSource.topology.splitShard('user_07', { to: ['a', 'b'] }) // one part on each node
   */
  async splitShard(name: string, { parts, to, signal }: SplitShardOptions = {}): Promise<ShardMoveReport> {
    const { shard } = this.parts.runtime().handle({ name })
    const count = parts ?? to?.length ?? 2
    const before = ownersNow(this.parts.runtime().map, shard.group)
    const nodes = Array.from({ length: count }, (_, index) => to?.[index] ?? shard.node)
    return this.reshape({
      kind: 'split',
      shards: [shard],
      nodes,
      signal,
      made: () => splitEvenly(before, shard, count),
    })
  }

  /**
   * Gives a shard key a shard for itself, as `splitShard` makes one: a tenant that is larger than others, or that is to be on a certain node.
   *
   * @throws ShardedError NOT_SHARDED, KEY_INVALID and what `splitShard` throws
   * @example
   * await dataSource.topology.isolateKey(Order, 'acme', { to: 'big' })
   */
  async isolateKey(
    target: EntityTarget<ObjectLiteral>,
    key: unknown,
    { to, signal }: ReshapeOptions = {},
  ): Promise<ShardMoveReport> {
    const { runtime, keyOf } = this.parts
    const { name, canonical } = keyOf(target, key)
    const { shard } = runtime().handle({ name })
    const before = ownersNow(runtime().map, shard.group)
    const nodes = [shard.node, to ?? shard.node]
    return this.reshape({
      kind: 'isolate',
      shards: [shard],
      nodes,
      signal,
      made: () => isolateFrom(before, shard, canonical),
    })
  }

  /**
   * Makes one shard of several of a group, as `splitShard` makes parts. Isolated keys among them are so no longer where their slot is among
   * what is merged.
   *
   * @param options.to the node of the new shard; default: that of the first
   * @throws as `splitShard`
   */
  async mergeShards(names: readonly string[], { to, signal }: ReshapeOptions = {}): Promise<ShardMoveReport> {
    const { runtime } = this.parts
    const shards = names.map((name) => runtime().handle({ name }).shard)
    const [first] = shards
    const before = ownersNow(runtime().map, first?.group ?? '')
    const nodes = [to ?? first?.node ?? '']
    return this.reshape({ kind: 'merge', shards, nodes, signal, made: () => mergeInto(before, shards) })
  }

  private async reshape({ kind, shards, nodes, signal, made }: Reshape): Promise<ShardMoveReport> {
    const { options, runtime, stored, schemas, model } = this.parts
    for (const node of nodes) this.checkNode(node, callsOf[kind])
    for (const shard of shards) {
      const hindrance =
        hindranceOf(shard, undefined, { options: options(), runtime: runtime() }) ?? unlikeHash(model(), shard.group)
      if (hindrance) throw refused(shard.name, hindrance.why, hindrance.fix)
    }
    const [first] = shards
    const group = first?.group ?? ''
    const resharding = reshardingOf({
      kind,
      sources: shards,
      tables: schemas().tablesOf(group),
      before: ownersNow(runtime().map, group),
      made: made(),
      databases: nodes.map((node) => stored().identityOf(node)),
      identityOf: (node) => stored().identityOf(node),
    })
    const host = await this.reshardingHost()
    const { id } = await startResharding(host, { group, resharding })
    return this.reportOf(host, await driveResharding(host, id, signal))
  }

  /** Goes on with a move whose process has gone. @throws ShardedError SHARD_MOVE_TAKEN where another one drives it */
  async resumeMove(id: string, { signal }: DriveMoveOptions = {}): Promise<ShardMoveReport> {
    const host = await this.reshardingHost()
    const drive = (await readMove(host, id)).resharding ? driveResharding : driveMove
    return this.reportOf(host, await drive(host, id, signal))
  }

  /** All moves: those that are not over, and then the newest. */
  async moves(): Promise<readonly ShardMoveReport[]> {
    const host = await this.host()
    return Promise.all((await listMoves(host)).map((move) => this.reportOf(host, move)))
  }

  /**
   * Takes a move back before its switch: nothing of it is left. A reversal is taken back before the shard has gone: it stays where it is.
   *
   * @param options.abandonTarget the node that it leads to is gone for good
   * @throws ShardedError SHARD_MOVE_STATE
   */
  async cancelMove(id: string, options: { readonly abandonTarget?: boolean } = {}): Promise<ShardMoveReport> {
    const host = await this.reshardingHost()
    const cancel = (await readMove(host, id)).resharding ? cancelResharding : cancelMove
    return this.reportOf(host, await cancel(host, id, options))
  }

  /**
   * The processes that serve sharded entities over several nodes, with the epochs that they obey. One that was killed is among
   * them until its lease ends, for 30 s.
   *
   * @throws ShardedError SHARD_UNAVAILABLE where a node does not answer: processes may hold their leases there
   */
  async processes(): Promise<readonly ServingProcess[]> {
    const { nodes, pool } = this.parts.runtime()
    return newestOf(await Promise.all(nodes.map((node) => readProcesses(pool(node).background))))
  }

  /**
   * Waits until no process begins operations by an earlier map than this one does.
   *
   * @returns those that still do so after `timeoutMs`; default 60,000
   * @throws ShardedError SHARD_UNAVAILABLE
   * @example
   * const behind = await dataSource.topology.awaitProcesses()
   * if (behind.length === 0) await dataSource.topology.finishMove(move.id)
   */
  async awaitProcesses({
    timeoutMs = 60_000,
  }: {
    readonly timeoutMs?: number
  } = {}): Promise<readonly ServingProcess[]> {
    await this.parts.follow()
    const epoch = this.parts.obeyed()
    for (const until = performance.now() + timeoutMs; ; await pause(lookEveryMs)) {
      const behind = (await this.processes()).filter((one) => one.epoch < epoch)
      if (behind.length === 0 || performance.now() > until) return behind
    }
  }

  /**
   * Drops what a switched move has left at the former place of its shard, which then no longer follows.
   *
   * @throws ShardedError SHARD_MOVE_STATE
   */
  async finishMove(id: string): Promise<ShardMoveReport> {
    const host = await this.reshardingHost()
    const finish = (await readMove(host, id)).resharding ? finishResharding : finishMove
    return this.reportOf(host, await finish(host, id))
  }

  /**
   * Takes a switched shard back to its former place, with all that was written at the new one. Writes wait as at a switch.
   *
   * @param options.abandonTarget the new node was lost for good after the shard had gone back
   * @throws ShardedError SHARD_MOVE_STATE, SHARD_MOVE_DIFFERS, SHARD_MOVE_STALLED; the signal's reason
   */
  async revertMove(
    id: string,
    options: DriveMoveOptions & { readonly abandonTarget?: boolean } = {},
  ): Promise<ShardMoveReport> {
    const host = await this.host()
    return this.reportOf(host, await revertMove(host, id, options))
  }

  /**
   * What every shard and node holds and, where the option `loadStatistics` asks for it, what this process has asked of them. Nodes are read
   * at once, and not in one snapshot. `formatReport` makes a picture of it.
   *
   * @throws ShardedError SHARD_UNAVAILABLE
   * @example
   * console.log(formatReport(await dataSource.topology.report()))
   */
  report(options: ReportOptions = {}): Promise<TopologyReport> {
    return takeReport({ ...this.parts, pools: () => this.pools() }, options)
  }

  /**
   * Moves that make the nodes even, as data: nothing is moved yet. The same report gives the same plan.
   *
   * @throws ShardedError OPTIONS_INVALID, SHARD_UNAVAILABLE
   * @example
   * const plan = await dataSource.topology.plan({ by: 'bytes', threshold: 0.2 })
   * for (const { shard, from, to, reason } of plan.moves) console.log(shard, from, to, reason)
   */
  async plan(options: PlanOptions = {}): Promise<MovePlan> {
    checkPlanOptions(options, this.parts.runtime())
    const report = await this.report()
    const moving = new Set((await this.openMoves()).map(({ shard }) => shard))
    return planTopology(report, options, { ...this.parts, moving })
  }

  /**
   * Moves the shards of a plan. It may be called again with the same plan, after a failure or in another process: moves that are done are
   * skipped, and those that were begun are gone on with.
   *
   * @throws ShardedError PLAN_OUTDATED where a shard of the plan is elsewhere by now, before anything is moved; PLAN_INCOMPLETE with what was
   *   moved, where one cannot be; OPTIONS_INVALID; the signal's reason
   * @example
   * await dataSource.topology.execute(await dataSource.topology.plan({ by: 'bytes' }), { parallel: 2, signal })
   */
  execute(plan: MovePlan, options: ExecuteOptions = {}): Promise<PlanResult<ShardMoveReport>> {
    const { runtime, follow } = this.parts
    return runPlan(
      plan,
      {
        follow,
        placeOf: (shard) => runtime().map.shards.get(shard)?.node,
        open: () => this.openMoves(),
        move: (shard, to, signal) => this.moveShard(shard, to, signal && { signal }),
        resume: (id, signal) => this.resumeMove(id, signal && { signal }),
        finish: (id) => this.finishMove(id),
      },
      options,
    )
  }

  /**
   * Moves all shards of a node to the others.
   *
   * @throws ShardedError NODE_IN_USE with the shards that cannot leave it, before anything is moved; and as `execute`
   * @example
   * await dataSource.topology.drain('c', { finish: true })
   * await dataSource.topology.remove('c') // and then take it out of the options
   */
  async drain(
    node: string,
    options: ExecuteOptions & Pick<PlanOptions, 'by'> = {},
  ): Promise<PlanResult<ShardMoveReport>> {
    const { by, ...execution } = options
    // What another call has begun belongs to this one, too.
    for (const { id, from, to, state } of await this.openMoves()) {
      if (from === node && state !== 'switched')
        await this.resumeMove(id, execution.signal && { signal: execution.signal })
      if (to === node && state === 'switched' && execution.finish) await this.finishMove(id)
    }
    const most = this.parts.runtime().map.shards.size
    const plan = await this.plan({ ...(by && { by }), drain: node, maxMoves: Math.max(1, most) })
    const { kept } = plan
    if (kept.length > 0)
      throw nodeInUse(
        node,
        kept.map(({ shard, reason }) => `shard ${shard} cannot leave it: ${reason}`),
      )
    return this.execute(plan, execution)
  }

  /**
   * Forgets a node on which nothing is left. Take it out of the options of all processes then: the next start without it is accepted.
   *
   * @throws ShardedError NODE_IN_USE with what is left: shards, moves, prepared transactions, the home node's own tables; OPTIONS_INVALID
   */
  async remove(node: string): Promise<void> {
    await this.parts.follow()
    await removeNode(node, { ...this.parts, open: await this.openMoves() })
  }

  /** Begins to count statements and keys anew. */
  resetLoad(): void {
    this.parts.loads()?.reset()
  }

  /** Closes the connections of moves. */
  async close(): Promise<void> {
    const opened = await this.opening?.catch(() => undefined)
    this.opening = undefined
    await Promise.all([...(opened?.values() ?? [])].map((pool) => pool.end()))
  }

  private async reportOf(host: MoveHost, move: ShardMove): Promise<ShardMoveReport> {
    const { id, shard, from, to, state, error, progress, startedAt, changedAt, resharding } = move
    const stored = this.parts.stored()
    const named = (identity: string): string => stored.nodeOf(identity) ?? identity
    const kind = resharding?.kind ?? 'move'
    const into = Object.freeze(resharding?.targets.map(({ name }) => name) ?? [shard])
    const places = { from: named(from), to: named(to) }
    const following = { wayBack: await readWayBack(host, move) }
    return Object.freeze({
      id,
      kind,
      shard,
      into,
      ...places,
      state,
      error,
      progress,
      ...following,
      startedAt,
      changedAt,
    })
  }

  /** @throws ShardedError OPTIONS_INVALID */
  private checkNode(node: string, call: string): void {
    const { nodes } = this.parts.runtime()
    if (nodes.includes(node)) return
    throw new ShardedError('OPTIONS_INVALID', `${call} names the node '${node}', which does not exist.`, {
      details: { node, nodes },
    })
  }

  private async openMoves(): Promise<readonly ShardMoveReport[]> {
    return (await this.moves()).filter(({ state }) => !isOver(state))
  }

  private pools(): Promise<NodePools> {
    const { options, warn } = this.parts
    this.opening ??= openMovePools(options(), warn).catch((error: unknown) => {
      this.opening = undefined
      throw error
    })
    return this.opening
  }

  private async reshardingHost(): Promise<ReshardingHost> {
    const { stored, catalog, follow } = this.parts
    const host = await this.host()
    return {
      ...host,
      router: (move) => rowRouter(move, catalog()),
      commitEpoch: async (move) => {
        const { group, resharding } = move
        if (!resharding) return host.commitEpoch(move)
        const { kind, before, owners, sources, targets } = resharding
        const databases = Object.fromEntries(targets.map(({ label, database }) => [label, database]))
        const [from, to] = [sources, targets].map((shards) => shards.map(({ name }) => name).join(', '))
        await stored().reassign({ group, before, owners, databases }, `${kind}: ${from} became ${to}`)
        await follow()
      },
    }
  }

  private async host(): Promise<MoveHost> {
    const { options, runtime, stored, points, warn, follow } = this.parts
    const pools = await this.pools()
    const urls = new Map<string, string>()
    for (const [name, node] of Object.entries(options().nodes)) urls.set(name, await replicationUrlOf(node))
    const nameOf = (identity: string): string => {
      const name = stored().nodeOf(identity)
      if (name !== undefined) return name
      throw new ShardedError('TOPOLOGY_MISMATCH', `No node connects to the database ${identity}.`, {
        details: { identity },
      })
    }
    const pool = (name: string): NodePool => {
      const found = pools.get(name)
      if (found) return found
      throw new RangeError(`There is no node ${name}.`)
    }
    return {
      home: pool(runtime().map.home),
      node: (identity) => pool(nameOf(identity)),
      replicationUrl: (identity) => urls.get(nameOf(identity)) ?? '',
      points,
      warn,
      commitEpoch: async ({ shard: name, from, to }) => {
        const { shard } = runtime().handle({ name })
        await stored().place(shard, to, `${name} moved from ${nameOf(from)} to ${nameOf(to)}`)
        await follow()
      },
    }
  }
}

const callsOf: Readonly<Record<Resharding['kind'], string>> = {
  split: 'splitShard',
  isolate: 'isolateKey',
  merge: 'mergeShards',
}

const refused = (shard: string, why: string, fix: string): ShardedError =>
  new ShardedError('SHARD_MOVE_REFUSED', `Shard ${shard} cannot be moved: ${why}.`, {
    details: { shard, missing: [why] },
    fix,
  })
