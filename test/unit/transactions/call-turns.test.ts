import { describe, expect, it, vi } from 'vitest'
import { CallTurns } from '../../../src/transactions/turns'

const steps = async (count: number): Promise<void> => {
  for (let step = 0; step < count; step++) await Promise.resolve()
}

describe('calls that are made at once', () => {
  it('begin in their order, each when the one before it has ended, also by an error', async () => {
    const turns = new CallTurns()
    const said: string[] = []
    const call = (name: string, count: number) =>
      turns.run(async () => {
        said.push(`${name} begins`)
        await steps(count)
        said.push(`${name} ends`)
        if (name === 'b') throw new RangeError(name)
        return name
      })
    const settled = await Promise.allSettled([call('a', 9), call('b', 5), call('c', 1)])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(said).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  })

  it('begin at once where none is under way', async () => {
    const turns = new CallTurns()
    for (let round = 0; round < 2; round++) {
      let hasBegun = false
      const running = turns.run(async () => {
        hasBegun = true
      })
      expect(hasBegun).toBe(true)
      await running
    }
  })

  it('do not wait without end for a call that waits for them', async () => {
    vi.useFakeTimers()
    try {
      const turns = new CallTurns()
      const outer = turns.run(() => turns.run(async () => 'inner'))
      await vi.advanceTimersByTimeAsync(30_000)
      expect(await outer).toBe('inner')
    } finally {
      vi.useRealTimers()
    }
  })
})
