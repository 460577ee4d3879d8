import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statementOf } from './apply-sql'
import { functionNames, groupsOf } from './configurations'
import { run } from './driver'
import { makeCase } from './generate'
import type { Operation } from './operation'
import { createRng, seedOf } from './rng'
import { settings } from './settings'
import { type KindOfText, statementKinds } from './statement-kinds'
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

const operationsOfKinds = 30_000

/** The text of a statement, what is given to a query builder, or the whole of another operation. */
function textsOf(operation: Operation): readonly (readonly [of: KindOfText, text: string])[] {
  if (operation.do === 'transaction') return operation.operations.flatMap(textsOf)
  if (operation.do === 'build') return [['build', JSON.stringify(operation.steps)]]
  if (operation.do === 'sql') return [['sql', statementOf(operation).text]]
  return [[operation.do === 'call' ? 'call' : 'other', JSON.stringify(operation)]]
}

test(`each kind of statement comes up in ${operationsOfKinds} operations`, () => {
  const configuration = { fn: 'hash', shards: 3, layout: 'schema' } as const
  const groups = groupsOf(configuration)
  const perCase = 40
  const texts = Array.from({ length: operationsOfKinds / perCase }, (_, round) => {
    const group = groups[round % groups.length]
    const given = group && { group, operations: perCase, isDeep: false }
    const rng = createRng(seedOf(seed, round))
    return given ? makeCase(rng, { configuration, locate: () => '' }, given).operations.flatMap(textsOf) : []
  }).flat()
  const missing = statementKinds.filter(
    ([, pattern, of]) => !texts.some(([kind, text]) => kind === of && pattern.test(text)),
  )
  expect(missing.map(([name, , of]) => `${name} (${of})`)).toEqual([])
}, 60_000)

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
