import { ownersText } from '../topology/group-owners'
import { keepsValues } from '../values/stored-key'
import type { GroupPrint, KeyPrint } from './group-print'

/** How a stored group and the one that the options make differ. */
export interface PrintComparison {
  /** What is not as it is stored, as parts of a sentence; empty: every key that had an owner has the same one. */
  readonly differences: readonly string[]
  /** The tables with another shard key, where nothing else differs: only their rows are concerned. */
  readonly rekeyed: readonly string[]
  /** The options add shards, which take nothing from those that are stored, tables, or room to the columns of a shard key. */
  readonly isGrown: boolean
}

/** Differences of single shards that are named; the others are counted. */
const maxNamed = 3

/**
 * Compares what is stored of a group with what the options make of it.
 *
 * @param present the name of each database that this data source connects to, by identity
 */
export function comparePrints(
  stored: GroupPrint,
  wanted: GroupPrint,
  present: ReadonlyMap<string, string>,
): PrintComparison {
  const called = (identity: string): string => {
    const name = present.get(identity)
    if (name !== undefined) return `node ${name}`
    return `the database ${identity} (node ${stored.nodes[identity] ?? '?'} at that time), which no node connects to`
  }
  const said = (what: string, before: string, now: string): readonly string[] =>
    before === now ? [] : [`${what} is ${clipped(before)}, and ${clipped(now)} by the options`]
  const byLabel = new Map(wanted.shards.map((shard) => [shard.label, shard]))
  const shards = stored.shards.flatMap(({ label, database, owns }): readonly string[] => {
    const now = byLabel.get(label)
    if (!now) return [`the options lack its shard ${label}`]
    return [
      ...said(`what shard ${label} owns`, owns, now.owns),
      ...said(`the place of shard ${label}`, called(database), called(now.database)),
    ]
  })
  const more = shards.length - maxNamed
  const keys = compareKeys(stored, wanted)
  const others = [
    ...swapped(stored, present),
    ...said('the shard key', stored.keyTypes.join(', '), wanted.keyTypes.join(', ')),
    ...said('the sharding function', stored.rule, wanted.rule),
    ...said('what its shards own', ownsText(stored), ownsText(wanted)),
    ...said('the layout', stored.layout, wanted.layout),
    ...said('the home node', called(stored.home), called(wanted.home)),
    ...shards.slice(0, maxNamed),
    ...(more > 0 ? [`and ${more} more of its shards`] : []),
  ]
  return Object.freeze({
    differences: Object.freeze([
      ...others,
      ...keys.changed.flatMap(({ table, before, now }) => said(`the shard key of table ${table}`, before, now)),
    ]),
    rekeyed: Object.freeze(others.length === 0 ? keys.changed.map(({ table }) => table) : []),
    isGrown: wanted.shards.length > stored.shards.length || keys.isGrown,
  })
}

/** Only other processes and older copies of the catalog make these unlike. */
const ownsText = ({ owners }: GroupPrint): string => (owners ? ownersText(owners) : 'what the function says')

interface KeyComparison {
  readonly changed: readonly { readonly table: string; readonly before: string; readonly now: string }[]
  readonly isGrown: boolean
}

/** Another column, another order, or a type that would round the keys of stored rows places them elsewhere. A type with more room does not. */
function compareKeys(stored: GroupPrint, { keys = {}, keyTypes }: GroupPrint): KeyComparison {
  const text = (key: readonly KeyPrint[], types: GroupPrint['keyTypes']): string =>
    `(${key.map((column, index) => `${column.name} ${types[index]}${modifiersText(column)}`).join(', ')})`
  const changed: KeyComparison['changed'][number][] = []
  let isGrown = stored.keys === undefined
  for (const [table, now] of Object.entries(keys)) {
    const before = stored.keys?.[table]
    if (before && !isKept(before, now, keyTypes))
      changed.push({ table, before: text(before, stored.keyTypes), now: text(now, keyTypes) })
    else if (!before || !isKept(now, before, keyTypes)) isGrown = true
  }
  return { changed, isGrown }
}

const isKept = (before: readonly KeyPrint[], now: readonly KeyPrint[], types: GroupPrint['keyTypes']): boolean =>
  before.length === now.length &&
  before.every((column, index) => {
    const [same, type] = [now[index], types[index]]
    return same?.name === column.name && type !== undefined && keepsValues({ ...column, type }, { ...same, type })
  })

function modifiersText({ length, precision, scale }: KeyPrint): string {
  const modifiers = [length, precision, scale].filter((one) => one !== undefined)
  return modifiers.length === 0 ? '' : `(${modifiers.join(', ')})`
}

/** Letters of a text that a message quotes. */
const maxQuoted = 120

const clipped = (text: string): string => (text.length > maxQuoted ? `${text.slice(0, maxQuoted)}…` : text || 'nothing')

/** A node's name that now stands for another database, while the one that it stood for is there by another name: urls were swapped. */
function swapped({ nodes }: GroupPrint, present: ReadonlyMap<string, string>): readonly string[] {
  const names = new Set(present.values())
  return Object.entries(nodes).flatMap(([identity, before]) => {
    const now = present.get(identity)
    if (now === undefined || now === before || !names.has(before)) return []
    return [`the database of node ${before} is that of node ${now} by the options`]
  })
}
