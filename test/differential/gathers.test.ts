import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { isWhole } from '../support/share-of'
import type { Configuration } from './configurations'
import { nameOf } from './configurations'
import { run } from './driver'
import { settings } from './settings'
import { createWorlds, type Worlds } from './world'

// Small tables are read whole. Here each counts as one of which only rows with values of another are asked for.
vi.mock('../../src/planning/gather-order', async (load) => {
  const actual = await load<typeof import('../../src/planning/gather-order')>()
  return {
    ...actual,
    gatherOrder: (...[tables, links]: Parameters<typeof actual.gatherOrder>) =>
      actual.gatherOrder(
        tables.map((table) => ({ ...table, rows: table.rows + 100 })),
        links,
      ),
  }
})

/** Tables are too small for anything but arrays: here every other gather has temporary tables, or is a query on shards that are sent rows. */
const turn = vi.hoisted(() => ({ number: 0 }))
vi.mock('../../src/planning/gather-plan', async (load) => ({
  ...(await load<typeof import('../../src/planning/gather-plan')>()),
  get manyGathered() {
    turn.number += 1
    return turn.number % 2 === 0 ? 0 : 5_000
  },
}))
vi.mock('../../src/planning/sent-rows', () => ({
  sendsFew: () => false,
  gathersFewer: () => {
    turn.number += 1
    return turn.number % 3 === 0
  },
}))

const configurations: readonly Configuration[] = [
  { fn: 'hash', shards: 3, layout: 'schema' },
  { fn: 'list', shards: 8, layout: 'table' },
]
const operations = isWhole ? 360 : 120
const { seed } = settings()

describe(`statements that are gathered, seed ${seed}`, () => {
  let worlds: Worlds
  beforeAll(async () => {
    worlds = await createWorlds()
  })
  afterAll(() => worlds.end())

  test.each(configurations.map((configuration) => [nameOf(configuration), configuration] as const))(
    '%s gives the answers of one database, from rows that share values alone',
    async (_, configuration) => {
      const world = await worlds.open(configuration)
      try {
        const { failures, refusals } = await run(world, { seed, operations, mostFailures: 1, gathers: true })
        expect(failures).toEqual([])
        expect([...refusals.keys()]).toEqual([])
      } finally {
        await worlds.close(world)
      }
    },
    300_000,
  )
})
