import { type AbsentDatabase, assumedCatalog, findAbsent } from '../../catalog/absent-database'
import { homeOf } from '../../catalog/catalog'
import { sessionOf } from '../../catalog/known-database'
import { type NodeCatalog, readNodeCatalog } from '../../catalog/node-catalog'
import { commonSettings, differencesOf, type NodeSession, type Pooling, pinsOf } from '../../endpoints/node-session'
import type { PoolConfig } from '../../endpoints/pool-config'
import { type ProbedNode, probeSession } from '../../endpoints/probe-session'
import { withStartupSettings, withStatedSettings } from '../../endpoints/session-config'
import { ShardedError } from '../../errors/sharded-error'
import { defaultCluster, ownSchemaOf } from '../../values/own-schema'
import { forNodes } from './for-nodes'
import { poolConfigOf } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/** How the connections of a node are opened, so that the sessions of all nodes are alike. */
export interface NodeSessions {
  readonly config: PoolConfig
  /** Past the pooler, where the node's options name a way. */
  readonly direct: PoolConfig | undefined
  readonly pooling: Pooling
  /** What the node said of its sessions. */
  readonly session: NodeSession
}

/** The sessions of all nodes, and the nodes that did not answer. */
export interface OpenedSessions {
  readonly sessions: ReadonlyMap<string, NodeSessions>
  readonly absent: ReadonlyMap<string, AbsentDatabase>
  /** Asks a node again that did not answer. @throws as `openSessions` */
  readonly ask: (node: string) => Promise<NodeSessions>
}

/**
 * Asks every node what its sessions are like, and says how they become one: as the home node has them, or as the option
 * `session` names it.
 *
 * @throws ShardedError SHARD_UNAVAILABLE; SESSION_SETTINGS_DIFFER where a pooler in transaction mode keeps no setting;
 *   OPTIONS_INVALID for a `directUrl` that leads to another database
 */
export async function openSessions(
  options: ShardedDataSourceOptions,
  warn: (text: string) => void,
): Promise<OpenedSessions> {
  const { session: named = {}, startWithout = 'any' } = options
  const names = Object.keys(named).map((name) => name.toLowerCase())
  const nodes = Object.keys(options.nodes)
  const configOf = (name: string): PoolConfig => poolConfigOf(options, options.nodes[name] ?? {})
  const mayLack = startWithout === 'any' && nodes.length > 1
  const stored = new Map<string, NodeCatalog>()
  const ownSchema = ownSchemaOf(options.cluster ?? defaultCluster)
  const lookUp = (name: string) => async (node: Omit<ProbedNode, 'ownSchema'>) => {
    // A role without the right to read it gets the error later, once there are sessions.
    const found = await readNodeCatalog({ ...node, ownSchema }).catch(() => undefined)
    if (found) stored.set(name, found)
  }
  const isStoredNeeded = nodes.length > 1 && (mayLack || options.home === undefined)
  const failures = new Map<string, ShardedError>()
  const answers = await forNodes(nodes, async (name) => {
    try {
      return await probeSession(name, configOf(name), { names, look: isStoredNeeded ? lookUp(name) : undefined })
    } catch (error) {
      if (!mayLack || !isAway(error)) throw error
      failures.set(name, error)
      return undefined
    }
  })
  const sessions = answers.flatMap((session) => session ?? [])
  const absent = absentOf(failures, stored)
  for (const [name, { identity }] of absent) stored.set(name, assumedCatalog(stored, identity))
  const homeNode = options.home ?? homeOf(stored) ?? nodes[0] ?? ''
  const missedHome = absent.get(homeNode)
  const home = missedHome ? sessionOf(missedHome.known) : sessions.find(({ node }) => node === homeNode)
  if (!home) throw new RangeError('The home node was not asked.')
  const common = commonSettings(home, named)
  const isDirect = (node: string): boolean => options.nodes[node]?.directUrl !== undefined
  for (const text of reports(sessions, home, { common, isDirect })) warn(text)
  const wanted = { common, named }
  const openedOf = async (session: NodeSession): Promise<NodeSessions> => ({
    config: configured(configOf(session.node), session, wanted),
    direct: await directOf(options, session, wanted),
    pooling: session.pooling,
    session,
  })
  const opened = await forNodes(sessions, async (session) => [session.node, await openedOf(session)] as const)
  return {
    sessions: new Map(opened),
    absent,
    ask: async (node) => openedOf(await probeSession(node, configOf(node), { names })),
  }
}

