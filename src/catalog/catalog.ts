import { refusesCreation } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import { declaredOwners, type GroupOwners, ownerLabels, ownersText } from '../topology/group-owners'
import { type AbsentDatabase, assumedCatalog } from './absent-database'
import type { GroupPrint, TableKeys } from './group-print'
import type { KnownDatabase, KnownServer } from './known-database'
import {
  advanceCount,
  type CatalogNode,
  copyPrint,
  createCatalog,
  deletePrints,
  insertPrints,
  type NamedPrint,
  type NodeCatalog,
  type NotedChange,
  readNodeCatalog,
  readServer,
  rememberDatabases,
  replacePrint,
  witnessCounts,
} from './node-catalog'
import { hasLost, type LostState, lostStates, type NodeCount } from './node-counters'

/** What of a group differs, on which node. */
export interface Mismatch {
  readonly group: string
  readonly node: string
  readonly differences: readonly string[]
  /** The tables whose rows alone are concerned; undefined: all of the group. */
  readonly tables?: readonly string[]
}

/** @param hint what was looked at besides, as a sentence */
export function topologyMismatch(mismatches: readonly Mismatch[], hint = ''): ShardedError {
  const text = mismatches.map(
    ({ group, node, differences }) => `Group "${group}", as node ${node} has it: ${differences.join('; ')}.`,
  )
  return new ShardedError('TOPOLOGY_MISMATCH', [...text, ...(hint === '' ? [] : [hint])].join(' '), {
    details: { mismatches },
  })
}

