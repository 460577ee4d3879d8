import { describe, expect, it } from 'vitest'
import { type AskDatabase, createRanker, rankValues } from '../../../src/execution/rank-values'

/** Ranks as a database does that compares by length. */
const database = () => {
  const asked: (readonly string[])[] = []
  const ask: AskDatabase = async (_, [values]) => {
    const texts = values as readonly string[]
    asked.push(texts)
    const lengths = [...new Set(texts.map((text) => text.length))].sort((a, b) => a - b)
    return texts.map((text, index) => ({ i: index + 1, r: lengths.indexOf(text.length) + 1 }))
  }
  return { ask, asked }
}

describe('rankValues', () => {
  it('asks once, and gives equal values one rank', async () => {
    const { ask, asked } = database()
    expect([...(await rankValues(ask, 'v', ['ccc', 'a', 'b']))]).toEqual([
      ['ccc', 2],
      ['a', 1],
      ['b', 1],
    ])
    expect(asked).toHaveLength(1)
    expect((await rankValues(ask, 'v', [])).size).toBe(0)
    expect(asked).toHaveLength(1)
  })

  it('refuses more than one statement can hold, and an answer that lacks values', async () => {
    const { ask, asked } = database()
    const many = Array.from({ length: 1_000_001 }, () => '')
    await expect(rankValues(ask, 'v', many)).rejects.toMatchObject({ code: 'SCATTER_UNSUPPORTED' })
    const long = 'x'.repeat(2 ** 20)
    await expect(rankValues(ask, 'v', Array(129).fill(long))).rejects.toMatchObject({ code: 'SCATTER_UNSUPPORTED' })
    expect(asked).toHaveLength(0)
    await expect(rankValues(async () => [{ i: 1, r: 1 }], 'v', ['a', 'b'])).rejects.toMatchObject({
      code: 'MERGE_ORDER',
    })
  })
})

describe('a ranker', () => {
  it('keeps few values, so that a later batch of them costs nothing', async () => {
    const { ask, asked } = database()
    const ranker = createRanker(ask, 'v', 3)
    await ranker.rank(['a', 'bb'])
    expect((await ranker.rank(['bb'])).get('bb')).toBe(2)
    expect(asked).toEqual([['a', 'bb']])
    expect((await ranker.rank(['ccc'])).get('ccc')).toBe(3)
    expect(asked[1]).toEqual(['a', 'bb', 'ccc'])
  })

  it('lets go of what is too much to keep', async () => {
    const { ask, asked } = database()
    const ranker = createRanker(ask, 'v', 2)
    await ranker.rank(['a', 'bb'])
    await ranker.rank(['ccc', 'dddd', 'bb'])
    expect(asked[1]).toEqual(['ccc', 'dddd', 'bb'])
    await ranker.rank(['a'])
    expect(asked).toHaveLength(3)
  })
})
