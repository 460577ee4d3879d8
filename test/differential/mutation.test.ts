import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { isWhole, nightlyShareOf } from '../support/share-of'
import type { Configuration } from './configurations'
import { run } from './driver'
import { createWorlds, type Worlds } from './world'

/** Which piece is broken at the moment. The mocks pass through while it is another. */
const broken = vi.hoisted(() => ({ piece: 'none' }))

vi.mock('../../src/routing/route', async (load) => {
  const actual = await load<typeof import('../../src/routing/route')>()
  return {
    ...actual,
    routePredicate: (...args: Parameters<typeof actual.routePredicate>) => {
      const route = actual.routePredicate(...args)
      return broken.piece === 'route' && route.shards.length > 1 ? { ...route, shards: route.shards.slice(1) } : route
    },
  }
})

vi.mock('../../src/merging/merge-sorted', async (load) => {
  const actual = await load<typeof import('../../src/merging/merge-sorted')>()
  return {
    ...actual,
    mergeSorted: (...args: Parameters<typeof actual.mergeSorted>) => {
      if (broken.piece === 'tie') {
        const [{ compare }] = args
        return actual.mergeSorted(...args).filter((row, index, rows) => {
          const before = rows[index - 1]
          return before === undefined || compare(before, row) !== 0
        })
      }
      const [first, second, ...rest] = actual.mergeSorted(...args)
      if (broken.piece !== 'merge' || !first || !second)
        return [first, second, ...rest].filter((row) => row !== undefined)
      return [second, first, ...rest]
    },
  }
})

vi.mock('../../src/typeorm/find/narrow-where', async (load) => {
  const actual = await load<typeof import('../../src/typeorm/find/narrow-where')>()
  const { FindOperator, In } = await import('typeorm')
  const forget = (where: unknown): unknown =>
    Array.isArray(where)
      ? where.map(forget)
      : Object.fromEntries(
          Object.entries(where as object).map(([name, value]) => {
            const isList = value instanceof FindOperator && value.type === 'in' && Array.isArray(value.value)
            return [name, isList ? In(value.value.slice(1)) : value]
          }),
        )
  return {
    ...actual,
    narrowWhere: (...args: Parameters<typeof actual.narrowWhere>) => {
      const narrow = actual.narrowWhere(...args)
      return narrow && broken.piece === 'narrow' ? (shard: number) => forget(narrow(shard)) : narrow
    },
  }
})

vi.mock('../../src/typeorm/writes/unite-answers', async (load) => {
  const actual = await load<typeof import('../../src/typeorm/writes/unite-answers')>()
  return {
    ...actual,
    uniteAnswers: (...args: Parameters<typeof actual.uniteAnswers>) => {
      const [answer, results] = args
      const isBroken = broken.piece === 'affected' && answer.kind === 'update'
      return actual.uniteAnswers(answer, isBroken ? results.slice(1) : results)
    },
  }
})

vi.mock('../../src/merging/combine-partials', async (load) => {
  const actual = await load<typeof import('../../src/merging/combine-partials')>()
  return {
    ...actual,
    combineCounts: (...args: Parameters<typeof actual.combineCounts>) => {
      const sum = actual.combineCounts(...args)
      return broken.piece === 'count' ? BigInt(sum) + 1n : sum
    },
  }
})

vi.mock('../../src/planning/finish-template', async (load) => {
  const actual = await load<typeof import('../../src/planning/finish-template')>()
  return {
    ...actual,
    draftFinish: (...args: Parameters<typeof actual.draftFinish>) => {
      const draft = actual.draftFinish(...args)
      const [{ havingClause }] = args
      if (broken.piece === 'having' && havingClause) return { ...draft, inner: { ...draft.inner, havingClause } }
      if (broken.piece !== 'distinct') return draft
      const outer = (...types: Parameters<typeof draft.outer>) => {
        const { distinctClause: _, ...rest } = draft.outer(...types)
        return rest
      }
      return { ...draft, outer }
    },
    finishTemplate: (...args: Parameters<typeof actual.finishTemplate>) => {
      const plan = actual.finishTemplate(...args)
      if (broken.piece !== 'group' || !/group/.test(plan.step)) return plan
      return { ...plan, final: { ...plan.final, text: `SELECT * FROM (${plan.final.text}) AS q OFFSET 1` } }
    },
  }
})

