import { keyOrder } from '../values/compare-keys'
import type { KeyType } from '../values/key-type'
import { bindIntervals, intervalsRule, type KeyInterval } from './key-intervals'
import { bindLists, listRule } from './list'
import type { BoundFunction } from './sharding-function'

/** A shard as its print says what it owns; see `FunctionPrint`. */
export interface StoredUnit {
  readonly label: string
  readonly owns: string
}

/**
 * The function of shards that another process has stored, where what each of them owns says all: of intervals, and of lists without
 * `otherwise`. Undefined for all other functions.
 *
 * @param rule as it is stored
 */
export function storedFunction(
  rule: string,
  units: readonly StoredUnit[],
  types: readonly KeyType[],
): BoundFunction | undefined {
  const [type] = types
  if (type === undefined) return undefined
  if (rule === intervalsRule) return bindIntervals(intervalsOf(units, type), type)
  if (rule !== listRule) return undefined
  const owners = new Map(units.flatMap(({ owns }, unit) => textsOf(owns).map((key) => [String(key), unit] as const)))
  return bindLists({ labels: units.map(({ label }) => label), owners, rest: undefined }, type)
}

/** By ascending keys, as intervals are searched. */
function intervalsOf(units: readonly StoredUnit[], type: KeyType): readonly KeyInterval[] {
  const order = keyOrder(type)
  const intervals = units.map(({ owns }, unit): KeyInterval => {
    const [from = null, to = null] = textsOf(owns)
    return { unit, from, to }
  })
  return intervals.sort((a, b) => {
    if (a.from === null || b.from === null) return a.from === null ? -1 : 1
    return order?.(a.from, b.from) ?? 0
  })
}

/** The print is this package's own, and so is what it holds. */
const textsOf = (owns: string): readonly (string | null)[] => JSON.parse(owns) as (string | null)[]
