import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Fuse } from '../../../src/execution/fuse'
import { OperationEnded } from '../../../src/execution/operation-ended'

describe('Fuse', () => {
  it('blows once, for the first reason, and tells who watches and who comes late', () => {
    const fuse = new Fuse()
    const told: string[] = []
    fuse.onBlow(() => told.push('watcher'))
    fuse.onBlow(() => told.push('left'))()
    fuse.check()
    fuse.blow('first')
    fuse.blow('second')
    fuse.onBlow(() => told.push('late'))
    expect(told).toEqual(['watcher', 'late'])
    expect(fuse.isBlown).toBe(true)
    expect(fuse.ended).toMatchObject({ reason: 'first' })
    expect(() => fuse.check()).toThrow(OperationEnded)
  })

  it('blows with the reason of its signal, also when that was aborted before', () => {
    const controller = new AbortController()
    const fuse = new Fuse({ signals: [controller.signal] })
    controller.abort('stop')
    expect(fuse.ended.reason).toBe('stop')
    expect(new Fuse({ signals: [controller.signal] }).ended.reason).toBe('stop')
  })

  it('leaves no listener and no timer when it is closed', () => {
    const controller = new AbortController()
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length - before
    const fuse = new Fuse({
      signals: [controller.signal],
      deadline: { at: performance.now() + 100_000, deadlineMs: 1 },
    })
    expect([getEventListeners(controller.signal, 'abort').length, timers()]).toEqual([1, 1])
    fuse.close()
    expect([getEventListeners(controller.signal, 'abort').length, timers()]).toEqual([0, 0])
    controller.abort()
    expect(fuse.isBlown).toBe(false)
  })

  it('blows at its deadline, at once where that has passed, and never without one', async () => {
    const late = new Fuse({ deadline: { at: performance.now() - 1, deadlineMs: 7 } })
    expect(late.ended.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED', details: { deadlineMs: 7 } })
    const soon = new Fuse({ deadline: { at: performance.now() + 5, deadlineMs: 5 } })
    await expect(soon.race(new Promise(() => undefined))).rejects.toMatchObject({
      reason: { code: 'DEADLINE_EXCEEDED', labels: ['retryable', 'no-writes'] },
    })
    const never = new Fuse({ deadline: { at: Number.POSITIVE_INFINITY, deadlineMs: Number.POSITIVE_INFINITY } })
    await new Promise((resolve) => setImmediate(resolve))
    expect(never.isBlown).toBe(false)
  })

  it('blows at the first row beyond the budget', () => {
    const fuse = new Fuse({ rowBudget: 2 })
    expect([fuse.countRows(), fuse.countRows(), fuse.isBlown]).toEqual([true, true, false])
    expect(fuse.countRows()).toBe(false)
    expect(fuse.ended.reason).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED', details: { rowBudget: 2 } })
  })

  it('lets work that ends before it be', async () => {
    const fuse = new Fuse()
    expect(await fuse.race(Promise.resolve(5))).toBe(5)
    await expect(fuse.race(Promise.reject(new Error('own')))).rejects.toThrow('own')
  })
})
