import type { DataSource, EntityMetadata, QueryRunner } from 'typeorm'
import { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import type { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import type { ShardTransaction } from './shard-transaction'

type Tell = (result: BroadcasterResult, ...event: readonly unknown[]) => void

/** What one round of events has given so far. */
interface Given {
  readonly promises: Promise<unknown>[]
  failure: { readonly reason: unknown } | undefined
  /** A listener threw at once: TypeORM tells nobody else then. */
  hasThrown: boolean
}

const givenTo = new WeakMap<BroadcasterResult, Given>()
let telling: BroadcasterResult | undefined

/**
 * Tells listeners and subscribers of an event. When one of them fails, the failure is known to the operation after all that
 * were told by the same result have come to rest. TypeORM rolls back at the first failure: a subscriber that still worked
 * would write after the ROLLBACK, and its row would stay.
 */
export function restTogether(result: BroadcasterResult, tell: () => void): void {
  // The call around this one waits for these promises.
  if (telling === result) {
    tell()
    return
  }
  if (givenTo.get(result)?.hasThrown) return
  const { promises } = result
  const told = promises.length
  const around = telling
  telling = result
  let thrown: { readonly reason: unknown } | undefined
  try {
    tell()
  } catch (reason) {
    thrown = { reason }
    promises.push(Promise.reject(reason))
  } finally {
    telling = around
  }
  if (promises.length === told) return
  const given = givenTo.get(result) ?? { promises: [], failure: undefined, hasThrown: false }
  givenTo.set(result, given)
  given.failure ??= thrown
  given.hasThrown = thrown !== undefined
  for (const promise of promises.splice(told)) {
    given.promises.push(promise)
    promises.push(promise.catch((reason: unknown) => failAtRest(given, reason)))
  }
}

async function failAtRest(given: Given, reason: unknown): Promise<never> {
  given.failure ??= { reason }
  const { failure } = given
  await Promise.allSettled(given.promises)
  throw failure.reason
}

/** Events that subscribers alone hear of: of queries and transactions. Entities have listeners of their own. */
const ofSubscribers = /Query|Transaction/

type ListenersOfChange = `${'before' | 'after'}${'Insert' | 'Update' | 'Remove' | 'SoftRemove' | 'Recover'}Listeners`

/** Where TypeORM's metadata have the listeners of a change. A load is told to those of related entities too. */
const listenersOf = (name: string): ListenersOfChange | undefined => {
  const change = /^broadcast(Before|After)((?:Soft)?(?:Insert|Update|Remove|Recover))Event$/.exec(name)
  if (!change) return undefined
  // The two parts of the name are those of the expression.
  return `${change[1] === 'Before' ? 'before' : 'after'}${change[2]}Listeners` as ListenersOfChange
}

const nothing = Promise.resolve()

/** TypeORM's broadcaster, whose listeners and subscribers come to rest before a failure of one of them goes on. */
export class RestingBroadcaster extends Broadcaster {
  /** Whether there is anybody to tell of an event: an entity has listeners of it, or the data source subscribers. */
  protected isHeard(listeners: readonly unknown[] | undefined): boolean {
    return (listeners !== undefined && listeners.length > 0) || this.hasSubscribers
  }

  private get hasSubscribers(): boolean {
    // Private to TypeORM, which reads it at each event.
    const { dataSource } = Reflect.get(this, 'queryRunner') as QueryRunner
    return dataSource.subscribers.length > 0
  }

  static {
    // What `Reflect` gets has no type.
    const broadcast = Reflect.get(Broadcaster.prototype, 'broadcast') as (...event: unknown[]) => Promise<void>
    Reflect.defineProperty(RestingBroadcaster.prototype, 'broadcast', {
      configurable: true,
      writable: true,
      // Where nobody listens, a query costs no round of promises.
      value(this: RestingBroadcaster, event: string, ...about: unknown[]): Promise<void> {
        if (ofSubscribers.test(event) && !this.hasSubscribers) return nothing
        return broadcast.call(this, event, ...about)
      },
    })
    for (const name of Object.getOwnPropertyNames(Broadcaster.prototype)) {
      if (!/^broadcast.+Event$/.test(name)) continue
      // Each takes a result first, as the pattern of its name says.
      const tell = Reflect.get(Broadcaster.prototype, name) as Tell
      const needsSubscriber = ofSubscribers.test(name)
      const listeners = listenersOf(name)
      Reflect.defineProperty(RestingBroadcaster.prototype, name, {
        configurable: true,
        writable: true,
        value(this: RestingBroadcaster, result: BroadcasterResult, ...event: unknown[]): void {
          if (needsSubscriber && !this.hasSubscribers) return
          // The events of changes are told with the metadata of their entity.
          if (listeners && !this.isHeard((event[0] as EntityMetadata)[listeners])) return
          restTogether(result, () => tell.call(this, result, ...event))
        },
      })
    }
  }
}

/** A query runner of a shard, and the one that users are to see in its place. */
export interface EventHost extends QueryRunner {
  readonly dataSource: DataSource
  /** Made when it is first asked for. */
  readonly application: QueryRunner
}

/**
 * The one place that decides what of a shard's query runner subscribers see: the application's query runner, its manager and
 * its data source. An event's manager so reads and writes all shards, and within the transaction that the event is of.
 */
export class ApplicationBroadcaster extends RestingBroadcaster {
  constructor(readonly host: EventHost) {
    super(host)
  }

  static {
    // The field is private to TypeORM, whose events are made of it. Where nobody listens, it makes none.
    Object.defineProperty(ApplicationBroadcaster.prototype, 'queryRunner', {
      get(this: ApplicationBroadcaster) {
        const { host } = this
        return host === undefined || host.dataSource.subscribers.length === 0 ? host : host.application
      },
      // TypeORM's constructor sets it.
      set() {},
    })
  }
}

/** Tells subscribers of rows, and not of the transaction around them. */
class RowEventsBroadcaster extends RestingBroadcaster {
  override broadcastBeforeTransactionStartEvent(): void {}
  override broadcastAfterTransactionStartEvent(): void {}
  override broadcastBeforeTransactionCommitEvent(): void {}
  override broadcastAfterTransactionCommitEvent(): void {}
  override broadcastBeforeTransactionRollbackEvent(): void {}
  override broadcastAfterTransactionRollbackEvent(): void {}
}

/** A transaction that subscribers do not hear of: on one database, one statement needs none. */
export const withoutTransactionEvents =
  (openRunner: () => ShardTransaction): (() => ShardTransaction) =>
  () => {
    const runner = openRunner()
    return Object.assign(runner, { broadcaster: new RowEventsBroadcaster(runner) })
  }
