import type { ReshardingControlPoint, ShardMoveControlPoint } from '../transactions/control-point'
import { boundsOf, type MoveBounds, type MoveHost } from './move-host'
import type { Driver, MoveLog } from './move-log'
import { asOnlyDriver, type Send } from './on-node'
import type { ShardMove } from './shard-move'
import type { MoveEvent } from './shard-move-state'

export interface SessionSettings {
  readonly host: MoveHost
  readonly log: MoveLog
  readonly driver: Driver
  readonly signal: AbortSignal
}

/** A move in the hands of its driver: what is stored of it, and how its nodes are reached by nobody else. */
export class MoveSession {
  readonly bounds: MoveBounds
  readonly confirm = (): Promise<void> => this.settings.log.renew(this.current.id, this.settings.driver)

  constructor(
    private current: ShardMove,
    private readonly settings: SessionSettings,
  ) {
    this.bounds = boundsOf(settings.host)
  }

  /** As it was stored last. */
  get move(): ShardMove {
    return this.current
  }

  get host(): MoveHost {
    return this.settings.host
  }

  get signal(): AbortSignal {
    return this.settings.signal
  }

  /** Reads the move as it is stored: a step that failed may have stored more than this driver was told of. */
  async refresh(): Promise<ShardMove> {
    this.current = await this.settings.log.read(this.current.id)
    return this.current
  }

  /** Stores the state that follows upon an event. */
  async advance(memory: ShardMove['memory'] = {}, event: MoveEvent = 'done'): Promise<void> {
    this.current = await this.settings.log.advance(this.current, this.settings.driver, { event, memory })
  }

  note(noted: Parameters<MoveLog['note']>[2]): Promise<void> {
    return this.settings.log.note(this.current.id, this.settings.driver, noted)
  }

  reach(point: ShardMoveControlPoint | ReshardingControlPoint): Promise<void> {
    return this.settings.host.points.reach(point, this.current.shard)
  }

  /** As the only driver of the move on the node that the shard was on. */
  atSource<T>(work: (send: Send) => Promise<T>): Promise<T> {
    return this.on(this.current.from, work)
  }

  /** As the only driver of the move on the node that the shard comes to. */
  atTarget<T>(work: (send: Send) => Promise<T>): Promise<T> {
    return this.on(this.current.to, work)
  }

  /** As the only driver of the move in a database. */
  on<T>(identity: string, work: (send: Send) => Promise<T>): Promise<T> {
    return asOnlyDriver(this.settings.host.node(identity), { move: this.current, confirm: this.confirm }, work)
  }
}
