import { homeOf } from '../../catalog/catalog'
import { type NodeCatalog, readNodeCatalog } from '../../catalog/node-catalog'
import { commonSettings, differencesOf, type NodeSession, type Pooling, pinsOf } from '../../endpoints/node-session'
import type { PoolConfig } from '../../endpoints/pool-config'
import { type ProbedNode, probeSession } from '../../endpoints/probe-session'
import { withStartupSettings, withStatedSettings } from '../../endpoints/session-config'
import { ShardedError } from '../../errors/sharded-error'
import { nodesAtOnce } from './nodes-at-once'
import { poolConfigOf } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/** How the connections of a node are opened, so that the sessions of all nodes are alike. */
export interface NodeSessions {
  readonly config: PoolConfig
  readonly pooling: Pooling
}

/**
 * Asks every node what its sessions are like, and says how they become one: as the home node has them, or as the option
 * `session` names it.
 *
 * @throws ShardedError SHARD_UNAVAILABLE; SESSION_SETTINGS_DIFFER where a pooler in transaction mode keeps no setting
 */
export async function openSessions(
  options: ShardedDataSourceOptions,
  warn: (text: string) => void,
): Promise<ReadonlyMap<string, NodeSessions>> {
  const { session: named = {} } = options
  const limit = nodesAtOnce()
  const names = Object.keys(named).map((name) => name.toLowerCase())
  const configs = new Map(Object.entries(options.nodes).map(([name, node]) => [name, poolConfigOf(options, node)]))
  const stored = new Map<string, NodeCatalog>()
  const lookUp = (name: string) => async (node: ProbedNode) => {
    // A role without the right to read it gets the error later, once there are sessions.
    const found = await readNodeCatalog(node).catch(() => undefined)
    if (found) stored.set(name, found)
  }
  const isHomeStored = options.home === undefined && configs.size > 1
  const asked = [...configs].map(([name, config]) =>
    limit(() => probeSession(name, config, { names, look: isHomeStored ? lookUp(name) : undefined })),
  )
  const settled = await Promise.allSettled(asked)
  const failed = settled.find((one) => one.status === 'rejected')
  if (failed) throw failed.reason
  const sessions = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const homeNode = options.home ?? homeOf(stored)
  const home = sessions.find(({ node }) => node === homeNode) ?? sessions[0]
  if (!home) throw new RangeError('No node was asked.')
  const common = commonSettings(home, named)
  for (const text of reports(sessions, home, common)) warn(text)
  return new Map(
    sessions.map((session) => {
      const config = configs.get(session.node) ?? {}
      return [session.node, { config: configured(config, session, { common, named }), pooling: session.pooling }]
    }),
  )
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

function* reports(sessions: readonly NodeSession[], home: NodeSession, common: Wanted['common']): Generator<string> {
  for (const session of sessions) {
    const { node, settings, encoding, pooling } = session
    for (const name of differencesOf(session, common))
      yield `Node ${node} has ${name} ${JSON.stringify(settings.get(name))} by itself; its connections are given ${JSON.stringify(common.get(name))}, as all have it.`
    if (encoding !== home.encoding)
      yield `Node ${node} is encoded in ${encoding}, and the home node ${home.node} in ${home.encoding}: text that one of them cannot hold is refused there (22P05).`
    if (pooling === 'transaction')
      yield `Node ${node} is behind a pooler in transaction mode: statements are not named there, and its sessions keep no settings.`
  }
}
