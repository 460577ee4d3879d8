import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Cancellation, OperationEnded } from '../../../src/endpoints/cancellation'

describe('Cancellation', () => {
  it('cancels once, for the first reason, and tells who watches and who comes late', () => {
    const cancellation = new Cancellation()
    const told: string[] = []
    cancellation.onCancel(() => told.push('watcher'))
    cancellation.onCancel(() => told.push('left'))()
    cancellation.throwIfCancelled()
    cancellation.cancel('first')
    cancellation.cancel('second')
    cancellation.onCancel(() => told.push('late'))
    expect(told).toEqual(['watcher', 'late'])
    expect(cancellation.isCancelled).toBe(true)
    expect(cancellation.ended).toMatchObject({ reason: 'first' })
    expect(() => cancellation.throwIfCancelled()).toThrow(OperationEnded)
  })

  it('cancels with the reason of its signal, also when that was aborted before', () => {
    const controller = new AbortController()
    const cancellation = new Cancellation({ signals: [controller.signal] })
    controller.abort('stop')
    expect(cancellation.ended.reason).toBe('stop')
    expect(new Cancellation({ signals: [controller.signal] }).ended.reason).toBe('stop')
  })

  it('leaves no listener and no timer when it is closed', () => {
    const controller = new AbortController()
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length - before
    const cancellation = new Cancellation({
      signals: [controller.signal],
      deadline: { at: performance.now() + 100_000, deadlineMs: 1 },
    })
    expect([getEventListeners(controller.signal, 'abort').length, timers()]).toEqual([1, 1])
    cancellation.close()
    expect([getEventListeners(controller.signal, 'abort').length, timers()]).toEqual([0, 0])
    controller.abort()
    expect(cancellation.isCancelled).toBe(false)
  })

  it('cancels at its deadline, at once where that has passed, and never without one', async () => {
    const late = new Cancellation({ deadline: { at: performance.now() - 1, deadlineMs: 7 } })
    expect(late.ended.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED', details: { deadlineMs: 7 } })
    const soon = new Cancellation({ deadline: { at: performance.now() + 5, deadlineMs: 5 } })
    await expect(soon.race(new Promise(() => undefined))).rejects.toMatchObject({
      reason: { code: 'DEADLINE_EXCEEDED', labels: ['retryable', 'no-writes'] },
    })
    const never = new Cancellation({ deadline: { at: Number.POSITIVE_INFINITY, deadlineMs: Number.POSITIVE_INFINITY } })
    await new Promise((resolve) => setImmediate(resolve))
    expect(never.isCancelled).toBe(false)
  })

  it('cancels at the first row beyond the budget', () => {
    const cancellation = new Cancellation({ rowBudget: 2 })
    expect([cancellation.countRows(), cancellation.countRows(), cancellation.isCancelled]).toEqual([true, true, false])
    expect(cancellation.countRows()).toBe(false)
    expect(cancellation.ended.reason).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED', details: { rowBudget: 2 } })
  })

  it('lets work that ends before it be', async () => {
    const cancellation = new Cancellation()
    expect(await cancellation.race(Promise.resolve(5))).toBe(5)
    await expect(cancellation.race(Promise.reject(new Error('own')))).rejects.toThrow('own')
  })
})
