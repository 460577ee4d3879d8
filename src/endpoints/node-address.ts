import { Client } from 'pg'
import type { PoolConfig } from './pool-config'

/** Where a node is reached, and as whom. */
export interface NodeAddress {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly username: string
  /** Undefined where there is none, or where a function gives it. */
  readonly password: string | undefined
  readonly ssl: boolean
}

/** The address to which connections of a node go: URLs, environment and defaults resolved as `pg` does. Connects to nothing. */
export function addressOf(config: PoolConfig): NodeAddress {
  const { host, port, user = '', database = user, password, ssl } = new Client(config)
  // In its types a text; where the options have a function it is that function.
  const given: unknown = password
  return Object.freeze({
    host,
    port,
    database,
    username: user,
    password: typeof given === 'string' ? given : undefined,
    ssl: Boolean(ssl),
  })
}
