import type { Node } from '@pgsql/types'
import type { Cluster } from '../routing/analysis/findings'
import { ownedLists } from '../routing/route-cluster'
import { hasOwnParameters, type TreeObject } from '../sql/tree'
import type { Shard } from '../topology/shard'

type Replacements = ReadonlyMap<unknown, (wrapper: TreeObject) => unknown>

/** A statement whose lists of shard keys are arrays, of which each shard gets its own values. */
export interface SplitLists {
  readonly replacements: Replacements
  /** The values of the statement, and behind them the whole lists. */
  readonly values: readonly unknown[]
  /** The values with a shard's own lists; undefined where there is no list, and all shards have the same. */
  readonly valuesOn: ((shard: Shard) => readonly unknown[]) | undefined
  /** Which of the conditions were split: a text may be run with values that are keys, and with others. */
  readonly split: readonly number[]
}

/**
 * Splits the lists of keys that all rows of a statement are in: `key IN ($1, $2, $3)` becomes `key = ANY($4)`, where `$4` has
 * on each shard the keys that it owns. A row is on the shard of its key, so that no other value of the list can be its.
 */
export function splitLists(
  cluster: Cluster,
  {
    statement,
    parameters,
    values,
    replacements,
  }: {
    readonly statement: Node
    readonly parameters: readonly unknown[]
    /** The parameters, and what else is numbered behind them. */
    readonly values: readonly unknown[]
    /** What else is replaced in the statement. */
    readonly replacements: Replacements
  },
): SplitLists {
  const owned = ownedLists(cluster, parameters)
  // A parameter that stands elsewhere too may have its type from the list.
  const lists = owned.length > 0 ? owned.filter(({ written }) => hasOwnParameters(written, statement)) : []
  if (lists.length === 0) return { replacements, values, valuesOn: undefined, split: [] }
  const arrays = lists.map(({ condition, withArray }, index) => {
    const replaced = withArray({ ParamRef: { number: values.length + index + 1 } })
    return [condition, () => replaced] as const
  })
  return {
    replacements: new Map([...replacements, ...arrays]),
    values: [...values, ...lists.map((list) => list.values)],
    valuesOn: (shard) => [
      ...values,
      ...lists.map((list) => list.values.filter((_, index) => list.owners[index]?.includes(shard.index))),
    ],
    split: lists.map(({ position }) => position),
  }
}
