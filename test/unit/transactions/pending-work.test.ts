import { describe, expect, it } from 'vitest'
import { PendingWork } from '../../../src/transactions/turns'

describe('PendingWork', () => {
  it('is waited for until the last piece has ended', async () => {
    const pending = new PendingWork()
    await pending.atRest()
    const [first, second] = [pending.begin(), pending.begin()]
    let isAtRest = false
    const rest = pending.atRest().then(() => {
      isAtRest = true
    })
    first()
    first()
    await new Promise((resolve) => setImmediate(resolve))
    expect(isAtRest).toBe(false)
    second()
    await rest
  })

  it('is not waited for without end', async () => {
    const pending = new PendingWork()
    pending.begin()
    await pending.atRest(5)
  })
})
