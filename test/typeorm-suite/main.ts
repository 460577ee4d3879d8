/** TypeORM's own tests, plain and on two nodes, compared test by test: `npm run test:typeorm -- <checkout of TypeORM>`. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startCluster } from '../support/cluster'
import { compareRuns } from './compare-runs'
import { comparisonReport } from './comparison-report'
import { readKnownDifferences } from './read-known-differences'
import { type RunMode, runTests } from './run-tests'
import type { Outcome } from './test-run'
import { prepareWorkFolder } from './work-folder'

/** Test files of one process: what it imports costs seconds, and a file that ends the process costs the others' outcomes. */
const filesAtOnce = 60

const shardedModes: readonly RunMode[] = ['home', 'automatic']

const main = async (): Promise<void> => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, mode: { type: 'string', multiple: true }, json: { type: 'string' } },
  })
  const [checkout] = positionals
  if (checkout === undefined) throw new Error('Usage: npm run test:typeorm -- <checkout of TypeORM> [--only <text>]')
  const folder = prepareWorkFolder(checkout)
  const files = folder.files.filter((file) => file.includes(values.only ?? ''))
  const modes: readonly RunMode[] = ['plain', ...shardedModes.filter((mode) => values.mode?.includes(mode) ?? true)]
  const outcomes = new Map(modes.map((mode) => [mode, new Map<string, Outcome>()]))
  const clusters = await Promise.all(['a', 'b'].map((name) => startCluster({ name })))
  try {
    for (let start = 0; start < files.length; start += filesAtOnce) {
      const part = files.slice(start, start + filesAtOnce)
      const servers = clusters.map((cluster) => cluster.url())
      await Promise.all(
        modes.map(async (mode) => {
          const run = await runTests({ folder: folder.path, files: part, servers, mode })
          for (const [test, outcome] of run.outcomes) outcomes.get(mode)?.set(test, outcome)
          if (run.isCut) fail(`${mode}: a process ended before its tests did.\n${run.log}`)
        }),
      )
      process.stderr.write(`${Math.min(start + filesAtOnce, files.length)} of ${files.length} files\n`)
      if (values.json !== undefined) writeJson(values.json, outcomes)
    }
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.stop()))
  }
  for (const [file, library] of folder.leftOut) console.log(`left out, for want of ${library}: ${file}`)
  const plain = outcomes.get('plain') ?? new Map<string, Outcome>()
  for (const mode of modes.slice(1)) {
    const comparison = compareRuns(plain, outcomes.get(mode) ?? new Map<string, Outcome>(), readKnownDifferences(mode))
    for (const line of comparisonReport(mode, comparison)) console.log(line)
    if (comparison.unexpected.length > 0 || comparison.outdated.length > 0) process.exitCode = 1
    if (comparison.plainPassed === 0) fail('No test passed on plain TypeORM.')
  }
  // Tests that hung leave connections behind.
  process.exit()
}

function fail(text: string): void {
  process.stderr.write(`${text}\n`)
  process.exitCode = 1
}

const writeJson = (file: string, outcomes: ReadonlyMap<RunMode, ReadonlyMap<string, Outcome>>): void =>
  writeFileSync(
    file,
    JSON.stringify(Object.fromEntries([...outcomes].map(([mode, tests]) => [mode, Object.fromEntries(tests)]))),
  )

void main()
