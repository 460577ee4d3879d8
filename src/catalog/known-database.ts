import type { NodeFacts } from '../endpoints/node-facts'
import type { NodeSession } from '../endpoints/node-session'

/**
 * What a database was when a start last reached it. Every node keeps this of all: a start that does not reach one has from the others
 * what it needs of it.
 */
export interface KnownDatabase extends Pick<NodeFacts, 'version' | 'database' | 'searchSchema'> {
  /** The node that connected to it. */
  readonly name: string
  readonly encoding: string
  /** Of its sessions, before anything is said to them: what the home node has decides for the sessions of all nodes. */
  readonly settings: Readonly<Record<string, string>>
  /** Undefined where no role that started could know it. */
  readonly server?: KnownServer | undefined
}

/** Where a database is: a dump that is restored, and a server of another version, have others. */
export interface KnownServer {
  readonly system: string
  /** Grows when a standby is promoted. */
  readonly timeline: string
  readonly oid: string
}

/** What is to be kept of a node that was reached. */
export const knownDatabase = (
  { node, encoding, settings }: NodeSession,
  { version, database, searchSchema }: NodeFacts,
): Omit<KnownDatabase, 'server'> =>
  Object.freeze({
    name: node,
    version,
    database,
    searchSchema,
    encoding,
    settings: Object.freeze(Object.fromEntries([...settings].sort(([a], [b]) => (a < b ? -1 : 1)))),
  })

/** As it is stored. */
export const formatDatabase = (known: KnownDatabase): string => JSON.stringify(known)

/** What `formatDatabase` has written: the table is this package's own, and so is what it holds. */
export const parseDatabase = (text: string): KnownDatabase => Object.freeze(JSON.parse(text) as KnownDatabase)

/** What is said of a node's sessions without asking it. */
export const sessionOf = ({ name, encoding, settings }: KnownDatabase): NodeSession =>
  Object.freeze({ node: name, encoding, settings: new Map(Object.entries(settings)), pooling: 'none', database: '' })

/** What is said of a node without asking it; a node that is not reached prepares nothing, and has no rule that matters. */
export const knownFacts = ({ version, database, searchSchema }: KnownDatabase): NodeFacts =>
  Object.freeze({ version, database, searchSchema, maxPreparedTransactions: 1, ruledTables: [] })
