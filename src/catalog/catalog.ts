import { refusesCreation } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { GroupPrint, TableKeys } from './group-print'
import {
  type CatalogNode,
  createCatalog,
  deletePrints,
  insertPrints,
  type NamedPrint,
  type NodeCatalog,
  readNodeCatalog,
  replacePrint,
} from './node-catalog'

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
  return new ShardedError('CATALOG_UNAVAILABLE', `Node ${node} does not let its role use the catalog: ${reason}.`, {
    details: { node },
    cause: error,
  })
}

/** Does some work on every node, nodes at once. */
type EachNode = (work: (node: CatalogNode) => Promise<void>) => Promise<void>

/** What all nodes of a data source hold of where rows are. Reading is one statement a node; it is written when something is new. */
export class Catalog {
  private readonly known = new Map<string, NodeCatalog>()
  private readonly refused = new Map<string, unknown>()
  private knownHome: string | undefined

  private constructor(private readonly eachNode: EachNode) {}

  /** Reads what is there. A role that may not is told so when something is to be known or stored. */
  static async open(eachNode: EachNode): Promise<Catalog> {
    const catalog = new Catalog(eachNode)
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

  /** The node that is written first: of processes that store at the same time, one wins there. */
  get decider(): string {
    const [first] = [...this.known].sort(([, a], [, b]) => (a.identity < b.identity ? -1 : 1))
    return first?.[0] ?? ''
  }

  /** Reads all nodes anew. @throws ShardedError TOPOLOGY_MISMATCH where two nodes are one database, or a copy of it */
  async read(): Promise<void> {
    await this.eachNode(async (node) => {
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
    // Found here, and not when it is asked for: each statement on the home node asks.
    this.knownHome = homeOf(this.known)
    this.refuseTwins()
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
  async insert(prints: readonly NamedPrint[], isTaken: (node: string) => boolean): Promise<void> {
    await this.eachNode(async (node) => {
      const missing = prints.filter(({ name }) => !this.known.get(node.name)?.groups.has(name))
      if (isTaken(node.name)) await allowed(node, () => insertPrints(node, missing))
    })
  }

  /** Stores other prints of groups in place of those that were read, or of whatever there is. @throws ShardedError CATALOG_UNAVAILABLE */
  async replace(
    prints: readonly NamedPrint[],
    isTaken: (node: string) => boolean,
    { isAny = false }: { readonly isAny?: boolean } = {},
  ): Promise<void> {
    await this.eachNode(async (node) => {
      if (!isTaken(node.name)) return
      for (const one of prints) {
        const before = this.known.get(node.name)?.groups.get(one.name)
        if (before) await allowed(node, () => replacePrint(node, one, isAny ? undefined : before))
      }
    })
  }

  /** Forgets groups whose tables were dropped. */
  async forget(groups: readonly string[]): Promise<void> {
    await this.eachNode(async (node) => {
      if (this.known.has(node.name)) await allowed(node, () => deletePrints(node, groups))
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
        `Nodes ${twin} and ${node} are one database (${identity}), or one is a copy of the other: name each database once. A copy becomes a database of its own when its tables sharding_node, sharding_group and sharding_decision are dropped.`,
      )
    }
  }
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
