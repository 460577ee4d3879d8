import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { pushTo } from '../../collections/push-to'
import type { NodePool } from '../../endpoints/node-pool'
import { type GiveBack, Permits } from '../../endpoints/permits'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { captureNames } from '../../lookups/capture-sql'
import { constraintOn, type LookupColumn, type LookupEntry, type LookupTable } from '../../lookups/lookup-table'
import type { Lookup, LookupModel } from '../../model/lookup'
import type { Shard } from '../../topology/shard'
import { ownersOf, type ShardMap } from '../../topology/shard-map'
import type { UnitOwners } from '../../topology/unit-owners'
import { canonicalKey } from '../../values/canonical-key'
import { maxNameBytes } from '../../values/max-name-bytes'
import { type ApartKeys, noApartKeys } from './apart-keys'
import { isEnum } from './describe-entities'
import type { EntityBinding } from './entity-binding'

/** A lookup where the model, TypeORM's metadata and the shards meet. */
export interface LookupBinding {
  readonly lookup: Lookup
  readonly table: LookupTable
  /** Its own shards, by their index. */
  readonly shards: readonly Shard[]
  readonly owners: UnitOwners
  /** The entity whose rows it finds. */
  readonly source: EntityBinding
}

/** @throws ShardedError LOOKUP_INVALID */
function bindLookup(lookup: Lookup, source: EntityBinding, map: ShardMap): LookupBinding {
  const shards = map.groups.get(lookup.name) ?? []
  const owners = ownersOf(map, lookup.name)
  const table = lookupTable(lookup, source)
  const named = [
    ...shards.map((shard) => constraintOn(table, shard)),
    ...source.shards.flatMap((shard) => captureNames(table, shard)),
  ]
  const long = named.find((name) => Buffer.byteLength(name) > maxNameBytes)
  if (long === undefined) return Object.freeze({ lookup, table, shards, owners, source })
  throw new ShardedError(
    'LOOKUP_INVALID',
    `${lookup.entity.name}: the name "${long}" that ${lookup.name} needs is longer than ${maxNameBytes} bytes.`,
    { details: { entity: lookup.entity.name, lookup: lookup.name, name: long } },
  )
}

function lookupTable(lookup: Lookup, { entity, metadata }: EntityBinding): LookupTable {
  const values = lookup.columns.map(({ propertyPath, type }) => describe(metadata, propertyPath, type))
  const columns: LookupColumn[] = []
  const placeOf = (column: LookupColumn): number => {
    const known = columns.findIndex(({ name }) => name === column.name)
    return known < 0 ? columns.push(column) - 1 : known
  }
  for (const column of values) placeOf(column)
  const placesOf = (list: Lookup['columns']): readonly number[] =>
    Object.freeze(list.map(({ propertyPath, type }) => placeOf(describe(metadata, propertyPath, type))))
  const key = placesOf(entity.keyColumns)
  const primaryKey = placesOf(lookup.primaryKey)
  const { namingStrategy } = metadata.dataSource
  const names = values.map(({ name }) => name)
  return Object.freeze({
    name: lookup.name,
    columns: Object.freeze(columns),
    valueCount: values.length,
    key,
    primaryKey,
    isUnique: lookup.isUnique,
    constraint: lookup.isUnique
      ? (lookup.givenName ?? namingStrategy.uniqueConstraintName(metadata.tableName, names))
      : namingStrategy.primaryKeyName(lookup.name, names),
    source: Object.freeze({ table: metadata.tableName, group: entity.group }),
  })
}

function describe(metadata: EntityMetadata, path: string, type: LookupColumn['type']): LookupColumn {
  const column = columnAt(metadata, path)
  return Object.freeze({ name: column.databaseName, type, ...(isEnum(column) && { isEnum: true as const }) })
}

function columnAt(metadata: EntityMetadata, path: string): ColumnMetadata {
  const column = metadata.findColumnWithPropertyPath(path)
  if (column) return column
  throw new RangeError(`${metadata.name} has no column ${path}`)
}

