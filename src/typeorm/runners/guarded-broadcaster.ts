import type { EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm'
import type { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import type { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { placeholderSchema } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import { primaryKeyText } from '../binding/primary-key-text'
import { ApplicationBroadcaster, type EventHost } from './application-broadcaster'
import type { ChangeEvent, ChangeKind, RoundMember } from './event-rounds'
import type { KeyGuard } from './key-guard'
import type { LoadOverride } from './load-override'
import type { ObjectSnapshots } from './object-snapshots'
import { restTogether } from './resting-broadcaster'
import type { ShardTransaction } from './shard-transaction'

/** Who tells listeners and subscribers of what a shard writes: its runner at once, the rounds of an operation, or others. */
export type Telling = 'at-once' | 'not-here' | RoundMember

/** A query runner of a shard whose events these are. */
export interface GuardedHost extends EventHost {
  /** The transaction that it is in. */
  readonly transaction: ShardTransaction | undefined
}

interface Change {
  readonly result: BroadcasterResult
  readonly metadata: EntityMetadata
  readonly entity: ObjectLiteral | undefined
}

/**
 * The events of a shard's query runner, with the guard after all listeners and subscribers. The guard is no subscriber:
 * TypeORM computes every change anew after a subscriber had its turn, and sends it the events of every query and load.
 */
export class GuardedBroadcaster extends ApplicationBroadcaster {
  private shown: readonly LoadOverride[] = []
  private snapshots: readonly ObjectSnapshots[] = []
  private telling: Telling = 'at-once'

  constructor(
    private readonly guarded: GuardedHost,
    private readonly guard: KeyGuard,
    private readonly shard: Shard,
  ) {
    super(guarded)
  }

  /** While the work runs, its first load of each of these rows shows the row otherwise than it is. */
  async showing<T>(rows: readonly LoadOverride[], work: () => Promise<T>): Promise<T> {
    const { shown: before } = this
    this.shown = rows
    try {
      return await work()
    } finally {
      this.shown = before
    }
  }

  /** Keeps what is written while the work runs as it is when all listeners had their turn. */
  async keeping<T>(snapshots: ObjectSnapshots, work: () => Promise<T>): Promise<T> {
    const { snapshots: before } = this
    this.snapshots = [...before, snapshots]
    try {
      return await work()
    } finally {
      this.snapshots = before
    }
  }

  /** Has others tell of what the work changes, or tells in their rounds. */
  async tellingBy<T>(telling: Telling, work: () => Promise<T>): Promise<T> {
    const { telling: before } = this
    this.telling = telling
    try {
      return await work()
    } finally {
      this.telling = before
    }
  }

  override broadcastLoadEvent(...event: Parameters<Broadcaster['broadcastLoadEvent']>): void {
    const [, metadata, entities] = event
    for (const row of this.shown) {
      if (row.table !== metadata.tableName) continue
      const loaded = entities.find(
        (entity) => primaryKeyText(metadata, entity) === row.primaryKey && isWhole(metadata, entity),
      )
      if (!loaded) continue
      row.show(loaded)
      this.shown = this.shown.filter((one) => one !== row)
    }
    super.broadcastLoadEvent(...event)
  }

  override broadcastBeforeInsertEvent(...event: Parameters<Broadcaster['broadcastBeforeInsertEvent']>): void {
    const [result, metadata, entity] = event
    this.before(
      'Insert',
      { result, metadata, entity },
      {
        tell: (own) => super.broadcastBeforeInsertEvent(own, metadata, entity),
        check: () => {
          this.guard.checkInsert(this.shard, metadata, entity)
          if (!entity || !this.guard.isStale(metadata, entity)) return undefined
          return this.guard.checkStillHere(this.shard, { metadata, entity }, this.guarded.transaction)
        },
      },
    )
  }

  override broadcastBeforeUpdateEvent(...event: Parameters<Broadcaster['broadcastBeforeUpdateEvent']>): void {
    const [result, metadata, entity, databaseEntity, ...changed] = event
    this.before(
      'Update',
      { result, metadata, entity },
      {
        tell: (own) => super.broadcastBeforeUpdateEvent(own, metadata, entity, databaseEntity, ...changed),
        check: () => {
          this.guard.checkUpdate(this.shard, metadata, { entity, databaseEntity })
          if (!entity || !databaseEntity || !this.guard.isMovable(metadata)) return undefined
          return this.holdRow(metadata, databaseEntity)
        },
      },
    )
  }

  override broadcastBeforeRemoveEvent(...event: Parameters<Broadcaster['broadcastBeforeRemoveEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastBeforeRemoveEvent(own, metadata, entity, ...rest)
    this.before('Remove', { result, metadata, entity }, { tell })
  }

  override broadcastBeforeSoftRemoveEvent(...event: Parameters<Broadcaster['broadcastBeforeSoftRemoveEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastBeforeSoftRemoveEvent(own, metadata, entity, ...rest)
    this.before('SoftRemove', { result, metadata, entity }, { tell })
  }

  override broadcastBeforeRecoverEvent(...event: Parameters<Broadcaster['broadcastBeforeRecoverEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastBeforeRecoverEvent(own, metadata, entity, ...rest)
    this.before('Recover', { result, metadata, entity }, { tell })
  }

  override broadcastAfterInsertEvent(...event: Parameters<Broadcaster['broadcastAfterInsertEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastAfterInsertEvent(own, metadata, entity, ...rest)
    this.tell(result, { phase: 'After', kind: 'Insert', metadata, entity, tell })
  }

  override broadcastAfterUpdateEvent(...event: Parameters<Broadcaster['broadcastAfterUpdateEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastAfterUpdateEvent(own, metadata, entity, ...rest)
    this.tell(result, { phase: 'After', kind: 'Update', metadata, entity, tell })
  }

  override broadcastAfterRemoveEvent(...event: Parameters<Broadcaster['broadcastAfterRemoveEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastAfterRemoveEvent(own, metadata, entity, ...rest)
    this.tell(result, { phase: 'After', kind: 'Remove', metadata, entity, tell })
  }

  override broadcastAfterSoftRemoveEvent(...event: Parameters<Broadcaster['broadcastAfterSoftRemoveEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastAfterSoftRemoveEvent(own, metadata, entity, ...rest)
    this.tell(result, { phase: 'After', kind: 'SoftRemove', metadata, entity, tell })
  }

  override broadcastAfterRecoverEvent(...event: Parameters<Broadcaster['broadcastAfterRecoverEvent']>): void {
    const [result, metadata, entity, ...rest] = event
    const tell = (own: BroadcasterResult) => super.broadcastAfterRecoverEvent(own, metadata, entity, ...rest)
    this.tell(result, { phase: 'After', kind: 'Recover', metadata, entity, tell })
  }

  /** Tells of a change that is to come. Then, after all that were told, what listeners changed is kept, and the guard looks. */
  private before(
    kind: ChangeKind,
    { result, metadata, entity }: Change,
    { tell, check }: { tell: ChangeEvent['tell']; check?: () => Promise<void> | undefined },
  ): void {
    const { snapshots, telling } = this
    const finish = (): Promise<void> | undefined => {
      if (entity) for (const one of snapshots) one.keep(entity, metadata)
      return check?.()
    }
    /** What it throws is what it returns: to throw would leave what others have promised of earlier changes to nobody. */
    const finishAfter = (told: readonly unknown[]): Promise<void> | undefined => {
      if (told.length > 0) return Promise.all(told).then(finish)
      try {
        return finish()
      } catch (error) {
        return Promise.reject(error)
      }
    }
    // Nobody is told, and so nobody waited for: the guard alone looks.
    if (typeof telling === 'string' && !this.isHeard(metadata[`before${kind}Listeners`])) {
      const checked = finishAfter([])
      checked?.catch(() => undefined)
      if (checked) restTogether(result, () => result.promises.push(checked))
      return
    }
    const tellAll = (own: BroadcasterResult): void => {
      const before = own.promises.length
      if (telling !== 'not-here') tell(own)
      const checked = finishAfter(own.promises.slice(before))
      // A subscriber that throws at a later change ends the telling, and nobody waits for this.
      checked?.catch(() => undefined)
      if (checked) own.promises.push(checked)
    }
    if (typeof telling === 'string') restTogether(result, () => tellAll(result))
    else telling.tell(result, { phase: 'Before', kind, metadata, entity, tell: tellAll })
  }

  private tell(result: BroadcasterResult, event: ChangeEvent): void {
    const { telling } = this
    if (telling === 'at-once') event.tell(result)
    else if (telling !== 'not-here') telling.tell(result, event)
  }

  /**
   * Locks the row of an update. TypeORM does not look whether its UPDATE found one: of a row that moves away at the same
   * time, the change would be lost.
   */
  private async holdRow(metadata: EntityMetadata, entity: ObjectLiteral): Promise<void> {
    const { driver } = metadata.dataSource
    const where = metadata.primaryColumns.map(({ databaseName }, index) => `${quoted(databaseName)} = $${index + 1}`)
    const values = metadata.primaryColumns.map((column): unknown =>
      driver.preparePersistentValue(column.getEntityValue(entity), column),
    )
    const text = `SELECT 1 FROM "${placeholderSchema}".${quoted(metadata.tableName)} WHERE ${where.join(' AND ')} FOR UPDATE`
    const { records } = await this.guarded.query(text, values, true)
    if (records.length === 0)
      await this.guard.checkStillHere(this.shard, { metadata, entity }, this.guarded.transaction)
  }
}

/** False of what TypeORM loads to learn the ids of relations: primary keys and join columns. */
function isWhole({ columns }: EntityMetadata, entity: ObjectLiteral): boolean {
  const others = columns.filter((column) => !column.isPrimary && !column.relationMetadata && column.isSelect)
  return others.length === 0 || others.some((column) => column.getEntityValue(entity) !== undefined)
}

/** Runs a save on a shard's query runner that is to see these rows as they are shown. */
export function showingIn<T>(
  runner: Pick<QueryRunner, 'broadcaster'> | undefined,
  rows: readonly LoadOverride[],
  work: () => Promise<T>,
): Promise<T> {
  const { broadcaster } = runner ?? {}
  return broadcaster instanceof GuardedBroadcaster ? broadcaster.showing(rows, work) : work()
}

/** Runs work on a shard's query runner; keeps the objects that it writes as they are when all listeners had their turn. */
export function keepingIn<T>(
  runner: Pick<QueryRunner, 'broadcaster'> | undefined,
  snapshots: ObjectSnapshots,
  work: () => Promise<T>,
): Promise<T> {
  const { broadcaster } = runner ?? {}
  return broadcaster instanceof GuardedBroadcaster ? broadcaster.keeping(snapshots, work) : work()
}

/** Runs work on a shard's query runner, of whose changes others tell, or tell in rounds. */
export function tellingBy<T>(
  runner: Pick<QueryRunner, 'broadcaster'> | undefined,
  telling: Telling,
  work: () => Promise<T>,
): Promise<T> {
  const { broadcaster } = runner ?? {}
  return broadcaster instanceof GuardedBroadcaster ? broadcaster.tellingBy(telling, work) : work()
}
