import { isIP } from 'node:net'
import { Connection, type ConnectionConfig, type PoolClient } from 'pg'
import { type ClientInternals, internalsOf } from './pg-internals'

/** Bound of one request: connecting, sending, and the server's closing of the connection. */
const cancelTimeoutMs = 5_000

/** pg's connection, in the words of its code. */
interface Wire {
  readonly stream: { destroy(): void }
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
  on(event: 'connect' | 'sslconnect' | 'end', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
}

/**
 * Asks the server to cancel what a client's session runs: PostgreSQL's CancelRequest, on a connection of its own that
 * needs no login and no place in a pool, encrypted where the client's is. pg's own `Client.cancel` sends it in plain text.
 *
 * Resolves when the server has closed that connection. The server signals the session before it closes, and ignores a
 * signal that comes between statements: a statement sent afterwards is safe. A rejection leaves it open whether the
 * request arrives, or when.
 */
export function requestCancel(client: PoolClient, stream: ConnectionConfig['stream']): Promise<void> {
  const target = internalsOf(client)
  const { host, port, processID, secretKey, sslNegotiation = 'postgres' } = target
  if (processID === null || secretKey === null)
    return Promise.reject(new Error('The server gave no key to cancel with.'))
  const isSocket = host.startsWith('/')
  // A name may stand for several servers: the request must go to the one that runs the statement.
  const address = target.connection.stream.remoteAddress ?? host
  const wire = new Connection({
    ssl: sslOf(target),
    sslNegotiation,
    ...(typeof stream === 'function' && { stream }),
    // Its types tell neither of what it takes nor of what it emits.
  } as ConnectionConfig) as unknown as Wire
  let isSent = false
  const send = (): void => {
    isSent = true
    wire.cancel(processID, secretKey)
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => fail(new Error(`The server did not take a cancel request in time.`)),
      cancelTimeoutMs,
    )
    const fail = (error: Error): void => {
      clearTimeout(timer)
      reject(error)
      wire.stream.destroy()
    }
    wire.on('connect', () => {
      if (target.ssl === false) send()
      else if (sslNegotiation !== 'direct') wire.requestSsl()
    })
    wire.on('sslconnect', send)
    wire.on('error', fail)
    wire.on('end', () => {
      clearTimeout(timer)
      if (isSent) resolve()
      else reject(new Error('The server closed the connection before it took a cancel request.'))
    })
    if (isSocket) wire.connect(`${host}/.s.PGSQL.${port}`)
    else wire.connect(port, address)
  })
}

/** The certificate is checked against the name that the client knows, since the address is what is connected to. */
function sslOf({ ssl, host }: ClientInternals): boolean | object {
  if (ssl === false) return false
  const given = ssl === true ? {} : ssl
  // pg hides the key from loops over properties.
  return { ...(isIP(host) === 0 && { servername: host }), ...given, ...('key' in given && { key: given.key }) }
}
