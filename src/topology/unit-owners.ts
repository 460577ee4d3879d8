import { SLOTS } from '../functions/declaration'
import { slotOfKey } from '../functions/hash'
import type { BoundFunction, UnitsLeft } from '../functions/sharding-function'
import type { GroupOwners } from './group-owners'

/** Sorted, distinct indexes of shards. */
export type ShardIndexes = readonly number[]

/** Which shard of a colocation group owns each unit of its sharding function. A part of the shard map: frozen. */
export interface UnitOwners {
  /** All shards of the group. */
  readonly all: ShardIndexes
  /** The index of the shard that owns a unit; `undefined` for a key without unit. */
  shardOf(unit: number | undefined): number | undefined
  /** The shards that own what a condition leaves; `'all'` where it narrows nothing. */
  shardsOf(left: UnitsLeft): ShardIndexes | 'all'
  /** The shards that own slots; all where the function has no slots. */
  shardsOfSlots(slots: readonly number[]): ShardIndexes
}

/** The shards by ascending keys, each once; undefined where one owns units that do not follow each other. */
export const shardsInKeyOrder = (
  owners: Pick<UnitOwners, 'shardOf'>,
  unitsInKeyOrder: readonly number[],
): readonly number[] | undefined => {
  const inOrder = unitsInKeyOrder
    .flatMap((unit) => owners.shardOf(unit) ?? [])
    .filter((shard, index, shards) => shard !== shards[index - 1])
  return new Set(inOrder).size === inOrder.length ? inOrder : undefined
}

type Spaces = BoundFunction['spaces']

/** Of n shards, shard i owns the units from ⌈i · size / n⌉ to before ⌈(i + 1) · size / n⌉: of labels, one each. */
const evenSpace = ({ size, shards }: Spaces[number]) => {
  const all: ShardIndexes = Object.freeze(Array.from({ length: shards }, (_, index) => index))
  const shardIn = (unit: number): number => (size === shards ? unit : Math.floor((unit * shards) / size))
  const shardsIn = (units: UnitsLeft[number] = 'all'): ShardIndexes => {
    if (units === 'all') return all
    if (units.length < 2) return units.map(shardIn)
    const distinct = new Set<number>()
    for (const unit of units) distinct.add(shardIn(unit))
    return [...distinct].sort((a, b) => a - b)
  }
  return { size, shards, shardIn, shardsIn }
}

/** The owners with which a group starts: in each space, the shards that are declared own equal, contiguous ranges of units. */
export const evenOwners = ([one, other]: Spaces): UnitOwners => {
  const first = evenSpace(one)
  const second = other && evenSpace(other)
  const cross = ([units, others]: UnitsLeft): ShardIndexes => {
    const rows = first.shardsIn(units)
    if (second === undefined) return Object.freeze(rows)
    const columns = second.shardsIn(others)
    return Object.freeze(rows.flatMap((row) => columns.map((column) => row * second.shards + column)))
  }
  const all = cross([])
  return Object.freeze<UnitOwners>({
    all,
    shardOf: (unit) => {
      if (unit === undefined) return undefined
      if (second === undefined) return first.shardIn(unit)
      return first.shardIn(Math.floor(unit / second.size)) * second.shards + second.shardIn(unit % second.size)
    },
    shardsOf: (left) => (left.every((units) => units === 'all') ? 'all' : cross(left)),
    shardsOfSlots: (slots) => {
      if (one.kind === 'slots') return cross([slots])
      return other?.kind === 'slots' ? cross(['all', slots]) : all
    },
  })
}

/**
 * Owners of slots and of isolated keys, whose units follow upon the slots (`isolating` of `functions/isolated-keys.ts`).
 *
 * @param labels of the group's shards, in the order of their indexes
 */
export const assignedOwners = ({ slots, keys }: GroupOwners, labels: readonly string[]): UnitOwners => {
  const indexes = new Map(labels.map((label, index) => [label, index]))
  const indexOf = (label: string): number => {
    const index = indexes.get(label)
    if (index !== undefined) return index
    throw new RangeError(`The group has no shard ${label}.`)
  }
  const owners = new Uint16Array(SLOTS + keys.length)
  for (const [from, label] of slots) owners.fill(indexOf(label), from, SLOTS)
  for (const [place, [, label]] of keys.entries()) owners[SLOTS + place] = indexOf(label)
  // Ids carry the slot of their key, whoever owns that.
  const bySlot = new Map<number, number[]>()
  for (const [key, label] of keys) {
    const slot = slotOfKey(key)
    bySlot.set(slot, [...(bySlot.get(slot) ?? []), indexOf(label)])
  }
  const all: ShardIndexes = Object.freeze(labels.map((_, index) => index))
  const distinct = (units: Iterable<number>): ShardIndexes => Object.freeze([...new Set(units)].sort((a, b) => a - b))
  return Object.freeze<UnitOwners>({
    all,
    shardOf: (unit) => (unit === undefined ? undefined : owners[unit]),
    shardsOf: ([units = 'all']) => (units === 'all' ? 'all' : distinct(units.flatMap((unit) => owners[unit] ?? []))),
    shardsOfSlots: (some) => distinct(some.flatMap((slot) => [owners[slot] ?? 0, ...(bySlot.get(slot) ?? [])])),
  })
}
