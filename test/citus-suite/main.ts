/** SQL of the regression suite of Citus, on one database and on shards: `npm run test:citus -- <checkout of Citus>`. */
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Client, type PoolClient } from 'pg'
import { DataSource } from 'typeorm'
import { loadParser } from '../../src/sql/parser'
import { startCluster } from '../support/cluster'
import { comparisonLines } from './comparison-report'
import { type Finding, ScriptRun, type ScriptState } from './script-run'
import { baseScripts, isChosen, scriptsBefore } from './suite-files'

interface Suite {
  readonly folder: string
  readonly servers: readonly string[]
}

/** Runs scripts one after the other on a database; what the last of them gave. */
async function runScripts(
  { folder, servers }: Suite,
  {
    database,
    files,
    state,
    isMeasured,
  }: { database: string; files: readonly string[]; state: ScriptState; isMeasured: boolean },
): Promise<readonly Finding[]> {
  const url = new URL(servers[0] ?? '')
  url.pathname = `/${database}`
  const dataSource = await new DataSource({ type: 'postgres', url: url.href, poolSize: 1 }).initialize()
  const runner = dataSource.createQueryRunner()
  const client = (await runner.connect()) as PoolClient // As TypeORM's type does not say.
  let findings: readonly Finding[] = []
  try {
    await client.query('SET statement_timeout = 20000')
    for (const [index, file] of files.entries()) {
      const text = readFileSync(join(folder, 'sql', `${file}.sql`), 'utf8')
      const run = new ScriptRun({ ...state, runner, client, servers, folder }, file, text)
      try {
        await run.run(isMeasured && index === files.length - 1)
      } catch (error) {
        process.stderr.write(`${file}: ${error instanceof Error ? error.stack : String(error)}\n`)
      } finally {
        await run.close()
      }
      findings = run.findings
      await client.query('ROLLBACK; SET search_path TO DEFAULT')
    }
  } finally {
    await runner.release()
    await dataSource.destroy()
  }
  return findings
}

async function compareSuite(
  suite: Suite,
  files: readonly string[],
  keep: (found: readonly Finding[]) => void,
): Promise<void> {
  const admin = new Client({ connectionString: suite.servers[0] })
  await admin.connect()
  await admin.query('CREATE DATABASE base')
  const base: ScriptState = { placements: new Map(), definitions: [] }
  await runScripts(suite, { database: 'base', files: baseScripts, state: base, isMeasured: false })
  for (const file of files) {
    const started = Date.now()
    await admin.query('CREATE DATABASE running TEMPLATE base')
    const state = { placements: new Map(base.placements), definitions: [...base.definitions] }
    const found = await runScripts(suite, {
      database: 'running',
      files: [...scriptsBefore(file), file],
      state,
      isMeasured: true,
    })
    await admin.query('DROP DATABASE running WITH (FORCE)')
    const exact = found.filter(({ verdict }) => verdict.kind === 'exact').length
    const wrong = found.filter(({ verdict }) => verdict.kind === 'wrong').length
    process.stderr.write(
      `${file}: ${found.length} statements, ${exact} exact, ${wrong} wrong, ${Date.now() - started} ms\n`,
    )
    keep(found)
  }
  await admin.end()
}

const main = async (): Promise<void> => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, json: { type: 'string' } },
  })
  const [checkout] = positionals
  if (checkout === undefined)
    throw new Error('Usage: npm run test:citus -- <checkout of Citus> [--only <files>] [--json <file>]')
  await loadParser()
  const folder = join(checkout, 'src', 'test', 'regress')
  const all = readdirSync(join(folder, 'sql')).flatMap((name) => (name.endsWith('.sql') ? name.slice(0, -4) : []))
  const only = values.only?.split(',')
  const files = all.filter((file) => (only ? only.includes(file) : isChosen(file)))
  const clusters = await Promise.all(['a', 'b'].map((name) => startCluster({ name })))
  const findings: Finding[] = []
  if (values.json !== undefined) writeFileSync(values.json, '')
  try {
    await compareSuite({ folder, servers: clusters.map((cluster) => cluster.url()) }, files, (found) => {
      findings.push(...found)
      if (values.json !== undefined)
        appendFileSync(values.json, found.map((finding) => `${JSON.stringify(finding)}\n`).join(''))
    })
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.stop()))
  }
  for (const line of comparisonLines(findings)) console.log(line)
  if (findings.some(({ verdict }) => verdict.kind === 'wrong')) process.exitCode = 1
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
