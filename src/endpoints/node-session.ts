import { words } from '../collections/words'

/** Whether sessions of a node last: `transaction`, a pooler gives each transaction another. */
export type Pooling = 'none' | 'session' | 'transaction'

/** What a node's sessions are like before anything is said to them. */
export interface NodeSession {
  readonly node: string
  /** By lower-case name: what the server, the database, the role and the connection's own options say. */
  readonly settings: ReadonlyMap<string, string>
  readonly encoding: string
  readonly pooling: Pooling
  /** The same of all sessions of one database, as long as its server runs. */
  readonly database: string
}

/** What every connection is told, so that texts of values mean the same on all nodes, now and when somebody alters a role. */
export const pinnedSettings = words(`
  extra_float_digits datestyle intervalstyle bytea_output array_nulls standard_conforming_strings search_path
  timezone`)

/** What is told to the connections of nodes that have another value than the home node. */
export const alignedSettings = words(`
  default_text_search_config default_transaction_isolation default_transaction_deferrable lc_monetary lc_numeric
  lc_time row_security timezone_abbreviations transform_null_equals xmlbinary xmloption`)

/** Settings by lower-case name. */
type Settings = ReadonlyMap<string, string>

/**
 * What the sessions of all nodes have: as the home node has it by itself, since that is what plain TypeORM has on one
 * database, but for what the caller names, and for what would make texts of values inexact.
 */
export function commonSettings(home: NodeSession, named: Readonly<Record<string, string>>): Settings {
  const common = new Map<string, string>()
  for (const name of [...pinnedSettings, ...alignedSettings]) {
    const value = home.settings.get(name)
    if (value !== undefined) common.set(name, exact(name, value))
  }
  for (const [name, value] of Object.entries(named)) common.set(name.toLowerCase(), value)
  return common
}

/** What connections of one node are told. */
export function pinsOf(session: NodeSession, common: Settings, named: Readonly<Record<string, string>>): Settings {
  const always = new Set<string>([...pinnedSettings, ...Object.keys(named).map((name) => name.toLowerCase())])
  return new Map([...common].filter(([name]) => always.has(name) || isOther(session, name, common)))
}

/** Settings in which a node by itself differs from what it is told. */
export const differencesOf = (session: NodeSession, common: Settings): readonly string[] =>
  [...common.keys()].filter((name) => isOther(session, name, common))

function isOther({ settings }: NodeSession, name: string, common: Settings): boolean {
  const [own = '', wanted = ''] = [settings.get(name), common.get(name)]
  if (name === 'extra_float_digits') return Number(own) < 1
  return own.toLowerCase() !== wanted.toLowerCase()
}

const fixed: Readonly<Record<string, string>> = { array_nulls: 'on', standard_conforming_strings: 'on' }

function exact(name: string, value: string): string {
  if (name === 'extra_float_digits') return Number(value) < 1 ? '1' : value
  // Of the style only the order of day and month is left to the server: other dates than ISO's are not read.
  if (name === 'datestyle') return `ISO, ${value.split(',')[1]?.trim() ?? 'MDY'}`
  return fixed[name] ?? value
}
