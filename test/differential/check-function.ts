import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configurationsOf, type FunctionName, functionNames, layouts, nameOf, shardCounts } from './configurations'
import { emptyReport, type Report, run } from './driver'
import { mostRefusals } from './refusals'
import { createWorlds, type Worlds } from './world'

/** In a run without a seed of its own: the same cases each time. */
const defaultSeed = 20_240_229
const defaultOperations = 21_600

const seed = Number(process.env['DIFFERENTIAL_SEED'] ?? defaultSeed)
const operations = Number(process.env['DIFFERENTIAL_OPERATIONS'] ?? defaultOperations)
const mostFailures = Number(process.env['DIFFERENTIAL_FAILURES'] ?? 2)

/** Operations of one configuration: all have the same share of the whole. */
const share = Math.ceil(operations / (functionNames.length * shardCounts.length * layouts.length))

/** The differential test of one sharding function, in all numbers of shards and layouts. */
export function checkFunction(fn: FunctionName): void {
  describe(`differential, ${fn}, seed ${seed}`, () => {
    let worlds: Worlds
    const whole = emptyReport()

    beforeAll(async () => {
      worlds = await createWorlds()
    })
    afterAll(() => worlds.end())

    test.each(configurationsOf(fn).map((configuration) => [nameOf(configuration), configuration] as const))(
      '%s gives the answers of one database',
      async (_, configuration) => {
        const world = await worlds.open(configuration)
        try {
          const report = await run(world, { seed, operations: share, mostFailures })
          add(whole, report)
          expect(report.failures.map(({ text, case: made }) => `${text}\n${JSON.stringify(made)}`).join('\n\n')).toBe(
            '',
          )
          expect(report.operations).toBeGreaterThanOrEqual(share)
        } finally {
          await worlds.close(world)
        }
      },
      600_000,
    )

    test('refuses few operations, and makes few mistakes', () => {
      const refused = [...whole.refusals.values()].reduce((sum, count) => sum + count, 0)
      console.info(
        `${fn}: seed ${seed}, ${whole.operations} operations, ${whole.errors} errors, refused: ${JSON.stringify(Object.fromEntries(whole.refusals))}`,
      )
      expect(refused).toBeLessThanOrEqual(whole.operations * mostRefusals)
      expect(whole.errors).toBeLessThanOrEqual(whole.operations * 0.25)
    })
  })
}

function add(whole: Report, part: Report): void {
  whole.operations += part.operations
  whole.errors += part.errors
  for (const [code, count] of part.refusals) whole.refusals.set(code, (whole.refusals.get(code) ?? 0) + count)
}
