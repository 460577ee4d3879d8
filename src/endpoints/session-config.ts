import type { ClientBase, PoolConfig } from 'pg'
import { literal } from '../values/literal'

/** A node that does not answer for so long, in milliseconds, gives no connection. */
const toldWithinMs = 10_000

/** The settings go in the packet with which each connection starts, behind what the caller's own options say. */
export function withStartupSettings(config: PoolConfig, settings: ReadonlyMap<string, string>): PoolConfig {
  const { options: given, connectionString } = ownOptions(config)
  const flags = [...settings].map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`)
  const options = [given, ...flags].filter(Boolean).join(' ')
  return { ...config, ...(connectionString !== undefined && { connectionString }), options }
}

/** Each connection is told once, and pg's pool waits for that before anybody has it: poolers take no settings in the packet. */
export function withStatedSettings(config: PoolConfig, settings: ReadonlyMap<string, string>): PoolConfig {
  const calls = [...settings].map(([name, value]) => `set_config(${literal(name)}, ${literal(value)}, false)`)
  const onConnect = async (client: ClientBase): Promise<void> => {
    await config.onConnect?.(client)
    await client.query(Object.assign({ text: `SELECT ${calls.join(', ')}` }, { query_timeout: toldWithinMs }))
  }
  // @types/pg has no hook that may be waited for.
  return { ...config, onConnect } as PoolConfig
}

/** Those of the URL, which pg would let go before all others; else the option's, else the environment's, as pg has it. */
function ownOptions({ options, connectionString }: PoolConfig): Pick<PoolConfig, 'options' | 'connectionString'> {
  const given = options ?? process.env['PGOPTIONS']
  if (connectionString === undefined || !URL.canParse(connectionString)) return { options: given, connectionString }
  const url = new URL(connectionString)
  const ofUrl = url.searchParams.get('options')
  if (ofUrl === null) return { options: given, connectionString }
  url.searchParams.delete('options')
  return { options: ofUrl, connectionString: url.href }
}
