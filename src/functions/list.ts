import type { CanonicalKey } from '../values/canonical-key'
import { type KeyOrder, keyOrder, ordersAsDatabase } from '../values/compare-keys'
import type { KeyType } from '../values/key-type'
import { checkLabels, declaredKey, functionInvalid, singleKeyType } from './declaration'
import type { BoundFunction, FunctionPrint, KeyConstraint, ShardingFunction, UnitKeys } from './sharding-function'
import { labelUnits, unitsOf } from './sharding-function'

/** A value of a shard key, in any form that its column takes. */
export type ListValue = string | number | bigint | boolean | Date | Uint8Array

/** The options of `list`. */
export interface ListOptions {
  /** The values that each shard owns. */
  readonly shards: Readonly<Record<string, readonly ListValue[]>>
  /** The shard of all other values: one of `shards`, or one more. Without it, other values have no owner. */
  readonly otherwise?: string
}

type RangeConstraint = Extract<KeyConstraint, { kind: 'range' }>

const holds = (order: KeyOrder, key: CanonicalKey, { from, to }: RangeConstraint): boolean => {
  const low = from === undefined ? 1 : order(key, from.key)
  const high = to === undefined ? -1 : order(key, to.key)
  return (low > 0 || (low === 0 && from?.inclusive === true)) && (high < 0 || (high === 0 && to?.inclusive === true))
}

const ownersOf = (
  labels: readonly string[],
  values: readonly (readonly ListValue[])[],
  type: KeyType,
): ReadonlyMap<CanonicalKey, number> => {
  const owners = new Map<CanonicalKey, number>()
  for (const [shard, list] of values.entries()) {
    for (const value of list) {
      const key = declaredKey('list', value, type)
      const other = owners.get(key)
      if (other !== undefined && other !== shard) {
        throw functionInvalid('list', `the shards '${labels[other]}' and '${labels[shard]}' both list ${key}.`)
      }
      owners.set(key, shard)
    }
  }
  return owners
}

interface Lists {
  readonly labels: readonly string[]
  readonly owners: ReadonlyMap<CanonicalKey, number>
  /** The shard of all other values. */
  readonly rest: number | undefined
}

/** The rule of lists without a shard of all other values. */
export const listRule = 'list'

/** A shard of all other values loses what a new shard lists: there, every list is a part of the rule. */
const printOf = ({ labels, owners, rest }: Lists): FunctionPrint => {
  const values: string[][] = labels.map(() => [])
  for (const [key, shard] of owners) values[shard]?.push(key)
  const lists = values.map((own) => JSON.stringify(own.sort()))
  if (rest === undefined) return Object.freeze({ rule: listRule, owns: Object.freeze(lists) })
  const listed = labels.map((label, shard) => `${label} ${lists[shard]}`).sort()
  const rule = `list, otherwise ${labels[rest]}: ${listed.join(', ')}`
  return Object.freeze({ rule, owns: Object.freeze(labels.map(() => '')) })
}

/** The bound function of lists of values. */
export const bindLists = ({ labels, owners, rest }: Lists, type: KeyType): BoundFunction => {
  const order = ordersAsDatabase(type) ? keyOrder(type) : undefined
  const unitOf = (key: CanonicalKey): number | undefined => owners.get(key) ?? rest
  const within = (order: KeyOrder, range: RangeConstraint) =>
    [...owners].map(([key, shard]) => (holds(order, key, range) ? shard : rest))
  return Object.freeze<BoundFunction>({
    ...labelUnits(labels.length),
    unitOf: ([key]) => (key === undefined ? undefined : unitOf(key)),
    prune: ([constraint]) => {
      if (constraint?.kind === 'values') return unitsOf(constraint.keys.map(unitOf))
      return order && constraint ? unitsOf([rest, ...within(order, constraint)]) : ['all']
    },
    print: printOf({ labels, owners, rest }),
    unitKeys: unitKeysOf({ labels, owners, rest }),
  })
}

/** What the shard of all other values lists is among them. */
function unitKeysOf({ labels, owners, rest }: Lists): readonly UnitKeys[] {
  const keys: CanonicalKey[][] = labels.map(() => [])
  for (const [key, shard] of owners) keys[shard]?.push(key)
  return Object.freeze(
    keys.map((own, unit): UnitKeys => Object.freeze(unit === rest ? { kind: 'rest' } : { kind: 'values', keys: own })),
  )
}

/**
 * Places keys by lists of values of one column, of any type.
 *
 * Equality finds the shard, and ranges over numbers, dates and times the shards with a value in them.
 *
 * @throws ShardedError FUNCTION_INVALID
 * @example
 * list({ shards: { eu: ['de', 'fr'], asia: ['cn', 'jp'] }, otherwise: 'world' })
 */
export const list = ({ shards, otherwise }: ListOptions): ShardingFunction => {
  const names = Object.keys(shards)
  const values = Object.entries(shards).map(([label, listed]) => {
    if (!Array.isArray(listed) || (listed.length === 0 && label !== otherwise)) {
      throw functionInvalid('list', `the shard '${label}' lists no values.`)
    }
    return listed.map((value): ListValue => (value instanceof Date ? new Date(value) : value))
  })
  const isExtra = otherwise !== undefined && !names.includes(otherwise)
  const labels = checkLabels('list', isExtra ? [...names, otherwise] : names)
  const rest = otherwise === undefined ? undefined : labels.indexOf(otherwise)
  return Object.freeze<ShardingFunction>({
    kind: 'list',
    labels,
    arity: 1,
    bind: (types) => {
      const type = singleKeyType('list', types, () => true)
      return bindLists({ labels, owners: ownersOf(labels, values, type), rest }, type)
    },
  })
}
