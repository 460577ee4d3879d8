import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FunctionName, functionNames, nameOf, testedOf } from './configurations'
import { emptyReport, type Report, run, runCase } from './driver'
import { mostRefusals, refusedTooOften } from './refusals'
import { regressions } from './regressions'
import { settings } from './settings'
import { createWorlds, type World, type Worlds } from './world'

const { seed, operations, mostFailures } = settings()

/** Of the tables of 64 shards, and of a long run. */
const mostMs = 600_000

/** Of operations: errors that both sides give. */
const mostErrors = 0.25

/** Operations of one configuration: all have the same share of the whole. */
const share = Math.ceil(operations / functionNames.flatMap(testedOf).length)

/** The differential test of one sharding function, in all numbers of shards and layouts, each in one world. */
export function checkFunction(fn: FunctionName): void {
  describe(`differential, ${fn}, seed ${seed}`, () => {
    let worlds: Worlds
    const whole = emptyReport()
    const configurations = testedOf(fn)
    const once = regressions.filter((one) => one.case.configuration.fn === fn)

    beforeAll(async () => {
      worlds = await createWorlds()
    })
    afterAll(() => worlds.end())

    describe.each(configurations.map((configuration) => [nameOf(configuration), configuration] as const))(
      '%s',
      (name, configuration) => {
        let world: World
        beforeAll(async () => {
          world = await worlds.open(configuration)
        }, mostMs)
        afterAll(() => worlds.close(world), mostMs)

        for (const { title, case: made } of once.filter((one) => nameOf(one.case.configuration) === name)) {
          test(`once differed: ${title}`, { timeout: 60_000 }, async () => {
            expect((await runCase(world, made, emptyReport()))?.text).toBeUndefined()
          })
        }

        test('gives the answers of one database', { timeout: mostMs }, async () => {
          const report = await run(world, { seed, operations: share, mostFailures })
          add(whole, report)
          expect(report.failures.map(({ text, case: made }) => `${text}\n${JSON.stringify(made)}`).join('\n\n')).toBe(
            '',
          )
          expect(report.operations).toBeGreaterThanOrEqual(share)
        })
      },
    )

    test('has a world for every case that once differed', () => {
      const names = configurations.map(nameOf)
      expect(once.length).toBeGreaterThan(0)
      expect(once.map((one) => nameOf(one.case.configuration)).filter((name) => !names.includes(name))).toEqual([])
    })

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