/** The entity as it would be if the lookup's values were its shard key: what reads conditions then reads them for the lookup. */
export function asKey(
  { lookup, shards, owners }: LookupBinding,
  { entity, metadata }: EntityBinding,
): EntityBinding | undefined {
  const keyColumns = lookup.columns.map(({ propertyPath }) => metadata.findColumnWithPropertyPath(propertyPath))
  if (!keyColumns.every((column) => column !== undefined)) return undefined
  // An id carries a slot of the shard key, and not one of these values.
  const { id: _id, ...others } = entity
  return {
    entity: { ...others, keyColumns: lookup.columns, fn: lookup.fn },
    metadata,
    shards,
    owners,
    keyColumns,
    id: undefined,
    slotColumns: [],
  }
}

/** The lookup's shard that keeps an entry. */
export function shardOfEntry(binding: LookupBinding, entry: LookupEntry): Shard {
  return shardOfValues(
    binding,
    binding.lookup.columns.map(({ type }, place) => {
      const text = entry[place] ?? ''
      // A value without a canonical text (a date before Christ) has one that the triggers always write alike.
      return canonicalKey(text, type) ?? text
    }),
  )
}

export function shardOfValues({ lookup, shards, owners }: LookupBinding, values: readonly string[]): Shard {
  const shard = shards[owners.shardOf(lookup.fn.unitOf(values)) ?? -1]
  if (shard) return shard
  throw new ShardedError('KEY_NOT_OWNED', `No shard of ${lookup.name} owns (${values.join(', ')}).`, {
    details: { entity: lookup.entity.name, lookup: lookup.name, values },
  })
}

/** Another process may complete a lookup. A lookup that is incomplete so far is asked for again after this many milliseconds. */
const betweenLooksMs = 3_000

/** What lookups need of the data source that they are in. */
interface LookupSettings {
  /** None where it is left out. */
  readonly apartKeys?: ApartKeys
  /** Bounds the writes that may come to need a second node's connection while they hold one. */
  readonly writes: Permits
  /** Asks the home node which lookups are complete. */
  readonly askReady: () => Promise<Iterable<string>>
}

interface Bound {
  readonly apartKeys: ApartKeys
  readonly map: ShardMap
  readonly bindings: ReadonlyMap<unknown, EntityBinding>
  readonly pools: readonly Pick<NodePool, 'size'>[]
  readonly askReady: LookupSettings['askReady']
  /** Takes LOOKUP_INVALID. */
  readonly refusals: Refusals
}

/** The lookups of a model where they lie. */
export function bindLookups({ lookups }: LookupModel, bound: Bound): Lookups {
  const { map, bindings, pools, askReady, apartKeys, refusals } = bound
  const all = lookups.flatMap((lookup) => {
    const source = bindings.get(lookup.entity.target)
    return (source && refusals.attempt(() => bindLookup(lookup, source, map))) ?? []
  })
  const spare = Math.min(...pools.map(({ size }) => size)) - 1
  if (all.length === 0 && apartKeys.size === 0) return new Lookups(all)
  return new Lookups(all, { writes: new Permits('of any lookup', Math.max(1, spare)), askReady, apartKeys })
}

/** All lookups of a data source, and which of them are complete. */
export class Lookups {
  private readonly byGroup = new Map<string, LookupBinding[]>()
  private readonly byTable = new Map<string, LookupBinding[]>()
  private ready: ReadonlySet<string> = new Set()
  private nextLook = 0

  /** The references to other databases that writes keep. */
  readonly apartKeys: ApartKeys

  constructor(
    readonly all: readonly LookupBinding[],
    private readonly settings?: LookupSettings,
  ) {
    this.apartKeys = settings?.apartKeys ?? noApartKeys
    for (const one of all) {
      pushTo(this.byGroup, one.table.source.group, one)
      pushTo(this.byTable, one.table.source.table, one)
    }
  }

  /** True where a write to a group may change a lookup, or take away what rows of other databases refer to: its triggers tell. */
  maintains(group: string): boolean {
    return this.byGroup.has(group) || this.apartKeys.referredGroups.has(group)
  }

  /** The lookups of a group's entities. */
  ofGroup(group: string): readonly LookupBinding[] {
    return this.byGroup.get(group) ?? []
  }

  /** Their names. */
  namesOf(group: string): readonly string[] {
    return this.ofGroup(group).map(({ table }) => table.name)
  }

  /** What triggers note of the tables of a group. */
  notedOf(group: string): readonly LookupTable[] {
    return [...this.ofGroup(group).map(({ table }) => table), ...this.apartKeys.referredIn(group)]
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
