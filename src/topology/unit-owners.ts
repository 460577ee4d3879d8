import type { BoundFunction, UnitsLeft } from '../functions/sharding-function'

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
