import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SilenceWatch, type Waiting } from '../../../src/endpoints/silence-watch'

const silenceMs = 1_000

describe('a silence watch', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const waiting = () => {
    const broken: string[] = []
    const one: Waiting = { destroy: (reason) => void broken.push(reason.message) }
    return { one, broken }
  }
  const never = () => new Promise<boolean>(() => undefined)

  it('breaks what waits for a node that answers neither it nor a new connection, within its bound', async () => {
    const ask = vi.fn(never)
    const watch = new SilenceWatch(silenceMs, ask)
    const { one, broken } = waiting()
    watch.begin(one)
    await vi.advanceTimersByTimeAsync(silenceMs / 2)
    expect(ask).toHaveBeenCalledTimes(1)
    expect(broken).toEqual([])
    await vi.advanceTimersByTimeAsync(silenceMs / 2)
    expect(broken).toEqual(['it has answered nothing for 1000 ms, nor a new connection'])
    expect(watch.silence).toBeDefined()
  })

  it('leaves a slow statement alone as long as a new connection is answered', async () => {
    const ask = vi.fn(async () => true)
    const watch = new SilenceWatch(silenceMs, ask)
    const { one, broken } = waiting()
    watch.begin(one)
    await vi.advanceTimersByTimeAsync(20 * silenceMs)
    expect(broken).toEqual([])
    expect(ask.mock.calls.length).toBeGreaterThan(10)
    expect(ask.mock.calls.length).toBeLessThan(41)
    watch.end(one, true)
    await vi.advanceTimersByTimeAsync(silenceMs)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('asks nothing while other statements of the node are answered', async () => {
    const ask = vi.fn(never)
    const watch = new SilenceWatch(silenceMs, ask)
    const { one, broken } = waiting()
    watch.begin(one)
    for (let time = 0; time < 10 * silenceMs; time += silenceMs / 8) {
      const other = waiting().one
      watch.begin(other)
      watch.end(other, true)
      await vi.advanceTimersByTimeAsync(silenceMs / 8)
    }
    expect(ask).not.toHaveBeenCalled()
    expect(broken).toEqual([])
  })

  it('asks a silent node again until it answers', async () => {
    let answer = false
    const watch = new SilenceWatch(silenceMs, async () => answer)
    watch.begin(waiting().one)
    await vi.advanceTimersByTimeAsync(5 * silenceMs)
    expect(watch.silence).toBeDefined()
    answer = true
    await vi.advanceTimersByTimeAsync(silenceMs)
    expect(watch.silence).toBeUndefined()
    await vi.advanceTimersByTimeAsync(silenceMs)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is no watch with the bound Infinity', () => {
    const watch = new SilenceWatch(Number.POSITIVE_INFINITY, never)
    watch.begin(waiting().one)
    expect(vi.getTimerCount()).toBe(0)
  })
})
