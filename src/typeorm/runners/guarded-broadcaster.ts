import type { DataSource, EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm'
import type { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import type { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { placeholderSchema } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import { primaryKeyText } from '../binding/primary-key-text'
import { type ChangeEvent, type ChangeKind, changeKinds, type RoundMember } from './event-rounds'
import type { KeyGuard } from './key-guard'
import type { ObjectSnapshots } from './object-snapshots'
import { RestingBroadcaster, restTogether } from './resting-broadcaster'
import type { ShardTransaction } from './shard-transaction'

/** Who tells listeners and subscribers of what a shard writes: its runner at once, the rounds of an operation, or others. */
export type Telling = 'at-once' | 'not-here' | RoundMember

/** A query runner of a shard whose events these are, and the one that users are to see in its place. */
interface EventHost extends QueryRunner {
  readonly dataSource: DataSource
  /** Made when it is first asked for. */
  readonly application: QueryRunner
  /** The transaction that it is in. */
  readonly transaction: ShardTransaction | undefined
}

interface Change {
  readonly kind: ChangeKind
  readonly metadata: EntityMetadata
  readonly entity: ObjectLiteral | undefined
  /** Of an update: the row as it is. */
  readonly databaseEntity: ObjectLiteral | undefined
}

/** What is otherwise than usual while some work runs. */
interface Setting {
  /** The first load of each of these rows shows the row otherwise than it is. */
  shown: readonly LoadOverride[]
  /** What is written is kept as it is when all listeners had their turn. */
  snapshots: readonly ObjectSnapshots[]
  /** Others tell of what is changed, or tell in their rounds. */
  telling: Telling
  /** What each UPDATE that TypeORM sends waits for. */
  beforeUpdate: ((update: RowUpdate) => Promise<void>) | undefined
  /** TypeORM saves or removes objects: every statement of the runner is one that TypeORM makes. */
  persists: boolean
}

/** An UPDATE of one row that TypeORM is about to send: the row's primary key, and the values that it sets. */
export interface RowUpdate {
  readonly metadata: EntityMetadata
  readonly criteria: unknown
  readonly values: ObjectLiteral
}

type Tell = (result: BroadcasterResult, ...about: unknown[]) => void

/**
 * The events of a shard's query runner, with the guard after all listeners and subscribers. The guard is no subscriber:
 * TypeORM computes every change anew after a subscriber had its turn, and sends it the events of every query and load.
 *
 * The one place that decides what of a shard's query runner subscribers see: the application's query runner, its manager and
 * its data source. An event's manager so reads and writes all shards, and within the transaction that the event is of.
 */
export class GuardedBroadcaster extends RestingBroadcaster {
  readonly setting: Setting = { shown: [], snapshots: [], telling: 'at-once', beforeUpdate: undefined, persists: false }

  constructor(
    private readonly host: EventHost,
    private readonly guard: KeyGuard,
    private readonly shard: Shard,
  ) {
    super(host)
  }

  static {
    // The field is private to TypeORM, whose events are made of it. Where nobody listens, it makes none.
    const { prototype } = GuardedBroadcaster
    Object.defineProperty(prototype, 'queryRunner', {
      get(this: GuardedBroadcaster) {
        const { host } = this
        return host === undefined || host.dataSource.subscribers.length === 0 ? host : host.application
      },
      // TypeORM's constructor sets it.
      set() {},
    })
    for (const phase of ['Before', 'After'] as const) {
      for (const kind of changeKinds) {
        const name = `broadcast${phase}${kind}Event` as const
        // They differ in what comes behind the entity, which is passed on as it is.
        const broadcast = RestingBroadcaster.prototype[name] as Tell
        prototype[name] = function (
          ...[result, metadata, entity, ...rest]: Parameters<Broadcaster['broadcastBeforeUpdateEvent']>
        ): void {
          const tell = (own: BroadcasterResult) => broadcast.call(this, own, metadata, entity, ...rest)
          if (phase === 'After') this.tell(result, { phase, kind, metadata, entity, tell })
          else this.before(result, { kind, metadata, entity, databaseEntity: rest[0] }, tell)
        }
      }
    }
  }

  override broadcastLoadEvent(...event: Parameters<Broadcaster['broadcastLoadEvent']>): void {
    const [, metadata, entities] = event
    for (const row of this.setting.shown) {
      if (row.table !== metadata.tableName) continue
      const loaded = entities.find(
        (entity) => primaryKeyText(metadata, entity) === row.primaryKey && isWhole(metadata, entity),
      )
      if (!loaded) continue
      row.show(loaded)
      this.setting.shown = this.setting.shown.filter((one) => one !== row)
    }
    super.broadcastLoadEvent(...event)
  }

  /** Tells of a change that is to come. Then, after all that were told, what listeners changed is kept, and the guard looks. */
  private before(result: BroadcasterResult, change: Change, tell: ChangeEvent['tell']): void {
    const { snapshots, telling } = this.setting
    const { kind, metadata, entity } = change
    const finish = (): Promise<void> | undefined => {
      if (entity) for (const one of snapshots) one.keep(entity, metadata)
      return this.check(change)
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
    const isHeard = metadata[`before${kind}Listeners`].length > 0 || this.host.dataSource.subscribers.length > 0
    if (typeof telling === 'string' && !isHeard) {
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

  /** The guard's look at a row that is to be written. */
  private check({ kind, metadata, entity, databaseEntity }: Change): Promise<void> | undefined {
    const { guard, shard, host } = this
    if (kind === 'Insert') {
      guard.checkInsert(shard, metadata, entity)
      if (!entity || !guard.isStale(metadata, entity)) return undefined
      return guard.checkStillHere(shard, { metadata, entity }, host.transaction)
    }
    if (kind !== 'Update') return undefined
    guard.checkUpdate(shard, metadata, { entity, databaseEntity })
    return entity && databaseEntity && guard.isMovable(metadata) ? this.holdRow(metadata, databaseEntity) : undefined
  }

  private tell(result: BroadcasterResult, event: ChangeEvent): void {
    const { telling } = this.setting
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
    const { records } = await this.host.query(text, values, true)
    if (records.length === 0) await this.guard.checkStillHere(this.shard, { metadata, entity }, this.host.transaction)
  }
}

/** False of what TypeORM loads to learn the ids of relations: primary keys and join columns. */
function isWhole({ columns }: EntityMetadata, entity: ObjectLiteral): boolean {
  const others = columns.filter((column) => !column.isPrimary && !column.relationMetadata && column.isSelect)
  return others.length === 0 || others.some((column) => column.getEntityValue(entity) !== undefined)
}

type Runner = Pick<QueryRunner, 'broadcaster'> | undefined

const guardOf = (runner: Runner): GuardedBroadcaster | undefined =>
  runner?.broadcaster instanceof GuardedBroadcaster ? runner.broadcaster : undefined

/** The setting of a shard's query runner. */
export const settingOf = (runner: Runner): Readonly<Setting> | undefined => guardOf(runner)?.setting

/** Runs work on a shard's query runner with another setting. */
export async function during<T>(runner: Runner, changes: Partial<Setting>, work: () => Promise<T>): Promise<T> {
  const setting = guardOf(runner)?.setting
  if (!setting) return work()
  const before = Object.fromEntries(Object.keys(changes).map((name) => [name, Reflect.get(setting, name)]))
  Object.assign(setting, changes)
  try {
    return await work()
  } finally {
    Object.assign(setting, before)
  }
}

/** Runs work on a shard's query runner; keeps the objects that it writes as they are when all listeners had their turn. */
export const keepingIn = <T>(runner: Runner, snapshots: ObjectSnapshots, work: () => Promise<T>): Promise<T> =>
  during(runner, { snapshots: [...(guardOf(runner)?.setting.snapshots ?? []), snapshots] }, work)

/** A row as it is to be shown to TypeORM once, when it is next loaded: one that has moved, or that has the id of a new object. */
export interface LoadOverride {
  /** Of its table: entities of an inheritance share one. */
  readonly table: string
  readonly primaryKey: string
  /** Changes the loaded row: to the shard key that it had, or to no id. */
  show(row: ObjectLiteral): void
}
