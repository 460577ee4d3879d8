import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createDatabases } from '../../support/databases'
import type { LoadedParts } from './use-package'

it('loads what not every process needs when it is first used', async () => {
  const databases = await createDatabases(2)
  try {
    const child = fork(join(__dirname, 'use-package.ts'), databases.nodes, { execArgv: ['-r', '@swc-node/register'] })
    const [loaded]: LoadedParts[] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`It ended with ${code}.`))),
    ])
    expect(loaded).toEqual({
      require: [],
      find: ['libpg-query', 'xxhash-wasm'],
      query: ['libpg-query', 'pgsql-deparser', 'statement-engine', 'xxhash-wasm'],
      load: ['libpg-query', 'pg-copy-streams', 'pgsql-deparser', 'statement-engine', 'xxhash-wasm'],
    })
  } finally {
    await databases.drop()
  }
})
