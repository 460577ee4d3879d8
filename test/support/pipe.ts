import { connect, createServer, type Socket } from 'node:net'
import { freePort } from './free-port'

/** Stands before a server on a port of its own, and passes on what both sides say. */
export interface Pipe {
  readonly port: number
  /** Passes nothing on any more, and closes nothing: each side hears no more of the other. */
  freeze(): void
  /** Closes the port and every connection. */
  close(): void
}

/**
 * Starts a pipe before the server on this port. `onOpening` is told the first bytes of each connection.
 *
 * @example
 * const pipe = await startPipe(cluster.port)
 * const client = new Client({ host: '127.0.0.1', port: pipe.port })
 * pipe.freeze() // the server falls silent
 */
export async function startPipe(server: number, onOpening?: (bytes: Buffer) => void): Promise<Pipe> {
  const sockets = new Set<Socket>()
  const listener = createServer((client) => {
    const behind = connect(server, '127.0.0.1')
    if (onOpening) client.once('data', onOpening)
    client.pipe(behind).pipe(client)
    for (const socket of [client, behind]) {
      sockets.add(socket)
      socket.on('error', () => client.destroy() && behind.destroy())
      socket.on('close', () => sockets.delete(socket))
    }
  })
  const port = await freePort()
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve))
  return {
    port,
    freeze: () => {
      for (const socket of sockets) socket.unpipe().pause()
    },
    close: () => {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