/** Names the node where its role may not use the catalog; any other error is thrown as it is. */
function catalogUnavailable(node: string, error: unknown): unknown {
  if (!refusesCreation(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  const database = /permission denied for database (.+)$/.exec(reason)?.[1]
  const grant = database === undefined ? '' : ` Run GRANT CREATE ON DATABASE "${database}" to the role for one start.`
  return new ShardedError(
    'CATALOG_UNAVAILABLE',
    `Node ${node} does not let its role use the catalog: ${reason}.${grant}`,
    { details: { node }, cause: error },
  )
}

/** Does some work on every node, nodes at once. */
type EachNode = (work: (node: CatalogNode) => Promise<void>) => Promise<void>

/** A shard, by its group and its label, and the identity of a database. */
interface PlacedShard {
  readonly group: string
  readonly label: string
  readonly database: string
}

/** A group that gets other shards. */
interface ReassignedGroup {
  readonly group: string
  readonly before: GroupOwners
  readonly owners: GroupOwners
  /** Of each new shard, by label, the identity of its database. */
  readonly databases: Readonly<Record<string, string>>
}

/** Times that what other processes have stored in between is read again. */
export const maxRounds = 8

/** What is said when so many rounds were not enough. */
export const changedMeanwhile = (): ShardedError =>
  topologyMismatch([], `Other processes changed the stored topology ${maxRounds} times meanwhile.`)

/** What is stored on which nodes. */
interface Change {
  readonly isTaken: (node: string) => boolean
  /** What the home node notes of it, as a new epoch. */
  readonly noted: NotedChange
}

/** What all nodes of a data source hold of where rows are. Reading is one statement a node; it is written when something is new. */
export class Catalog {
  private readonly known = new Map<string, NodeCatalog>()
  private readonly refused = new Map<string, unknown>()
  private knownHome: string | undefined
  /** By identity: what a database is to count on from, where it was accepted that it has lost some. */
  private readonly floors = new Map<string, number>()

  private constructor(
    private readonly eachNode: EachNode,
    private readonly absent: Map<string, AbsentDatabase>,
  ) {}

  /**
   * Reads what is there. A role that may not is told so when something is to be known or stored.
   *
   * @param absent the nodes that do not answer: they are taken to have what the others know
   */
  static async open(eachNode: EachNode, absent: ReadonlyMap<string, AbsentDatabase> = new Map()): Promise<Catalog> {
    const catalog = new Catalog(eachNode, new Map(absent))
    await catalog.read()
    return catalog
  }

  /** The name of each database, by identity. */
  get names(): ReadonlyMap<string, string> {
    return new Map([...this.known].map(([node, { identity }]) => [identity, node]))
  }

  /** The identity of each node's database, by the name of the node. */
  get identities(): ReadonlyMap<string, string> {
    return new Map([...this.known].map(([node, { identity }]) => [node, identity]))
  }

  /** What is stored of a group: what the home node has, which decides; before there is one, what any node has. */
  storedOf(group: string): GroupPrint | undefined {
    const copies = this.copiesOf(group)
    const [first] = copies.values()
    return (this.knownHome === undefined ? undefined : copies.get(this.knownHome)) ?? first
  }

  /** True where a node's copy of a group is of an earlier version than the home node's: its change did not get so far. */
  isOutdated(node: string, group: string): boolean {
    const { decider } = this
    const version = (of: string): number => this.known.get(of)?.versions.get(group) ?? 0
    return this.knownHome !== undefined && node !== decider && version(node) < version(decider)
  }

  /** Brings the copies of a group that are outdated up to date. @throws ShardedError CATALOG_UNAVAILABLE */
  async copy(group: string): Promise<void> {
    const home = this.known.get(this.decider)
    const print = home?.groups.get(group)
    const version = home?.versions.get(group)
    if (!print || version === undefined) return
    await this.eachNode(async (node) => {
      if (this.isOutdated(node.name, group)) await allowed(node, () => copyPrint(node, { name: group, print }, version))
    })
  }

  /** What each node has stored of a group. */
  copiesOf(group: string): ReadonlyMap<string, GroupPrint> {
    return new Map(
      [...this.known].flatMap(([node, { groups }]) => {
        const print = groups.get(group)
        return print ? [[node, print] as const] : []
      }),
    )
  }

  /** The groups that are stored on any node. */
  get groups(): ReadonlySet<string> {
    return new Set([...this.known.values()].flatMap(({ groups }) => [...groups.keys()]))
  }

  /** The shard keys that any node has stored of a group's tables; undefined: only earlier versions have stored the group, or none. */
  keysOf(group: string): TableKeys | undefined {
    const known = [...this.copiesOf(group).values()].flatMap(({ keys }) => (keys ? [keys] : []))
    return known.length === 0 ? undefined : Object.assign({}, ...known)
  }

  /** The node that all stored groups have for their home; undefined where nothing is stored, or they disagree. */
  get home(): string | undefined {
    return this.knownHome
  }

  /** The last change of the map that the home node has noted; 0 where nothing is stored. */
  get epoch(): number {
    return this.knownHome === undefined ? 0 : (this.known.get(this.knownHome)?.epoch ?? 0)
  }

  /**
   * The node that is written first: of processes that store at the same time, one wins there. It is the home node; before anything is
   * stored, when two processes may have two of them, one that all processes find alike.
   */
  get decider(): string {
    if (this.knownHome !== undefined) return this.knownHome
    const [first] = [...this.known].sort(([, a], [, b]) => (a.identity < b.identity ? -1 : 1))
    return first?.[0] ?? ''
  }

  /** Reads one node anew. @throws the database's error */
  async readNode(node: CatalogNode): Promise<void> {
    const found = await readNodeCatalog(node)
    if (found) this.known.set(node.name, found)
    this.knownHome = homeOf(this.known)
  }

  /** Reads all nodes anew. @throws ShardedError TOPOLOGY_MISMATCH where two nodes are one database, or a copy of it */
  async read(): Promise<void> {
    await this.eachNode(async (node) => {
      if (this.absent.has(node.name)) return
      try {
        const found = await readNodeCatalog(node)
        this.refused.delete(node.name)
        // Somebody may have dropped it.
        if (found) this.known.set(node.name, found)
        else this.known.delete(node.name)
      } catch (error) {
        const reason = catalogUnavailable(node.name, error)
        if (reason === error) throw error
        this.refused.set(node.name, reason)
      }
    })
    for (const [name, { identity }] of this.absent) {
      this.known.delete(name)
      this.known.set(name, assumedCatalog(this.known, identity))
    }
    // Found here, and not when it is asked for: each statement on the home node asks.
    this.knownHome = homeOf(this.known)
    this.refuseTwins()
  }

  /**
   * Reads a node that did not answer before; everything is as it was where this fails.
   *
   * @throws ShardedError TOPOLOGY_MISMATCH where it is another database than the one that was missed, or has lost some of it
   */
  async arrive(node: CatalogNode, accepted: ReadonlySet<string>): Promise<void> {
    const missed = this.absent.get(node.name)
    const found = await readNodeCatalog(node)
    if (!missed || !found || found.identity !== missed.identity)
      throw topologyMismatch(
        [],
        `Node ${node.name} was the database ${missed?.identity ?? '?'}, and is ${found?.identity ?? 'one without a catalog'} now that it answers.`,
      )
    this.absent.delete(node.name)
    this.known.set(node.name, found)
    this.knownHome = homeOf(this.known)
    await this.refuseLost(accepted)
  }

  /** Takes it back that a node answers. */
  leave(name: string, missed: AbsentDatabase): void {
    this.absent.set(name, missed)
    this.known.delete(name)
    this.known.set(name, assumedCatalog(this.known, missed.identity))
    this.knownHome = homeOf(this.known)
  }

  /**
   * Looks for databases that have not all that they were seen to have.
   *
   * @param accepted the nodes of which that is accepted: they go on with what they have
   * @throws ShardedError TOPOLOGY_MISMATCH
   */
  async refuseLost(accepted: ReadonlySet<string>): Promise<void> {
    const { knownHome: home } = this
    const suspects = lostStates(this.known).filter(({ node }) => !this.absent.has(node))
    for (const suspect of suspects) {
      const { node, remembered } = suspect
      const again = await this.on(node, readNodeCatalog)
      if (!again || !hasLost(again, suspect)) continue
      const { identity } = again
      if (!accepted.has(node)) throw await this.lost(suspect, again)
      this.floors.set(identity, remembered)
      if (node === home) await this.adopt(node)
    }
  }

  private async lost({ node, count, witness, remembered }: LostState, catalog: NodeCatalog): Promise<ShardedError> {
    const before = catalog.databases.get(catalog.identity)?.known.server
    const server = await this.on(node, readServer)
    const moved = before && server ? movedText(before, server) : ''
    return topologyMismatch(
      [],
      `Node ${node} (database ${catalog.identity}) has counted to ${count}, and node ${witness} remembers that it had counted to ${count === remembered ? `${remembered} otherwise: another copy of it has gone on` : `${remembered}: it was restored from an older backup, or promoted from a standby that lagged`}.${moved} Rows and decisions of commits may be lost. Bring its latest state back, or start once with acceptRestored: ['${node}'].`,
    )
  }

  /** A home node that was restored takes back what others have by later changes of the map. */
  private async adopt(home: string): Promise<void> {
    const others = new Map([...this.known].filter(([name]) => name !== home))
    const { groups, versions } = assumedCatalog(others, '')
    await this.on(home, async (node) => {
      for (const [name, print] of groups) await copyPrint(node, { name, print }, versions.get(name) ?? 0)
    })
    await this.read()
  }

  /**
   * Lets every database count on, and the others remember it. A node that does not answer, or does not let its role write, is left out.
   *
   * @param olderMs those that were counted not so long ago stay
   */
  async advance(olderMs: number, eachNode: EachNode = this.eachNode): Promise<void> {
    const counts = new Map<string, NodeCount>()
    const each = (work: (node: CatalogNode, identity: string) => Promise<void>): Promise<void> =>
      eachNode(async (node) => {
        const identity = this.known.get(node.name)?.identity
        if (identity !== undefined && !this.absent.has(node.name)) await work(node, identity).catch(() => undefined)
      })
    await each(async (node, identity) => {
      const count = await advanceCount(node, identity, { floor: this.floors.get(identity) ?? 0, olderMs })
      if (count) counts.set(identity, count)
    })
    await each((node, identity) => witnessCounts(node, new Map([...counts].filter(([id]) => id !== identity))))
    for (const identity of counts.keys()) this.floors.delete(identity)
  }

  /** What is new is stored on every node. @throws ShardedError SHARD_UNAVAILABLE where one does not answer */
  requireAll(): void {
    for (const { error } of this.absent.values()) throw error
  }

  /**
   * Keeps on all nodes that answer what databases are now.
   *
   * @returns a line for each database that is on another server than it was
   * @throws ShardedError CATALOG_UNAVAILABLE
   */
  async remember(databases: ReadonlyMap<string, Omit<KnownDatabase, 'server'>>): Promise<readonly string[]> {
    const byIdentity = new Map<string, KnownDatabase>()
    const lines: string[] = []
    await this.eachNode(async (node) => {
      const catalog = this.known.get(node.name)
      const one = databases.get(node.name)
      if (!catalog || !one) return
      const before = catalog.databases.get(catalog.identity)?.known.server
      const server = (await readServer(node)) ?? before
      byIdentity.set(catalog.identity, server ? { ...one, server } : one)
      const moved = before && server ? movedText(before, server) : ''
      if (moved !== '') lines.push(`Node ${node.name} has all that it had counted, and is elsewhere.${moved}`)
    })
    await this.eachNode(async (node) => {
      if (this.absent.has(node.name)) return
      await allowed(node, () => rememberDatabases(node, this.known.get(node.name), byIdentity))
    })
    return lines
  }

  /** Creates the catalog on nodes that have none. @throws ShardedError CATALOG_UNAVAILABLE, TOPOLOGY_MISMATCH */
  async create(): Promise<void> {
    for (const [, reason] of [...this.refused].sort(([a], [b]) => (a < b ? -1 : 1))) throw reason
    let isNew = false
    await this.eachNode(async (node) => {
      if (this.known.has(node.name)) return
      isNew = true
      await allowed(node, () => createCatalog(node))
    })
    if (isNew) await this.read()
  }

  /** Stores groups that a node does not have yet. @throws ShardedError CATALOG_UNAVAILABLE */
  async insert(prints: readonly NamedPrint[], { isTaken, noted }: Change): Promise<void> {
    await this.eachNode(async (node) => {
      const known = this.known.get(node.name)
      const missing = prints.filter(({ name }) => !known?.groups.has(name))
      const isHome = missing.some(({ print }) => print.home === known?.identity)
      if (isTaken(node.name)) await allowed(node, () => insertPrints(node, missing, isHome ? noted : undefined))
    })
  }

  /** Stores other prints of groups in place of those that were read, or of whatever there is. @throws ShardedError CATALOG_UNAVAILABLE */
  async replace(
    prints: readonly NamedPrint[],
    { isTaken, noted, isAny = false }: Change & { readonly isAny?: boolean },
  ): Promise<void> {
    await this.eachNode(async (node) => {
      if (!isTaken(node.name)) return
      for (const one of prints) {
        const known = this.known.get(node.name)
        const stored = known?.groups.get(one.name)
        const how = {
          before: isAny ? undefined : stored,
          noted: one.print.home === known?.identity ? noted : undefined,
        }
        if (stored) await allowed(node, () => replacePrint(node, one, how))
      }
    })
  }

  /**
   * Stores that a shard lies on another database: on the home node first, which decides, and then on all nodes that answer. A copy that
   * is missed is brought up to date by the next start.
   *
   * @throws the home node's error
   */
  async place({ group, label, database }: PlacedShard, noted: NotedChange): Promise<void> {
    await this.change(
      group,
      (print) => {
        const shard = print.shards.find((one) => one.label === label)
        if (!shard) throw new RangeError(`The group ${group} has no shard ${label}.`)
        if (shard.database === database) return undefined
        return {
          ...this.withDatabases(print, [database]),
          shards: print.shards.map((one) => (one === shard ? { ...one, database } : one)),
        }
      },
      noted,
    )
  }

  /** Stores that a group has other shards, in the same way. @throws the home node's error; ShardedError TOPOLOGY_MISMATCH where others changed it */
  async reassign({ group, before, owners, databases }: ReassignedGroup, noted: NotedChange): Promise<void> {
    await this.change(
      group,
      (print) => {
        const labels = print.shards.map(({ label }) => label)
        const now = print.owners ?? declaredOwners(labels)
        if (ownersText(now) === ownersText(owners)) return undefined
        if (ownersText(now) !== ownersText(before))
          throw topologyMismatch([], `The shards of group "${group}" have been changed meanwhile.`)
        const kept = new Map(print.shards.map((shard) => [shard.label, shard]))
        return {
          ...this.withDatabases(print, Object.values(databases)),
          owners,
          shards: ownerLabels(owners).map(
            (label) => kept.get(label) ?? { label, database: databases[label] ?? '', owns: '' },
          ),
        }
      },
      noted,
    )
  }

  private withDatabases(print: GroupPrint, databases: readonly string[]): GroupPrint {
    const named = databases.map((database) => [database, this.names.get(database) ?? ''] as const)
    return { ...print, nodes: { ...print.nodes, ...Object.fromEntries(named) } }
  }

  /** @param change what is to be stored in place of what is there; undefined: it is stored already */
  private async change(
    group: string,
    change: (print: GroupPrint) => GroupPrint | undefined,
    noted: NotedChange,
  ): Promise<void> {
    const { decider } = this
    for (let round = 0; round < maxRounds; round++) {
      await this.on(decider, (node) => this.readNode(node))
      const print = this.known.get(decider)?.groups.get(group)
      if (!print) throw new RangeError(`The catalog of node ${decider} has no group ${group}.`)
      const changed = change(print)
      if (!changed) {
        await this.copy(group).catch(() => undefined)
        return
      }
      await this.on(decider, (node) => replacePrint(node, { name: group, print: changed }, { before: print, noted }))
    }
    throw changedMeanwhile()
  }

  /** Forgets groups whose tables were dropped. */
  async forget(groups: readonly string[], noted: NotedChange): Promise<void> {
    const home = this.knownHome
    await this.eachNode(async (node) => {
      const own = node.name === home ? noted : undefined
      if (this.known.has(node.name)) await allowed(node, () => deletePrints(node, groups, own))
    })
    await this.read()
  }

  /** Work on one node. */
  async on<T>(name: string, work: (node: CatalogNode) => Promise<T>): Promise<T | undefined> {
    let result: T | undefined
    await this.eachNode(async (node) => {
      if (node.name === name) result = await work(node)
    })
    return result
  }

  private refuseTwins(): void {
    const names = new Map<string, string>()
    for (const [node, { identity }] of [...this.known].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const twin = names.get(identity)
      names.set(identity, node)
      if (twin === undefined) continue
      throw topologyMismatch(
        [],
        `Nodes ${twin} and ${node} are one database (${identity}), or one is a copy of the other: name each database once. A copy becomes a database of its own when the schema of this package's tables (sharding, unless the option cluster names another) is dropped there.`,
      )
    }
  }
}

/** How a database was moved to another server; empty: it was not. */
function movedText(before: KnownServer, now: KnownServer): string {
  const parts = (['system', 'timeline', 'oid'] as const).filter((part) => before[part] !== now[part])
  const names = { system: 'system identifier', timeline: 'timeline', oid: 'oid of the database' }
  if (parts.length === 0) return ''
  return ` Its ${parts.map((part) => `${names[part]} was ${before[part]}, and is ${now[part]}`).join('; its ')}.`
}

/** @param known by the name of the node */
export function homeOf(known: ReadonlyMap<string, NodeCatalog>): string | undefined {
  const prints = [...known.values()].flatMap(({ groups }) => [...groups.values()])
  const [home, another] = new Set(prints.map((print) => print.home))
  if (home === undefined || another !== undefined) return undefined
  return [...known].find(([, { identity }]) => identity === home)?.[0]
}

async function allowed<T>(node: CatalogNode, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw catalogUnavailable(node.name, error)
  }
}
