/**
 * Runs the benches on two embedded PostgreSQL servers and keeps the results.
 *
 *     npm run bench                          all of them, in full
 *     npm run bench -- --quick               smaller and fewer rounds; the results are printed, not kept
 *     npm run bench -- --only point-read     one (or several, by comma); its results replace its old ones
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { startCluster } from '../test/support/cluster'
import { benches } from './benches'
import { type Occasion, type Results, textTable } from './support/report'
import { runBenches } from './support/run-benches'

const latest = join(__dirname, 'results', 'latest.json')

/** Data in memory and no checkpoint in the middle of a round. */
const settings = { shared_buffers: '512MB', max_wal_size: '4GB', checkpoint_timeout: '1h', autovacuum: 'off' }

const serverVersion = async (connectionString: string): Promise<string> => {
  const client = new Client({ connectionString })
  await client.connect()
  const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
  await client.end()
  return rows[0]?.server_version ?? ''
}

const keep = async (admin: string, measured: Results['benches']): Promise<void> => {
  const known: Results = existsSync(latest) ? JSON.parse(readFileSync(latest, 'utf8')) : { occasions: {}, benches: {} }
  const occasion: Occasion = {
    machine: {
      cores: cpus().length,
      processor: cpus()[0]?.model ?? '',
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.versions.node,
      postgres: await serverVersion(admin),
    },
    date: new Date().toISOString(),
  }
  const merged = { ...known.benches, ...measured }
  const results: Results = {
    occasions: { ...known.occasions, ...Object.fromEntries(Object.keys(measured).map((name) => [name, occasion])) },
    benches: Object.fromEntries(benches.flatMap(({ name }) => (merged[name] ? [[name, merged[name]]] : []))),
  }
  writeFileSync(latest, `${JSON.stringify(results, null, 2)}\n`)
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({ options: { quick: { type: 'boolean' }, only: { type: 'string' } } })
  const names = values.only?.split(',')
  const unknown = names?.find((name) => !benches.some((bench) => bench.name === name))
  if (unknown) throw new Error(`There is no bench ${unknown}: ${benches.map(({ name }) => name).join(', ')}`)
  const chosen = benches.filter(({ name }) => names?.includes(name) ?? true)
  const servers = await Promise.all(['a', 'b'].map((name) => startCluster({ name, settings })))
  try {
    const admins = servers.map((server) => server.url())
    const scale = values.quick ? 'quick' : 'full'
    const results = await runBenches(chosen, admins, scale, (name, measures) =>
      process.stdout.write(`\n${name}\n${textTable(measures)}\n`),
    )
    if (!values.quick) await keep(admins[0] ?? '', results)
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
