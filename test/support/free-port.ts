import { createServer } from 'node:net'

/** Ports of this process that a server may not have bound yet. */
const given = new Set<number>()

/** A TCP port that nobody listens on right now, and that was not given before. */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const port = await unboundPort()
    if (given.has(port)) continue
    given.add(port)
    return port
  }
  throw new Error('No free TCP port.')
}

const unboundPort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
