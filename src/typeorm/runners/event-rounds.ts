import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { restTogether } from './resting-broadcaster'

/** In which order TypeORM tells of the changes of one operation. */
export const changeKinds = ['Insert', 'Update', 'Remove', 'SoftRemove', 'Recover'] as const

export type ChangeKind = (typeof changeKinds)[number]

/** One change that listeners and subscribers are told of, before or after it. */
export interface ChangeEvent {
  readonly phase: 'Before' | 'After'
  readonly kind: ChangeKind
  readonly metadata: EntityMetadata
  readonly entity: ObjectLiteral | undefined
  /** Tells them; what they return is waited for by the result. */
  readonly tell: (result: BroadcasterResult) => void
}

interface Told {
  readonly event: ChangeEvent
  /** What TypeORM reads of the event on its shard. */
  readonly result: BroadcasterResult
}

interface Round {
  readonly told: Told[]
  readonly arrived: Set<RoundMember>
  readonly over: Promise<void>
  readonly end: (error?: { readonly reason: unknown }) => void
  isDue: boolean
}

/** One shard's part of an operation. */
export interface RoundMember {
  /** Tells of a change when all parts have come so far. */
  tell(result: BroadcasterResult, event: ChangeEvent): void
  /** The part has ended; with an error the other parts end at their next event. */
  end(error?: { readonly reason: unknown }): void
}

/**
 * The events of one save over several shards, told as of one operation. On one database TypeORM tells of all changes, then
 * makes them, then tells of all again: a subscriber sees none of the rows, or all. Each shard's part waits here until all
 * others have come as far. While subscribers have their turn no part sends a statement, so that a savepoint of theirs undoes
 * only their own work.
 *
 * All members must join before any of them works, and all must work at once: they wait for each other.
 */
export class EventRounds {
  private readonly live = new Set<RoundMember>()
  private round = newRound()
  private failure: { readonly reason: unknown } | undefined

  /** @param placeOf where an entity stands among those of the whole operation */
  constructor(private readonly placeOf: (entity: ObjectLiteral) => number) {}

  join(): RoundMember {
    const member: RoundMember = {
      tell: (result, event) => this.arrive(member, { result, event }),
      end: (error) => this.leave(member, error),
    }
    this.live.add(member)
    return member
  }

  private arrive(member: RoundMember, told: Told): void {
    const { round, failure } = this
    if (failure) {
      told.result.promises.push(Promise.reject(failure.reason))
      return
    }
    round.told.push(told)
    if (!round.arrived.has(member)) {
      round.arrived.add(member)
      told.result.promises.push(round.over)
    }
    this.proceed()
  }

  private leave(member: RoundMember, error: { readonly reason: unknown } | undefined): void {
    this.live.delete(member)
    if (error && !this.failure) {
      this.failure = error
      this.round.end(error)
    }
    this.proceed()
  }

  /** The member that comes last tells of all its changes at once: they are told of after that. */
  private proceed(): void {
    const { round, live, failure } = this
    // The others are not told that they have succeeded: all is rolled back.
    if (failure || round.isDue || round.arrived.size === 0 || round.arrived.size < live.size) return
    round.isDue = true
    queueMicrotask(() => void this.run(round))
  }

  private async run(round: Round): Promise<void> {
    this.round = newRound()
    try {
      const own = new BroadcasterResult()
      for (const { event, result } of this.inOrder(round.told)) {
        const told = own.count
        restTogether(own, () => event.tell(own))
        result.count += own.count - told
      }
      await own.wait()
      round.end()
    } catch (error) {
      round.end({ reason: error })
    }
  }

  /** As TypeORM tells of them on one database: by kind; after inserts and removals class by class, as these were made. */
  private inOrder(told: readonly Told[]): readonly Told[] {
    const classes = [...new Set(told.map(({ event }) => event.metadata))]
    const rankOf = ({ event }: Told): readonly number[] => {
      const { phase, kind, metadata, entity } = event
      const isByClass = phase === 'After' && (kind === 'Insert' || kind === 'Remove')
      return [
        changeKinds.indexOf(kind),
        isByClass ? classes.indexOf(metadata) : 0,
        entity ? this.placeOf(entity) : Number.MAX_SAFE_INTEGER,
      ]
    }
    const ranked = told.map((one) => ({ one, rank: rankOf(one) }))
    return ranked.sort((a, b) => compareRanks(a.rank, b.rank)).map(({ one }) => one)
  }
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function newRound(): Round {
  let end: Round['end'] = () => undefined
  const over = new Promise<void>((resolve, reject) => {
    end = (error) => (error ? reject(error.reason) : resolve())
  })
  // A member that has failed by itself waits for no round.
  over.catch(() => undefined)
  return { told: [], arrived: new Set(), over, end, isDue: false }
}
