import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freshDatabases } from '../support/fresh-databases'
import { type TestRun, testRun } from './test-run'

const root = resolve(__dirname, '..', '..')
/** A run of some files that takes longer hangs. */
const deadlineMs = 600_000

export interface RunOptions {
  /** The work folder. */
  readonly folder: string
  readonly files: readonly string[]
  /** Superusers' URLs of two servers. */
  readonly servers: readonly string[]
  readonly mode: RunMode
}

export type RunMode = 'plain' | 'home' | 'automatic'

/** Runs test files in one process of mocha, on databases of their own. */
export async function runTests({ folder, files, servers, mode }: RunOptions): Promise<TestRun> {
  const databases = await freshDatabases(servers, 2)
  // Tests that make a data source of their own look at the tables of the home node.
  const [home = ''] = databases.nodes
  const scratch = mkdtempSync(join(tmpdir(), 'typeorm-suite-'))
  const output = join(scratch, 'outcomes.jsonl')
  writeFileSync(output, '')
  try {
    const child = spawn(process.execPath, [...mochaFlags(folder, output), ...files], {
      cwd: folder,
      env: {
        ...process.env,
        NODE_ENV: 'test',
        SWC_NODE_PROJECT: join(root, 'tsconfig.json'),
        TYPEORM_SUITE_CONNECTION: JSON.stringify(connectionOptions(mode === 'plain' ? databases.oracle : home)),
        TYPEORM_SUITE_NODES: JSON.stringify(mode === 'plain' ? [] : databases.nodes),
        TYPEORM_SUITE_MODE: mode,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    })
    let log = ''
    const keep = (chunk: Buffer): void => {
      log = `${log}${chunk}`.slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    await once(child, 'close')
    return testRun(readFileSync(output, 'utf8'), log)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
    await databases.drop()
  }
}

function mochaFlags(folder: string, output: string): readonly string[] {
  return [
    ...['-r', '@swc-node/register', '-r', join(__dirname, 'set-up-run.ts')],
    join(folder, 'node_modules', 'mocha', 'bin', '_mocha'),
    ...['--timeout', '90000', '--exit', '--no-config', '--file', join(folder, 'test', 'utils', 'test-setup.js')],
    ...['--reporter', join(__dirname, 'json-reporter.cjs'), '--reporter-option', `output=${output}`],
  ]
}

/** TypeORM's tests read their connection from `ormconfig.json`. */
function connectionOptions(url: string): object {
  const { hostname, port, username, password, pathname } = new URL(url)
  const database = pathname.slice(1)
  return { type: 'postgres', host: hostname, port: Number(port), username, password, database, logging: false }
}
