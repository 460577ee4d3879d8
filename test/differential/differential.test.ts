import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nameOf } from './configurations'
import { emptyReport, runCase } from './driver'
import type { Case } from './operation'
import { createWorlds, type Worlds } from './world'

const folder = join(__dirname, 'regressions')

interface Regression {
  /** What was wrong. */
  readonly title: string
  readonly case: Case
}

const regressions = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .sort()
  .map((file): Regression => JSON.parse(readFileSync(join(folder, file), 'utf8')))

describe('differential, cases that once differed', () => {
  let worlds: Worlds
  beforeAll(async () => {
    worlds = await createWorlds()
  })
  afterAll(() => worlds.end())

  test('there are some', () => {
    expect(regressions.length).toBeGreaterThan(0)
  })

  for (const { title, case: made } of regressions) {
    test(title, async () => {
      const world = await worlds.open(made.configuration)
      try {
        const found = await runCase(world, made, emptyReport())
        expect(found?.text, nameOf(made.configuration)).toBeUndefined()
      } finally {
        await worlds.close(world)
      }
    }, 60_000)
  }
})
