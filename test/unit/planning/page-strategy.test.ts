import { describe, expect, it } from 'vitest'
import { visitOrdered } from '../../../src/planning/ordered-shards'
import { checkDepth, choosePageStrategy, type PageFacts, pivotReach } from '../../../src/planning/page-strategy'

const facts: PageFacts = {
  statements: 2,
  offset: 0,
  limit: 20,
  isOrdered: true,
  shardOrder: undefined,
  notCountable: undefined,
  hasShares: false,
  hasKeysOnly: false,
}

describe('the strategy of a page', () => {
  it.each<[string, Partial<PageFacts>]>([
    ['merge', {}],
    ['merge', { offset: 999 }],
    ['keys-first', { offset: 1_000 }],
    ['merge', { offset: 1_000, hasShares: true }],
    ['pivot-counting', { offset: 2_000, hasShares: true }],
    ['merge', { offset: 1_000, limit: 1_000 }],
    ['pivot-counting', { offset: 2_000 }],
    ['keys-first', { offset: 2_000, notCountable: 'the order is by a relation' }],
    ['merge', { offset: 2_000, notCountable: 'the order is by a relation', hasKeysOnly: true }],
    ['pivot-counting', { offset: 2_000, hasKeysOnly: true }],
    ['one-node', { statements: 1 }],
    ['one-node', { statements: 1, offset: 1_000_000 }],
    ['ordered-shards', { shardOrder: 'they do' }],
    ['ordered-shards', { shardOrder: 'they do', offset: 1_000_000, statements: 1 }],
    ['ordered-shards', { isOrdered: false, offset: 1_000 }],
    ['merge', { isOrdered: false, offset: 999 }],
    ['merge', { offset: 1_000_000, limit: undefined }],
    ['merge', { shardOrder: 'they do', limit: 0 }],
  ])('is %s for %o', (strategy, given) => {
    expect(choosePageStrategy({ ...facts, ...given }).strategy).toBe(strategy)
  })

  it('says why rows cannot be counted', () => {
    const { reason } = choosePageStrategy({ ...facts, offset: 2_000, notCountable: 'the order is by a relation' })
    expect(reason).toBe('the offset is 1000 or more, and the order is by a relation')
  })

  it('leaves a bounded part of the rows before the page to the merge', () => {
    expect([2_000, 100_000, 10_000_000].map(pivotReach)).toEqual([1_000, 2_000, 10_000])
  })
})

describe('a page that is too deep to be merged here', () => {
  const page = { entity: 'Order', offset: 400, limit: 100, statements: 2 }

  it('is refused past the row budget, with its name', () => {
    expect(() => checkDepth({ ...page, rowBudget: 999 })).toThrow(
      /1000 rows into the application; the row budget is 999/,
    )
    expect(() => checkDepth({ ...page, rowBudget: 999 })).toThrow(expect.objectContaining({ code: 'PAGE_TOO_DEEP' }))
  })

  it('is not refused within it, without an offset, or without a limit that tells', () => {
    for (const given of [
      { rowBudget: 1_000 },
      { rowBudget: 10, offset: 0 },
      { rowBudget: 10, limit: undefined },
      { rowBudget: 10, limit: 0 },
    ])
      expect(() => checkDepth({ ...page, ...given })).not.toThrow()
  })
})

describe('a visit to shards that follow each other', () => {
  const visit = (rows: readonly number[], { offset = 0, limit = 20 }) => {
    const shards = [...rows.keys()]
    const asked: string[] = []
    const steps = visitOrdered({ shards, offset, limit, reach: 10, maxWidth: 8 })
    let answer = new Map<number, number>()
    let came = 0
    for (let step = steps.next(answer); ; step = steps.next(answer)) {
      if (step.done) return { asked, page: Math.min(limit, came - step.value.skip) }
      const { value } = step
      if (value.kind === 'count') {
        asked.push(`count ${value.shards.join()}`)
        answer = new Map(value.shards.map((shard) => [shard, rows[shard] ?? 0]))
      } else {
        asked.push(value.windows.map((one) => `${one.shard}[${one.offset}+${one.limit}]`).join(' '))
        answer = new Map(
          value.windows.map((one) => [
            one.shard,
            Math.max(0, Math.min(one.limit, (rows[one.shard] ?? 0) - one.offset)),
          ]),
        )
        for (const length of answer.values()) came += length
      }
    }
  }

  it('asks the next shard only when the page is short', () => {
    expect(visit([30, 30, 30], {})).toEqual({ asked: ['0[0+20]'], page: 20 })
    expect(visit([15, 30, 30], {})).toEqual({ asked: ['0[0+20]', '1[0+5]'], page: 20 })
  })

  it('widens where shards are empty, up to the bound', () => {
    const { asked } = visit(
      Array.from({ length: 30 }, () => 0),
      {},
    )
    expect(asked.map((one) => one.split(' ').length)).toEqual([1, 2, 4, 8, 8, 7])
  })

  it('asks as many as the rows found let expect', () => {
    expect(visit([4, 4, 4, 4, 4, 4, 4, 4], { limit: 12 }).asked).toEqual(['0[0+12]', '1[0+8] 2[0+8]'])
  })

  it('skips shards by their counts, and asks those that hold the page at once', () => {
    const rows = [10, 10, 10, 10, 10, 10, 3, 3, 3]
    expect(visit(rows, { offset: 55, limit: 8 })).toEqual({
      asked: ['count 0,1,2,3', 'count 4,5,6,7,8', '5[5+8] 6[0+8]'],
      page: 8,
    })
  })

  it('ends where the offset is beyond the rows', () => {
    expect(visit([5, 5], { offset: 50 })).toEqual({ asked: ['count 0,1'], page: 0 })
  })

  it('goes on where rows went away after they were counted', () => {
    const steps = visitOrdered({ shards: [0, 1, 2], offset: 15, limit: 4, reach: 10, maxWidth: 8 })
    expect(steps.next().value).toEqual({ kind: 'count', shards: [0, 1, 2] })
    expect(
      steps.next(
        new Map([
          [0, 10],
          [1, 10],
          [2, 10],
        ]),
      ).value,
    ).toEqual({
      kind: 'rows',
      windows: [{ shard: 1, offset: 5, limit: 4 }],
    })
    expect(steps.next(new Map([[1, 1]])).value).toEqual({ kind: 'rows', windows: [{ shard: 2, offset: 0, limit: 3 }] })
    expect(steps.next(new Map([[2, 3]]))).toEqual({ done: true, value: { skip: 0 } })
  })
})
