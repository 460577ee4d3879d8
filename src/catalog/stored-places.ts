import type { ShardGroup } from '../model/sharded-entity'
import type { GroupPrint } from './group-print'

/**
 * The nodes of a group's shards, by label, as the databases know them: the order of options decides nothing that is stored. A
 * shard that is new joins its placement unit; one of a new unit is left to the spread.
 *
 * @param present the name of each database that this data source connects to, by identity
 */
export function storedPlaces(
  { labels, placementUnits }: Pick<ShardGroup, 'labels' | 'placementUnits'>,
  stored: GroupPrint | undefined,
  present: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> {
  const nodes = new Map<string, string>()
  for (const { label, database } of stored?.shards ?? []) {
    const node = present.get(database)
    if (node !== undefined) nodes.set(label, node)
  }
  const byUnit = new Map<number | undefined, string>()
  for (const [index, label] of labels.entries()) {
    const node = nodes.get(label)
    const unit = placementUnits[index]
    if (node !== undefined && !byUnit.has(unit)) byUnit.set(unit, node)
  }
  return Object.fromEntries(
    labels.flatMap((label, index) => {
      const node = nodes.get(label) ?? byUnit.get(placementUnits[index])
      return node === undefined ? [] : [[label, node]]
    }),
  )
}
