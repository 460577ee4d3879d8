import type { TestProject } from 'vitest/node' with { 'resolution-mode': 'import' }
import { type Cluster, startCluster } from './cluster'
import { memoryFolder } from './memory-folder'

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL for each server of this run. */
    readonly adminUrls: readonly string[]
  }
}

/** The servers of one run: those of TEST_PG_URLS (comma separated), else two embedded clusters. Never none. */
const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const folder = process.env['TMPDIR'] === undefined ? await memoryFolder() : undefined
  // Servers that tests start themselves follow: workers inherit the environment.
  if (folder !== undefined) process.env['TMPDIR'] = folder
  const given = (process.env['TEST_PG_URLS'] ?? '').split(',').filter((url) => url !== '')
  const clusters = given.length > 0 ? [] : await startClusters(['a', 'b'])
  project.provide('adminUrls', given.length > 0 ? given : clusters.map((cluster) => cluster.url()))
  return async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()))
  }
}

/** Passwords are tested in `test/fault`, on servers that ask for them. */
const startClusters = (names: readonly string[]): Promise<Cluster[]> =>
  Promise.all(names.map((name) => startCluster({ name, trusts: true })))

export { setup }
