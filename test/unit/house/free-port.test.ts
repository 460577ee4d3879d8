import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { freePort } from '../../support/free-port'

test('servers of tests listen below the ports of outgoing connections, each on one of its own', async () => {
  const ports = await Promise.all(Array.from({ length: 200 }, freePort))
  expect(new Set(ports).size).toBe(ports.length)
  expect(ports.every((port) => port >= 20_000 && port < 32_768)).toBe(true)
  const [port = 0] = ports
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await new Promise((resolve) => server.close(resolve))
})
