import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { configurationsOf, type FunctionName, functionNames, nameOf } from './configurations'
import { emptyReport, type Report, run } from './driver'
import { mostRefusals, refusedTooOften } from './refusals'
import { settings } from './settings'
import { createWorlds, type Worlds } from './world'

const { seed, operations, mostFailures } = settings()

/** Of operations: errors that both sides give. */
const mostErrors = 0.25

/** Operations of one configuration: all have the same share of the whole. */
const share = Math.ceil(operations / functionNames.flatMap(configurationsOf).length)

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
      const [refused, errors] = [sumOf(whole.refusals), sumOf(whole.errors)]
      const shares = [...whole.refusals].map(
        ([key, count]) => [key, `${count} of ${whole.done.get(key.split(' ')[0] ?? '') ?? 'parts'}`] as const,
      )
      console.info(
        `${fn}: seed ${seed}, ${whole.operations} operations, ${errors} errors, refused: ${JSON.stringify(Object.fromEntries(shares))}`,
      )
      expect(refusedTooOften(whole.done, whole.refusals)).toEqual([])
      const most = whole.operations * mostRefusals
      // Of a short run chance makes more: three deviations of the binomial distribution.
      expect(refused).toBeLessThanOrEqual(most + 3 * Math.sqrt(most))
      expect(errors).toBeLessThanOrEqual(whole.operations * mostErrors)
    })
  })
}

const sumOf = (figures: ReadonlyMap<string, number>): number =>
  [...figures.values()].reduce((sum, count) => sum + count, 0)

function add(whole: Report, part: Report): void {
  whole.operations += part.operations
  const pairs = [
    [whole.done, part.done],
    [whole.errors, part.errors],
    [whole.refusals, part.refusals],
  ] as const
  for (const [sums, figures] of pairs)
    for (const [name, count] of figures) sums.set(name, (sums.get(name) ?? 0) + count)
}
