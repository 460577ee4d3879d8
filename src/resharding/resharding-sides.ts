import { tablesGone } from '../rebalancing/move-errors'
import type { MoveNode } from '../rebalancing/move-host'
import type { MoveSession } from '../rebalancing/move-session'
import { asOnlyDriver, inTransaction, onConnection, type Send, withPlainTexts } from '../rebalancing/on-node'
import type { ReshardedShard, Resharding } from '../rebalancing/resharding'
import { lockTables } from '../rebalancing/switch-shard'
import type { SwitchTries } from '../rebalancing/switch-tries'
import type { Side } from './copy-rows'
import { tablesAt } from './resharding-move'
import { type ShardTable, shardTables } from './shard-table'

/** What a resharding reads, and what it writes. Those of one database share a connection. */
export interface Sides {
  readonly sources: readonly Side[]
  readonly targets: readonly Side[]
}

export const sendsOf = (sides: readonly Side[]): ReadonlySet<Send> => new Set(sides.map(({ send }) => send))

/** Locks were not to be had in time: others go on, and it is tried again. */
class LocksBusy extends Error {}

export function whenBusy(error: unknown): boolean {
  if (error instanceof LocksBusy) return false
  throw error
}

/** One shard of each database. */
const distinct = (shards: readonly ReshardedShard[]): readonly ReshardedShard[] =>
  shards.filter(({ database }, index) => shards.findIndex((one) => one.database === database) === index)

/** The connection to a shard's database. */
function sendTo(databases: readonly ReshardedShard[], sends: readonly Send[], { database }: ReshardedShard): Send {
  const send = sends[databases.findIndex((one) => one.database === database)]
  if (send) return send
  throw new RangeError(`There is no connection to the database ${database}.`)
}

/** Opens one after the other, and works with all of them. */
function eachOf<One, Opened, T>(
  list: readonly One[],
  open: (one: One, use: (opened: Opened) => Promise<T>) => Promise<T>,
  work: (all: readonly Opened[]) => Promise<T>,
): Promise<T> {
  const [one, ...rest] = list
  if (one === undefined) return work([])
  return open(one, (opened) => eachOf(rest, open, (others) => work([opened, ...others])))
}

/** Connections to the databases of a resharding. */
export class ReshardingSides {
  /** By the names of shards. What changes of them is noticed before the switch. */
  private readonly tables = new Map<string, readonly ShardTable[]>()

  constructor(
    private readonly session: MoveSession,
    private readonly resharding: Resharding,
  ) {}

  node({ database }: ReshardedShard): MoveNode {
    return this.session.host.node(database)
  }

  /** The one session of this driver by which the database of a shard is changed. */
  at<T>(shard: ReshardedShard, work: (send: Send) => Promise<T>): Promise<T> {
    return this.session.on(shard.database, work)
  }

  async tablesOf(shard: ReshardedShard): Promise<readonly ShardTable[]> {
    const known = this.tables.get(shard.name)
    if (known) return known
    const found = await onConnection(this.node(shard), (send) =>
      inTransaction(send, () => shardTables(send, tablesAt(this.resharding, shard))),
    )
    this.tables.set(shard.name, found)
    return found
  }

  async sideOf(shard: ReshardedShard, send: Send): Promise<Side> {
    return { shard, send, tables: await this.tablesOf(shard) }
  }

  async withSides<T>(
    work: (sides: Sides) => Promise<T>,
    shards: readonly ReshardedShard[] = this.resharding.sources,
  ): Promise<T> {
    const databases = distinct(shards)
    return this.withTargets((targets) =>
      eachOf<ReshardedShard, Send, T>(
        databases,
        (one, use) => onConnection(this.node(one), (send) => withPlainTexts(send, () => use(send))),
        async (sends) => {
          const sources = shards.map((shard) => this.sideOf(shard, sendTo(databases, sends, shard)))
          return work({ sources: await Promise.all(sources), targets })
        },
      ),
    )
  }

  withTargets<T>(work: (targets: readonly Side[]) => Promise<T>): Promise<T> {
    const { targets } = this.resharding
    const databases = distinct(targets)
    return eachOf<ReshardedShard, Send, T>(
      databases,
      (one, use) => this.at(one, (send) => withPlainTexts(send, () => use(send))),
      async (sends) =>
        work(await Promise.all(targets.map((shard) => this.sideOf(shard, sendTo(databases, sends, shard))))),
    )
  }

  /**
   * All tables of some sources are locked, each database in one transaction on a session of its own. It is rolled back where `work` does
   * not commit it.
   *
   * @throws LocksBusy
   */
  withLocks<T>(
    { sources, tries }: { readonly sources: readonly ReshardedShard[]; readonly tries: SwitchTries },
    work: (locked: (shard: ReshardedShard) => Send) => Promise<T>,
  ): Promise<T> {
    const databases = distinct(sources)
    const { id } = this.session.move
    // Beside the session by which targets of the same database are written.
    const lock = { move: { id: `${id}/lock` }, confirm: this.session.confirm }
    return eachOf<ReshardedShard, Send, T>(
      databases,
      (one, use) =>
        asOnlyDriver(this.node(one), lock, async (send) => {
          const own = sources.filter(({ database }) => database === one.database)
          await this.lock(send, own, tries)
          const result = await use(send)
          await send('ROLLBACK')
          return result
        }),
      (sends) => work((shard) => sendTo(databases, sends, shard)),
    )
  }

  private async lock(send: Send, shards: readonly ReshardedShard[], tries: SwitchTries): Promise<void> {
    const { move, bounds } = this.session
    const tables = shards.flatMap((shard) => tablesAt(this.resharding, shard))
    const outcome = await lockTables(send, await tries.lockOrder(send, { ...move, tables }), bounds)
    if (outcome === 'busy') throw new LocksBusy()
    if (outcome === 'absent') throw tablesGone(move)
  }
}
