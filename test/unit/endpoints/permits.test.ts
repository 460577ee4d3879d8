import { describe, expect, it } from 'vitest'
import { Cancellation } from '../../../src/endpoints/cancellation'
import { Permits, takePermits } from '../../../src/endpoints/permits'

/** Lets everything that is ready run. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('Permits', () => {
  it('are given in the order of asking, and never to more at once than there are', async () => {
    const permits = new Permits('a', 2)
    const order: number[] = []
    const giveBack = await Promise.all([permits.take(), permits.take()])
    const asked = [0, 1, 2].map(async (index) => {
      const back = await permits.take()
      order.push(index)
      return back
    })
    await settle()
    expect(order).toEqual([])
    expect(permits.counts).toEqual({ taken: 2, waiting: 3 })
    giveBack[0]?.()
    giveBack[0]?.()
    await settle()
    expect(order).toEqual([0])
    giveBack[1]?.()
    ;(await asked[0])?.()
    for (const back of await Promise.all(asked)) back()
    expect(order).toEqual([0, 1, 2])
    expect(permits.counts).toEqual({ taken: 0, waiting: 0 })
  })

  it('are not waited for by an operation that has ended, nor given to it', async () => {
    const permits = new Permits('a', 1)
    const back = await permits.take()
    const cancellation = new Cancellation()
    const ended = permits.take(cancellation)
    const next = permits.take()
    cancellation.cancel('enough')
    await expect(ended).rejects.toMatchObject({ reason: 'enough' })
    await expect(permits.take(cancellation)).rejects.toMatchObject({ reason: 'enough' })
    back()
    ;(await next)()
    expect(permits.counts).toEqual({ taken: 0, waiting: 0 })
  })

  it('have a bounded queue', async () => {
    const permits = new Permits('a', 1, { maxWaiting: 1 })
    const back = await permits.take()
    const waits = permits.take()
    await expect(permits.take()).rejects.toMatchObject({ code: 'QUEUE_FULL', details: { node: 'a' } })
    back()
    ;(await waits)()
  })

  it('are waited for no longer than a caller without limits says', async () => {
    const permits = new Permits('a', 1)
    const giveBack = await permits.take()
    await expect(permits.take(undefined, 5)).rejects.toMatchObject({ code: 'POOL_EXHAUSTED', details: { waitMs: 5 } })
    giveBack()
    expect(permits.isFree).toBe(true)
  })

  it('of several nodes are taken by name, so that who asks in other orders does not wait for each other', async () => {
    const a = { name: 'a', permits: new Permits('a', 1) }
    const b = { name: 'b', permits: new Permits('b', 1) }
    let done = 0
    const work = async (nodes: readonly (typeof a)[]) => {
      const back = await takePermits(nodes)
      await settle()
      done += 1
      back()
    }
    await Promise.all(Array.from({ length: 50 }, (_, index) => work(index % 2 === 0 ? [a, b] : [b, a])))
    expect(done).toBe(50)
    expect([a.permits.counts, b.permits.counts]).toEqual([
      { taken: 0, waiting: 0 },
      { taken: 0, waiting: 0 },
    ])
  })

  it('of several nodes are given back when one cannot be had', async () => {
    const a = { name: 'a', permits: new Permits('a', 1) }
    const b = { name: 'b', permits: new Permits('b', 1, { maxWaiting: 0 }) }
    const back = await b.permits.take()
    await expect(takePermits([b, a])).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    expect(a.permits.counts).toEqual({ taken: 0, waiting: 0 })
    back()
  })
})
