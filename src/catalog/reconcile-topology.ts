import type { Catalog } from './catalog'
import { changedMeanwhile, type Mismatch, maxRounds, topologyMismatch } from './catalog'
import { comparePrints } from './compare-prints'
import type { GroupPrint } from './group-print'
import type { NamedPrint } from './node-catalog'
import { noted } from './noted-change'
import { refuseMovedTables, type ShardTables, tableWithRows } from './refuse-moved-tables'

export interface SettleOptions {
  /** The stored topologies whose place another one takes: none, those whose shards hold no rows, or all. */
  readonly replaces: 'none' | 'empty' | 'all'
  /** The tables of a group, without the suffix of a shard. */
  readonly tablesOf: (group: string) => readonly string[]
  /** Is asked before more is stored of a group that is known: what it throws leaves the stored one as it is. */
  readonly beforeGrowth?: (() => Promise<void>) | undefined
}

/**
 * Compares where the options place rows with what every node has stored of it, and stores what is new: groups, and shards that
 * were added to a group and take nothing from the others. One node is written first, and the others when it holds what is
 * wanted, so that of processes that start at once with other options one wins and the others are refused. After a crash in
 * between, the next start copies what the first node has.
 *
 * @throws ShardedError TOPOLOGY_MISMATCH, CATALOG_UNAVAILABLE
 */
export async function reconcileTopology(
  catalog: Catalog,
  wantedOf: () => readonly NamedPrint[],
  options: SettleOptions,
): Promise<void> {
  await catalog.create()
  await bringUpToDate(catalog)
  for (let round = 0; round < maxRounds; round++) {
    const wanted = wantedOf().map(({ name, print }) => ({
      name,
      print: { ...print, keys: { ...catalog.keysOf(name), ...print.keys } },
    }))
    const { mismatches, grown, missing } = compareAll(catalog, wanted)
    if (mismatches.length > 0 && options.replaces === 'none') throw topologyMismatch(mismatches)
    if (mismatches.length + grown.size + missing.size > 0) catalog.requireAll()
    if (options.replaces !== 'all') await refuseMovedTables(catalog, wanted)
    if (mismatches.length > 0) {
      if (options.replaces === 'empty') await refuseRows(catalog, mismatches, options)
      const names = new Set(mismatches.map(({ group }) => group))
      await catalog.replace(
        wanted.filter(({ name }) => names.has(name)),
        { isTaken: () => true, isAny: true, noted: noted('replaced by the options') },
      )
    } else if (grown.size === 0 && missing.size === 0) {
      return
    } else {
      if (grown.size > 0) await options.beforeGrowth?.()
      const { decider } = catalog
      const isFirst = grown.has(decider) || missing.has(decider)
      const isTaken = (node: string): boolean => (node === decider) === isFirst
      await catalog.insert(wanted, { isTaken, noted: noted('groups of the options') })
      await catalog.replace(
        wanted.filter(({ name }) => [...grown.values()].some((names) => names.has(name))),
        { isTaken: (node) => isTaken(node) && grown.has(node), noted: noted('more shards or tables of the options') },
      )
    }
    await catalog.read()
  }
  throw changedMeanwhile()
}

/** A process that changed the map may have died between the home node and the others. */
async function bringUpToDate(catalog: Catalog): Promise<void> {
  const nodes = [...catalog.identities.keys()]
  const outdated = [...catalog.groups].filter((group) =>
    nodes.some((node) => catalog.copiesOf(group).has(node) && catalog.isOutdated(node, group)),
  )
  for (const group of outdated) await catalog.copy(group)
  if (outdated.length > 0) await catalog.read()
}

interface Compared {
  readonly mismatches: readonly Mismatch[]
  /** By node: groups to which the options add shards. */
  readonly grown: ReadonlyMap<string, ReadonlySet<string>>
  /** Nodes that lack a group. */
  readonly missing: ReadonlySet<string>
}

function compareAll(catalog: Catalog, wanted: readonly NamedPrint[]): Compared {
  const mismatches: Mismatch[] = []
  const grown = new Map<string, Set<string>>()
  const missing = new Set<string>()
  for (const { name, print } of wanted) {
    const copies = catalog.copiesOf(name)
    for (const node of catalog.identities.keys()) {
      const copy = copies.get(node)
      if (!copy) {
        missing.add(node)
        continue
      }
      const { differences, rekeyed, isGrown } = comparePrints(copy, print, catalog.names)
      if (differences.length > 0)
        mismatches.push({ group: name, node, differences, ...(rekeyed.length > 0 && { tables: rekeyed }) })
      else if (isGrown) grown.set(node, (grown.get(node) ?? new Set()).add(name))
    }
  }
  return { mismatches, grown, missing }
}

/** @throws ShardedError TOPOLOGY_MISMATCH where a stored shard holds rows, or cannot be looked at */
async function refuseRows(
  catalog: Catalog,
  mismatches: readonly Mismatch[],
  { tablesOf }: SettleOptions,
): Promise<void> {
  for (const group of new Set(mismatches.map((one) => one.group))) {
    const own = mismatches.filter((one) => one.group === group)
    const rekeyed = own.every(({ tables }) => tables) && new Set(own.flatMap(({ tables = [] }) => tables))
    for (const print of catalog.copiesOf(group).values()) {
      const tables = rekeyed ? [...rekeyed] : tablesOf(group)
      const full = await firstWithRows(catalog, { group, print, tables, isOnly: rekeyed !== false })
      if (full !== undefined) throw topologyMismatch(mismatches, full)
    }
  }
}

interface StoredGroup extends Pick<ShardTables, 'group' | 'tables' | 'isOnly'> {
  readonly print: GroupPrint
}

async function firstWithRows(
  catalog: Catalog,
  { group, print, tables, isOnly }: StoredGroup,
): Promise<string | undefined> {
  for (const database of new Set(print.shards.map((shard) => shard.database))) {
    const node = catalog.names.get(database)
    if (node === undefined)
      return `Whether its shards on the database ${database} (node ${print.nodes[database] ?? '?'} at that time) hold rows cannot be looked at.`
    const labels = print.shards.flatMap((shard) => (shard.database === database ? [shard.label] : []))
    const table = await catalog.on(node, (one) =>
      tableWithRows(one, { group, layout: print.layout, labels, tables, isOnly }),
    )
    if (table !== undefined) return `Table ${table} of node ${node} holds rows: they would be lost.`
  }
  return undefined
}
