import type { EntityMetadata } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import type { NodePool } from '../../endpoints/node-pool'
import { type GiveBack, Permits } from '../../endpoints/permits'
import type { LookupModel } from '../../model/lookup'
import type { ShardMap } from '../../topology/shard-map'
import type { EntityBinding } from './entity-binding'
import { bindLookup, type LookupBinding } from './lookup-binding'

/** Another process may complete a lookup. A lookup that is incomplete so far is asked for again after this many milliseconds. */
const betweenLooksMs = 3_000

/** What lookups need of the data source that they are in. */
interface LookupSettings {
  /** Bounds the writes that may come to need a second node's connection while they hold one. */
  readonly writes: Permits
  /** Asks the home node which lookups are complete. */
  readonly askReady: () => Promise<Iterable<string>>
}

interface Bound {
  readonly map: ShardMap
  readonly bindings: ReadonlyMap<unknown, EntityBinding>
  readonly pools: readonly Pick<NodePool, 'size'>[]
  readonly askReady: LookupSettings['askReady']
}

/** The lookups of a model where they lie. @throws ShardedError LOOKUP_INVALID */
export function bindLookups({ lookups }: LookupModel, { map, bindings, pools, askReady }: Bound): Lookups {
  const bound = lookups.flatMap((lookup) => {
    const source = bindings.get(lookup.entity.target)
    return source ? [bindLookup(lookup, source, map.groups.get(lookup.name) ?? [])] : []
  })
  const spare = Math.min(...pools.map(({ size }) => size)) - 1
  if (bound.length === 0) return new Lookups(bound)
  return new Lookups(bound, { writes: new Permits('of any lookup', Math.max(1, spare)), askReady })
}

/** All lookups of a data source, and which of them are complete. */
export class Lookups {
  private readonly byGroup = new Map<string, LookupBinding[]>()
  private readonly byTable = new Map<string, LookupBinding[]>()
  private ready: ReadonlySet<string> = new Set()
  private nextLook = 0

  constructor(
    readonly all: readonly LookupBinding[],
    private readonly settings?: LookupSettings,
  ) {
    for (const one of all) {
      pushTo(this.byGroup, one.table.source.group, one)
      pushTo(this.byTable, one.table.source.table, one)
    }
  }

  /** True where a write to a group may change a lookup: its triggers tell. */
  maintains(group: string): boolean {
    return this.byGroup.has(group)
  }

  /** The lookups of a group's entities. */
  ofGroup(group: string): readonly LookupBinding[] {
    return this.byGroup.get(group) ?? []
  }

  /** Their names. */
  namesOf(group: string): readonly string[] {
    return this.ofGroup(group).map(({ table }) => table.name)
  }

  named(name: string): LookupBinding | undefined {
    return this.all.find(({ table }) => table.name === name)
  }

  /** The complete lookups of a table's rows, for reads. */
  readyOf({ tableName }: Pick<EntityMetadata, 'tableName'>): readonly LookupBinding[] {
    const all = this.byTable.get(tableName)
    return all ? all.filter(({ table }) => this.ready.has(table.name)) : []
  }

  /** Whether reads have any to use. Where some are not complete it looks now and then, behind the read's back, whether they are now. */
  anyReady(): boolean {
    if (this.ready.size < this.all.length) this.lookAgain()
    return this.ready.size > 0
  }

  setReady(names: Iterable<string>): void {
    this.ready = new Set(names)
  }

  /** It was declared anew by another process: reads of this one ask all shards. */
  setGone(name: string): void {
    this.setReady([...this.ready].filter((one) => one !== name))
  }

  private lookAgain(): void {
    const now = performance.now()
    if (now < this.nextLook) return
    this.nextLook = now + betweenLooksMs
    const { ready } = this
    void this.settings?.askReady().then(
      // What this process has heard of meanwhile is newer.
      (names) => void (this.ready === ready && this.setReady(names)),
      // A home node that does not answer fails the next operation that needs it.
      () => undefined,
    )
  }

  /**
   * Writes outside of transactions open the nodes of lookups when they know which: all of them at once could hold a
   * connection each and wait for one of the others'. One connection of each node is left to whoever is to go on.
   */
  async enterWrite(): Promise<GiveBack> {
    return (await this.settings?.writes.take()) ?? (() => undefined)
  }
}
