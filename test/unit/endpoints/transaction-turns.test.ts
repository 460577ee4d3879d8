import { describe, expect, it } from 'vitest'
import { Permits } from '../../../src/endpoints/permits'
import { TransactionTurns, TurnWaits } from '../../../src/endpoints/transaction-turns'

describe('turns of transactions', () => {
  const nodesOf = (...counts: readonly number[]) => {
    const waits = new TurnWaits()
    return counts.map((count, index) => new TransactionTurns(`n${index}`, new Permits(`n${index}`, count), waits))
  }
  const deadlock = { code: 'POOL_DEADLOCK' }

  it('are refused to the transaction that closes a circle, and free for others when it has ended', async () => {
    const [a, b] = nodesOf(1, 1)
    const [one, two] = [{}, {}]
    await a?.take(one)
    const backOfTwo = await b?.take(two)
    const waits = b?.take(one)
    await expect(a?.take(two)).rejects.toMatchObject(deadlock)
    backOfTwo?.()
    await expect(waits).resolves.toBeTypeOf('function')
  })

  it('see a circle over three nodes, and through pools of several connections', async () => {
    const [a, b, c] = nodesOf(2, 1, 1)
    const [one, two, three, four] = [{}, {}, {}, {}]
    await a?.take(one)
    await a?.take(four)
    await b?.take(two)
    await c?.take(three)
    void b?.take(one)
    void b?.take(four)
    void c?.take(two)
    await expect(a?.take(three)).rejects.toMatchObject(deadlock)
  })

  it('wait where a holder goes on', async () => {
    const [a, b] = nodesOf(2, 1)
    const [one, two, busy] = [{}, {}, {}]
    await a?.take(one)
    const backOfBusy = await a?.take(busy)
    await b?.take(two)
    void b?.take(one)
    const waits = a?.take(two)
    backOfBusy?.()
    await expect(waits).resolves.toBeTypeOf('function')
  })

  it('wait while a turn goes from hand to hand', async () => {
    const [a] = nodesOf(1)
    const giveBack = await a?.take({})
    const next = a?.take({})
    giveBack?.()
    const waits = a?.take({})
    ;(await next)?.()
    await expect(waits).resolves.toBeTypeOf('function')
  })

  it('forget a wait that was given up', async () => {
    const [a, b] = nodesOf(1, 1)
    const [one, two] = [{}, {}]
    await a?.take(one)
    const backOfTwo = await b?.take(two)
    const given = b?.take(one)
    await expect(a?.take(two)).rejects.toMatchObject(deadlock)
    backOfTwo?.()
    ;(await given)?.()
    expect(b?.counts).toEqual({ taken: 0, waiting: 0 })
    await b?.take(two)
    void a?.take(two)
    expect(a?.counts).toEqual({ taken: 1, waiting: 1 })
  })
})
