import { SLOTS } from '../functions/declaration'
import { slotOfKey } from '../functions/hash'
import { type CanonicalKey, canonicalTuple } from '../values/canonical-key'

/** A range of slots: from the first to before the second. */
export type SlotRange = readonly [from: number, to: number]

/** A key that has a shard for itself: the canonical texts of all columns of the shard key. */
export type IsolatedKey = readonly CanonicalKey[]

/**
 * Which shards of a group of `hash` own what, once it is not what the function declares any more. A value, kept with the group in the
 * catalog.
 *
 * What a shard owns never changes: a split, an isolation or a merge makes new shards of new names in place of others. A process that
 * knows only the shards of before finds no tables, and never a part of its rows.
 */
export interface GroupOwners {
  /** The label of the shard that owns the slots from each of these on, to before the next. The first is slot 0. */
  readonly slots: readonly (readonly [from: number, label: string])[]
  readonly keys: readonly (readonly [key: IsolatedKey, label: string])[]
  /** The number of the next shard: a label is never given twice. */
  readonly next: number
}

/** What a shard owns. */
export interface Owned {
  readonly ranges: readonly SlotRange[]
  readonly keys: readonly IsolatedKey[]
}

const freeze = ({ slots, keys, next }: GroupOwners): GroupOwners => {
  // Neighbours of one owner are one range: two ways to write the same would be two maps.
  const ranges = slots.filter(([, label], index) => label !== slots[index - 1]?.[1])
  return Object.freeze({ slots: Object.freeze(ranges), keys: Object.freeze(keys), next })
}

/** The same text for equal owners: a database keeps the parts of a value in an order of its own. */
export const ownersText = ({ slots, keys, next }: GroupOwners): string => JSON.stringify({ slots, keys, next })

/** What a function of `hash` declares: equal, contiguous ranges in the order of the labels. */
export const declaredOwners = (labels: readonly string[]): GroupOwners =>
  freeze({
    slots: labels.map((label, index) => [Math.ceil((index * SLOTS) / labels.length), label]),
    keys: [],
    next: labels.length,
  })

/** What the shard of a label owns; nothing where there is none. */
export const ownedBy = ({ slots, keys }: GroupOwners, label: string): Owned => ({
  ranges: slots.flatMap(([from, owner], index): SlotRange[] =>
    owner === label ? [[from, slots[index + 1]?.[0] ?? SLOTS]] : [],
  ),
  keys: keys.flatMap(([key, owner]) => (owner === label ? [key] : [])),
})

/** The labels of all shards, in the order of the first slot of each; those of keys behind them. */
export const ownerLabels = ({ slots, keys }: GroupOwners): readonly string[] => [
  ...new Set([...slots, ...keys].map(([, label]) => label)),
]

const widthOf = (ranges: readonly SlotRange[]): number => ranges.reduce((sum, [from, to]) => sum + to - from, 0)

/** How many slots a shard owns. */
export const slotCount = (owners: GroupOwners, label: string): number => widthOf(ownedBy(owners, label).ranges)

/** Labels of new shards, of two digits at least as those of `hash` are. */
const newLabels = ({ next }: GroupOwners, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => String(next + index).padStart(2, '0'))

/** Shards that take the place of others, and the owners with them. */
export interface Reassigned {
  readonly owners: GroupOwners
  /** Labels of the new shards, in the order in which they were asked for. */
  readonly labels: readonly string[]
}

/** Each slot of a shard gets an owner of its own by its place among the shard's slots; keys of other shards stay. */
function assignSlots(
  { slots, keys, next }: GroupOwners,
  label: string,
  { bounds, labels }: { readonly bounds: readonly number[]; readonly labels: readonly string[] },
): GroupOwners {
  let before = 0
  const assigned = slots.flatMap(([from, owner], index): GroupOwners['slots'] => {
    if (owner !== label) return [[from, owner]]
    const to = slots[index + 1]?.[0] ?? SLOTS
    const start = before
    before += to - from
    const cuts = bounds.flatMap((bound, part): [number, string][] => {
      const end = bounds[part + 1] ?? Number.POSITIVE_INFINITY
      const name = labels[part] ?? label
      return bound < start + to - from && end > start ? [[from + Math.max(0, bound - start), name]] : []
    })
    return cuts
  })
  return freeze({ slots: assigned, keys, next })
}

/**
 * Splits a shard in parts that own equal numbers of its slots, or as many as `shares` say: new shards in its place. A key that it has
 * beside its slots goes to the first.
 *
 * @param shares the number of slots of each part
 * @throws RangeError where there are not as many slots
 */
export function splitOwners(owners: GroupOwners, label: string, shares: readonly number[]): Reassigned {
  const width = slotCount(owners, label)
  const total = shares.reduce((sum, share) => sum + share, 0)
  if (total !== width || shares.some((share) => !Number.isInteger(share) || share < 1))
    throw new RangeError(`The ${width} slots of ${label} cannot be ${shares.join(' and ')}.`)
  const labels = newLabels(owners, shares.length)
  let bound = 0
  const bounds = shares.map((share) => {
    const start = bound
    bound += share
    return start
  })
  const { slots, keys, next } = assignSlots(owners, label, { bounds, labels })
  return {
    labels,
    owners: freeze({ slots, keys: renamedKeys(keys, label, labels[0] ?? label), next: next + labels.length }),
  }
}

/** Gives keys a new shard for themselves, and what else their shard has another one. */
export function isolateOwners(owners: GroupOwners, label: string, isolated: readonly IsolatedKey[]): Reassigned {
  const labels = newLabels(owners, 2)
  const [rest = label, own = label] = labels
  const names = new Set(isolated.map(canonicalTuple))
  const others = owners.keys.filter(([key]) => !names.has(canonicalTuple(key)))
  return {
    labels,
    owners: freeze({
      slots: owners.slots.map(([from, owner]) => [from, owner === label ? rest : owner]),
      keys: [...renamedKeys(others, label, rest), ...isolated.map((key): GroupOwners['keys'][number] => [key, own])],
      next: owners.next + labels.length,
    }),
  }
}

/** One new shard in place of several: it owns what they owned. Keys whose slot it owns are isolated no longer. */
export function mergeOwners(owners: GroupOwners, merged: readonly string[]): Reassigned {
  const [label = ''] = newLabels(owners, 1)
  const slots = owners.slots.map(([from, owner]): GroupOwners['slots'][number] => [
    from,
    merged.includes(owner) ? label : owner,
  ])
  const ownerOfSlot = (slot: number): string | undefined => slots.findLast(([from]) => from <= slot)?.[1]
  const keys = owners.keys.flatMap(([key, owner]): GroupOwners['keys'] => {
    if (!merged.includes(owner)) return [[key, owner]]
    return ownerOfSlot(slotOfKey(key)) === label ? [] : [[key, label]]
  })
  return { labels: [label], owners: freeze({ slots, keys, next: owners.next + 1 }) }
}

const renamedKeys = (keys: GroupOwners['keys'], from: string, to: string): GroupOwners['keys'] =>
  keys.map(([key, owner]) => [key, owner === from ? to : owner])
