import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WorkerIds } from '../../../src/catalog/worker-ids'
import { idLayouts } from '../../../src/ids/id-layout'

describe('WorkerIds', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('asks for nothing any more when it was closed during its first reservation', async () => {
    const texts: string[] = []
    const query = async (text: string) => {
      texts.push(text)
      await new Promise((resolve) => setTimeout(resolve, 10))
      return { rows: [{ worker: 1, after: 0, until: 2 ** 38 }] } as never
    }
    const ids = new WorkerIds({ ownSchema: 'sharding', name: 'a', query }, idLayouts['64-bit'])
    const filled = ids.refill(undefined)
    const closed = ids.close()
    await vi.advanceTimersByTimeAsync(1_000)
    await Promise.all([filled, closed])
    const asked = texts.length
    expect(texts.at(-1)).toContain('holder = NULL')
    await vi.advanceTimersByTimeAsync(120_000)
    expect(texts).toHaveLength(asked)
  })
})
