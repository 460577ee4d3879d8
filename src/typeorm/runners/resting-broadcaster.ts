import type { QueryRunner } from 'typeorm'
import { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import type { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'

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

const nothing = Promise.resolve()

/** TypeORM's broadcaster, whose listeners and subscribers come to rest before a failure of one of them goes on. */
export class RestingBroadcaster extends Broadcaster {
  static {
    // What `Reflect` gets has no type.
    const broadcast = Reflect.get(Broadcaster.prototype, 'broadcast') as (...event: unknown[]) => Promise<void>
    const { prototype } = RestingBroadcaster
    // Where nobody listens, a query costs no round of promises.
    prototype.broadcast = function (event: string, ...about: unknown[]): Promise<void> {
      // Private to TypeORM, which reads it at each event.
      const { dataSource } = Reflect.get(this, 'queryRunner') as QueryRunner
      if (ofSubscribers.test(event) && dataSource.subscribers.length === 0) return nothing
      return broadcast.call(this, event, ...about)
    }
    for (const name of Object.getOwnPropertyNames(Broadcaster.prototype)) {
      if (!/^broadcast.+Event$/.test(name)) continue
      // Each takes a result first, as the pattern of its name says.
      const tell = Reflect.get(Broadcaster.prototype, name) as Tell
      Reflect.set(prototype, name, function (this: RestingBroadcaster, ...event: Parameters<Tell>): void {
        restTogether(event[0], () => tell.apply(this, event))
      })
    }
  }
}