/** True of the error of a node that cannot be reached, and of none that somebody has to mend in the options. */
export const isAway = (error: unknown): error is ShardedError =>
  error instanceof ShardedError && error.code === 'SHARD_UNAVAILABLE'

/** @throws ShardedError SHARD_UNAVAILABLE where nobody knows what a node is that does not answer */
function absentOf(
  failures: ReadonlyMap<string, ShardedError>,
  stored: ReadonlyMap<string, NodeCatalog>,
): ReadonlyMap<string, AbsentDatabase> {
  const absent = new Map<string, AbsentDatabase>()
  for (const [name, error] of failures) {
    const found = findAbsent(stored, name)
    if (!found) throw neverSeen(name, error)
    absent.set(name, { ...found, error })
  }
  return absent
}

const neverSeen = (node: string, cause: ShardedError): ShardedError =>
  new ShardedError(
    'SHARD_UNAVAILABLE',
    `${cause.message} The nodes that answer have stored nothing of it: a start without it would not know where rows are.`,
    { details: { node }, cause },
  )

/** How connections past a pooler are opened. @throws ShardedError SHARD_UNAVAILABLE, OPTIONS_INVALID */
async function directOf(
  options: ShardedDataSourceOptions,
  { node, database }: NodeSession,
  wanted: Wanted,
): Promise<PoolConfig | undefined> {
  const given = options.nodes[node]
  if (given?.directUrl === undefined) return undefined
  const config = poolConfigOf(options, { ...given, url: given.directUrl })
  const direct = await probeSession(node, config, { names: [...wanted.common.keys()] })
  if (direct.database === database && direct.pooling === 'none') return configured(config, direct, wanted)
  const why = direct.pooling === 'none' ? 'leads to another database than its url' : 'leads to a pooler'
  throw new ShardedError('OPTIONS_INVALID', `ShardedDataSource: directUrl of node ${node} ${why}.`, {
    details: { node },
  })
}

interface Wanted {
  readonly common: ReadonlyMap<string, string>
  readonly named: Readonly<Record<string, string>>
}

function configured(config: PoolConfig, session: NodeSession, { common, named }: Wanted): PoolConfig {
  const pins = pinsOf(session, common, named)
  if (session.pooling === 'none') return withStartupSettings(config, pins)
  if (session.pooling === 'session') return withStatedSettings(config, pins)
  const [name] = differencesOf(session, common)
  if (name === undefined) return config
  const { node, settings } = session
  const [own, wanted] = [settings.get(name), common.get(name)]
  throw new ShardedError(
    'SESSION_SETTINGS_DIFFER',
    `Node ${node} has ${name} ${JSON.stringify(own)}, and ${JSON.stringify(wanted)} is needed; its pooler gives each transaction another session, which keeps no setting.`,
    { details: { node, setting: name, own, wanted } },
  )
}

interface Reported extends Pick<Wanted, 'common'> {
  readonly isDirect: (node: string) => boolean
}

function* reports(
  sessions: readonly NodeSession[],
  home: NodeSession,
  { common, isDirect }: Reported,
): Generator<string> {
  for (const session of sessions) {
    const { node, settings, encoding, pooling } = session
    for (const name of differencesOf(session, common))
      yield `Node ${node} has ${name} ${JSON.stringify(settings.get(name))} by itself; its connections are given ${JSON.stringify(common.get(name))}, as all have it.`
    if (encoding !== home.encoding)
      yield `Node ${node} is encoded in ${encoding}, and the home node ${home.node} in ${home.encoding}: text that one of them cannot hold is refused there (22P05).`
    if (pooling === 'transaction')
      yield `Node ${node} is behind a pooler in transaction mode: statements are not named there, and its sessions keep no settings.${isDirect(node) ? '' : ' Set directUrl: without, prepared transactions wait to be ended for server connections that others may hold.'}`
  }
}
