import type { EntityMetadata } from 'typeorm'
import { pushTo } from '../collections/push-to'
import type { NodePool } from '../execution/node-pool'
import { type GiveBack, Permits } from '../execution/permits'
import type { LookupModel } from '../metadata/lookup'
import type { ShardMap } from '../topology/shard-map'
import type { EntityBinding } from './entity-binding'
import { bindLookup, type LookupBinding } from './lookup-binding'

interface Bound {
  readonly map: ShardMap
  readonly bindings: ReadonlyMap<unknown, EntityBinding>
  readonly pools: readonly Pick<NodePool, 'size'>[]
}

/** The lookups of a model where they lie. @throws ShardedError LOOKUP_INVALID */
export function bindLookups({ lookups }: LookupModel, { map, bindings, pools }: Bound): Lookups {
  const bound = lookups.flatMap((lookup) => {
    const source = bindings.get(lookup.entity.target)
    return source ? [bindLookup(lookup, source, map.groups.get(lookup.name) ?? [])] : []
  })
  const spare = Math.min(...pools.map(({ size }) => size)) - 1
  return new Lookups(bound, bound.length > 0 ? new Permits('of any lookup', Math.max(1, spare)) : undefined)
}

/** All lookups of a data source, and which of them are complete. */
export class Lookups {
  private readonly byGroup = new Map<string, LookupBinding[]>()
  private readonly byTable = new Map<string, LookupBinding[]>()
  private ready: ReadonlySet<string> = new Set()

  /** @param writes bounds the writes that may come to need a second node's connection while they hold one */
  constructor(
    readonly all: readonly LookupBinding[],
    private readonly writes: Permits | undefined,
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

  named(name: string): LookupBinding | undefined {
    return this.all.find(({ table }) => table.name === name)
  }

  /** The complete lookups of a table's rows, for reads. */
  readyOf({ tableName }: Pick<EntityMetadata, 'tableName'>): readonly LookupBinding[] {
    const all = this.byTable.get(tableName)
    return all ? all.filter(({ table }) => this.ready.has(table.name)) : []
  }

  get hasReady(): boolean {
    return this.ready.size > 0
  }

  isReady(name: string): boolean {
    return this.ready.has(name)
  }

  setReady(names: Iterable<string>): void {
    this.ready = new Set(names)
  }

  /**
   * Writes outside of transactions open the nodes of lookups when they know which: all of them at once could hold a
   * connection each and wait for one of the others'. One connection of each node is left to whoever is to go on.
   */
  async enterWrite(): Promise<GiveBack> {
    return (await this.writes?.take()) ?? (() => undefined)
  }
}
