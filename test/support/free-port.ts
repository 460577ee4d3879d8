import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Servers of tests listen in this range. The kernel takes ports of outgoing connections from 32768 up: a port from there may
 * be in use by a connection when its server is started again.
 */
const lowest = 20_000
const highest = 32_767

/** Each attempt takes another port at random. With half of the range in use, one in 2^64 calls would fail. */
const maxAttempts = 64

/** Ports of this process that a server may not have bound yet. */
const given = new Set<number>()

/** A TCP port below 32768 that nobody listens on right now, and that was not given before. */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const port = randomInt(lowest, highest + 1)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error(`No free TCP port among ${maxAttempts} from ${lowest} to ${highest}.`)
}

/** Any error of `listen` (in use, reserved by the system) means that a server could not listen there either. */
const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