vi.mock('../../src/planning/partial-aggregate', async (load) => {
  const actual = await load<typeof import('../../src/planning/partial-aggregate')>()
  return {
    ...actual,
    partialAggregate: (...args: Parameters<typeof actual.partialAggregate>) => {
      const halves = actual.partialAggregate(...args)
      const [{ funcname }] = args
      if (broken.piece !== 'sum' || !halves || !/"sum"/.test(JSON.stringify(funcname))) return halves
      return {
        ...halves,
        combine: ([sum]: Parameters<typeof halves.combine>[0]) => ({
          FuncCall: { funcname: [{ String: { sval: 'max' } }], ...(sum && { args: [sum] }) },
        }),
      }
    },
  }
})

vi.mock('../../src/lookups/lookup-sql', async (load) => {
  const actual = await load<typeof import('../../src/lookups/lookup-sql')>()
  return {
    ...actual,
    insertEntries: (...args: Parameters<typeof actual.insertEntries>) =>
      broken.piece === 'unique' && args[1].index < 4 ? actual.mergeEntries(...args) : actual.insertEntries(...args),
  }
})

vi.mock('../../src/lookups/write-order', async (load) => {
  const actual = await load<typeof import('../../src/lookups/write-order')>()
  return {
    ...actual,
    orderOfRows: (...args: Parameters<typeof actual.orderOfRows>) => {
      const order = actual.orderOfRows(...args)
      return broken.piece === 'order'
        ? { isByKind: false, placeOf: () => undefined, lastPlaceOf: () => undefined }
        : order
    },
  }
})

vi.mock('../../src/ids/decode-sharded-id', async (load) => {
  const actual = await load<typeof import('../../src/ids/decode-sharded-id')>()
  return {
    ...actual,
    slotOfId: (...args: Parameters<typeof actual.slotOfId>) => {
      const slot = actual.slotOfId(...args)
      return broken.piece === 'id' && slot !== undefined ? (slot + 2048) % 16_384 : slot
    },
  }
})

const configuration: Configuration = { fn: 'hash', shards: 8, layout: 'schema' }

describe('the differential test', () => {
  let worlds: Worlds
  beforeAll(async () => {
    worlds = await createWorlds()
  })
  afterEach(() => {
    broken.piece = 'none'
  })
  afterAll(() => worlds.end())

  const failuresWith = async (piece: string, seed = 1, operations = 400): Promise<readonly string[]> => {
    const world = await worlds.open(configuration)
    broken.piece = piece
    try {
      const { failures } = await run(world, { seed, operations, mostFailures: 1, shrinks: false })
      return failures.map(({ text }) => text)
    } finally {
      broken.piece = 'none'
      await worlds.close(world)
    }
  }

  // Which seed brings a broken piece up depends on everything that the generators and the planner do. Twenty seeds, 8,000
  // operations, a quarter of what CI does, must; the first of them is one that does today, which saves time and no more.
  const firstFailuresWith = async (piece: string, first: number): Promise<readonly string[]> => {
    for (let seed = first; seed < first + 20; seed++) {
      const failures = await failuresWith(piece, seed)
      if (failures.length > 0) return failures
    }
    return []
  }

  test('finds nothing where nothing is broken', async () => {
    expect(await failuresWith('none', 1, isWhole ? 400 : 100)).toEqual([])
  }, 120_000)

  const mutations: readonly (readonly [string, string, number])[] = [
    ['a route that drops a shard', 'route', 1],
    ['a merge that swaps two rows', 'merge', 1],
    ['an IN list that forgets a value', 'narrow', 1],
    ['an update that forgets what a shard did', 'affected', 6],
    ['a count that is one too many', 'count', 1],
    ['a merge that drops a row that sorts as the one before it', 'tie', 2],
    ['a group that is lost', 'group', 1],
    ['a HAVING that each shard applies to its own part of a group', 'having', 1],
    ['a DISTINCT that leaves what several shards have', 'distinct', 1],
    ['a value that is unique on half of the shards', 'unique', 8],
    ['a value that is let go only after it was taken', 'order', 14],
    ['an id that leads to the shard beside its own', 'id', 1],
    ['a sum that takes the greatest of the sums of the shards', 'sum', 14],
  ]

  test.each(nightlyShareOf(mutations, 'MUTATIONS', 3))(
    'notices %s',
    async (_, piece, seed) => {
      const failures = await firstFailuresWith(piece, seed)
      expect(failures).toHaveLength(1)
      // A difference, not a mock that does not work.
      expect(failures[0]).not.toMatch(/TypeError|ReferenceError|SyntaxError|syntax error/)
    },
    120_000,
  )
})
