import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isWhole } from '../support/share-of'

const root = resolve(__dirname, '../..')
// Reading three million rows takes a busy machine its time.
const demoTimeout = 180_000

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
  // As root, the servers run as another user, who has to reach their folders in this one.
  chmodSync(folder, 0o755)
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Starts the demo with the servers' folders in `folder`, from where they can be seen to be gone. */
const startDemo = (): ChildProcess =>
  spawn(process.execPath, ['-r', '@swc-node/register', 'examples/demo/main.ts'], {
    cwd: root,
    env: { ...process.env, TMPDIR: folder, DEMO_ROWS: '2000' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })

const collect = (child: ChildProcess): { readonly text: () => string } => {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  }
  return { text: () => output }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((next) => setTimeout(next, 20))
}

const clusterFolders = (): readonly string[] => readdirSync(folder).filter((name) => name.startsWith('pg-'))

const postmasterOf = (prefix: string): number => {
  const name = clusterFolders().find((entry) => entry.startsWith(prefix)) ?? ''
  return Number(readFileSync(join(folder, name, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
}

/** The ports that the demo says its servers listen on. */
const portsOf = (text: string): readonly number[] =>
  [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port))

const isServed = async (port: number): Promise<boolean> => {
  try {
    await fetch(`http://127.0.0.1:${port}`)
    return true
  } catch (error) {
    return !(error instanceof TypeError && error.cause instanceof Error && error.cause.message.includes('ECONNREFUSED'))
  }
}

const expectNothingLeft = async (text: string): Promise<void> => {
  const ports = [...new Set(portsOf(text))]
  expect(ports).toHaveLength(2)
  expect(await Promise.all(ports.map(isServed))).toEqual([false, false])
  expect(clusterFolders()).toEqual([])
}

describe('the demo', () => {
  test('ends well, with checked answers, and leaves nothing running', { timeout: demoTimeout }, async () => {
    const child = startDemo()
    const output = collect(child)
    const [code] = await once(child, 'close')
    const text = output.text()
    expect(text).toContain('cities      1,989 places of geonames.org')
    expect(text).toContain('flights     2,000 of the 3 million U.S. flights')
    expect(text).toContain('route       2 of 6 shards: flight_2001_02, flight_2001_03, on nodes a and b')
    expect(text).toContain('statements  2 (node a: 1, node b: 1)')
    expect(text.match(/✓ equals the answer/g)).toHaveLength(9)
    expect(text).toContain('✓ every city is there, with what was written to it')
    expect(text.slice(text.indexOf('Shards after'))).toMatch(
      /node a +█+ +[78]\n +node b +█+ +[78]\n +node c +█+ +[678]\n/,
    )
    expect(text).toMatch(/Done in \d+ s/)
    expect(Math.max(...text.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(100)
    expect(code).toBe(0)
    await expectNothingLeft(text)
  })

  test.runIf(isWhole)('fails when a server dies, and leaves nothing', { timeout: demoTimeout }, async () => {
    const child = startDemo()
    const output = collect(child)
    await until(() => output.text().includes('Data'))
    process.kill(postmasterOf('pg-demo-b'), 'SIGKILL')
    const [code] = await once(child, 'close')
    expect(output.text()).toMatch(/ShardedError: .*[Nn]ode b/)
    expect(code).toBe(1)
    await expectNothingLeft(output.text())
  })

  test.runIf(isWhole)('stops its servers on Ctrl-C', { timeout: demoTimeout }, async () => {
    const child = startDemo()
    const output = collect(child)
    await until(() => output.text().includes('Load,'))
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    expect(code).toBe(130)
    await expectNothingLeft(output.text())
  })
})
