import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { functionNames } from './configurations'
import { run } from './driver'
import { settings } from './settings'
import { createWorlds, type Worlds } from './world'

const { seed, plainOperations: operations, showsFigures } = settings()

/**
 * What two plain databases with the same rows, stored in opposite orders, answer differently is left open by SQL: an operation
 * of that kind, or its comparison, would prove nothing.
 */
describe(`operations have one answer, seed ${seed}`, () => {
  let worlds: Worlds
  beforeAll(async () => {
    worlds = await createWorlds()
  })
  afterAll(() => worlds.end())

  test.each(functionNames)(
    '%s',
    async (fn) => {
      const world = await worlds.openPlain({ fn, shards: 3, layout: 'schema' })
      try {
        const report = await run(world, { seed, operations, mostFailures: 3 })
        if (showsFigures) console.info(figures(report))
        expect(report.failures.map(({ text, case: made }) => `${text}\n${JSON.stringify(made)}`).join('\n\n')).toBe('')
        expect(report.operations).toBeGreaterThanOrEqual(operations)
      } finally {
        await worlds.close(world)
      }
    },
    600_000,
  )
})

/** How often each operation was done, and its most frequent errors. */
function figures({ done, errors }: Awaited<ReturnType<typeof run>>): string {
  return [...done]
    .flatMap(([name, count]) => {
      const own = [...errors].filter(([key]) => key.startsWith(`${name} `)).sort(([, a], [, b]) => b - a)
      const sum = own.reduce((total, [, times]) => total + times, 0)
      return [
        `${name}: ${count}, errors ${sum}`,
        ...own.slice(0, 8).map(([key, times]) => `    ${times} ${key.slice(0, 200)}`),
      ]
    })
    .join('\n')
}
