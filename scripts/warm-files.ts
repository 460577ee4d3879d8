/**
 * Counts the files of `src/` that run in a warm operation, by the coverage of V8: how far a reader has to go to follow it.
 *
 *     npm run warm-files
 */
import 'reflect-metadata'
import { Session } from 'node:inspector/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadItems, openBoth } from '../bench/support/data-sources'
import { Item } from '../bench/support/item'
import { startCluster } from '../test/support/cluster'
import { freshDatabases } from '../test/support/fresh-databases'

const sources = join(__dirname, '..', 'src')

const pathOf = (url: string): string => (url.startsWith('file:') ? fileURLToPath(url) : url)

/** What the compiler makes of an export: who reads a constant of a file runs nothing of it. */
const exportGetter = /^function\s*\(\)\s*\{\s*return [\w$.]+;?\s*\}$/

/** The files of `src/` with a function that ran during `work`. */
async function filesOf(session: Session, work: () => Promise<unknown>): Promise<readonly string[]> {
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  await work()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  await session.post('Profiler.stopPreciseCoverage')
  const files: string[] = []
  for (const { url, scriptId, functions } of result) {
    const path = relative(sources, pathOf(url))
    if (path.startsWith('..') || path === '') continue
    const { scriptSource } = await session.post('Debugger.getScriptSource', { scriptId })
    const ran = functions.flatMap(({ ranges }) => ranges.filter(({ count }) => count > 0))
    const isRun = ran.some(
      ({ startOffset, endOffset }) =>
        !exportGetter.test(scriptSource.slice(startOffset, endOffset).replace(/^get\s+\w+/, 'function')),
    )
    if (isRun) files.push(path)
  }
  return files
}

const warmUps = 20

/** What the data source does on its own account meanwhile, as the recovery of transactions, does not run in each of so many. */
const measuredRuns = 3

async function warmFiles(session: Session, work: () => Promise<unknown>): Promise<readonly string[]> {
  for (let round = 0; round < warmUps; round++) await work()
  const runs: (readonly string[])[] = []
  for (let run = 0; run < measuredRuns; run++) runs.push(await filesOf(session, work))
  const [first = [], ...others] = runs
  return first.filter((file) => others.every((files) => files.includes(file)))
}

async function main(): Promise<void> {
  const servers = await Promise.all(['a', 'b'].map((name) => startCluster({ name })))
  try {
    const databases = await freshDatabases(
      servers.map((server) => server.url()),
      2,
    )
    const both = await openBoth(databases, 2)
    await loadItems(both, databases, 1_000)
    const items = both.ours.getRepository(Item)
    const operations: Readonly<Record<string, () => Promise<unknown>>> = {
      'a find by key': () => items.findOneBy({ id: '7' }),
      'a find over shards': () => items.find({ order: { createdAt: 'DESC' }, take: 20 }),
      'a raw GROUP BY': () => both.ours.query('SELECT rank % 7 AS r, count(*) AS n FROM item GROUP BY 1 ORDER BY 1'),
    }
    const session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Debugger.enable')
    for (const [name, work] of Object.entries(operations)) {
      const files = await warmFiles(session, work)
      process.stdout.write(`${name}: ${files.length} files\n${files.map((file) => `  ${file}\n`).join('')}`)
    }
    session.disconnect()
    await both.close()
    await databases.drop()
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}

main().catch((error: unknown) => {
  process.exitCode = 1
  console.error(error)
})
