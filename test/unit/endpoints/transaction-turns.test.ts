import { describe, expect, it } from 'vitest'
import { Permits } from '../../../src/endpoints/permits'
import { TransactionTurns, TurnWaits } from '../../../src/endpoints/transaction-turns'

describe('turns of transactions', () => {
  const nodesOf = (...counts: readonly number[]) => {
    const waits = new TurnWaits()
    const lent = counts.map(() => 0)
    const turns = counts.map(
      (count, index) =>
        new TransactionTurns(new Permits(`n${index}`, count), waits, () => {
          lent[index] = (lent[index] ?? 0) + 1
          return () => {
            lent[index] = (lent[index] ?? 0) - 1
          }
        }),
    )
    const at = (index: number): TransactionTurns => {
      const found = turns[index]
      if (!found) throw new RangeError(`There is no node ${index}.`)
      return found
    }
    return { at, lent }
  }

  it('go to the transaction that closes a circle beyond what there is, until it has ended', async () => {
    const { at, lent } = nodesOf(1, 1)
    const [one, two] = [{}, {}]
    await at(0).take(one)
    const backOfTwo = await at(1).take(two)
    const waits = at(1).take(one)
    const backOfLent = await at(0).take(two)
    expect(lent).toEqual([1, 0])
    backOfLent()
    backOfLent()
    expect(lent).toEqual([0, 0])
    backOfTwo()
    await expect(waits).resolves.toBeTypeOf('function')
  })

  it('see a circle over three nodes, and through pools of several connections', async () => {
    const { at, lent } = nodesOf(2, 1, 1)
    const [one, two, three, four] = [{}, {}, {}, {}]
    await at(0).take(one)
    await at(0).take(four)
    await at(1).take(two)
    await at(2).take(three)
    void at(1).take(one)
    void at(1).take(four)
    void at(2).take(two)
    expect(lent).toEqual([0, 0, 0])
    await at(0).take(three)
    expect(lent).toEqual([1, 0, 0])
    // It goes on, wherever to.
    await at(1).take(three)
    expect(lent).toEqual([1, 1, 0])
  })

  it('go beyond for one transaction after the other', async () => {
    const { at, lent } = nodesOf(1, 1, 1, 1)
    const [one, two, three, four] = [{}, {}, {}, {}]
    for (const [index, holder] of [one, two, three, four].entries()) await at(index).take(holder)
    void at(1).take(one)
    const backOfTwo = await at(0).take(two)
    void at(3).take(three)
    const waits = at(2).take(four)
    await new Promise((resolve) => setImmediate(resolve))
    expect(lent).toEqual([1, 0, 0, 0])
    backOfTwo()
    await waits
    expect(lent).toEqual([0, 0, 1, 0])
  })

  it('are asked for on two nodes at once', async () => {
    const { at, lent } = nodesOf(1, 1, 1)
    const [one, two, three] = [{}, {}, {}]
    for (const [index, holder] of [one, two, three].entries()) await at(index).take(holder)
    void at(0).take(two)
    void at(0).take(three)
    const both = await Promise.all([at(1).take(one), at(2).take(one)])
    expect(lent).toEqual([0, 1, 1])
    for (const giveBack of both) giveBack()
    expect(lent).toEqual([0, 0, 0])
  })

  it('wait where a holder goes on', async () => {
    const { at } = nodesOf(2, 1)
    const [one, two, busy] = [{}, {}, {}]
    await at(0).take(one)
    const backOfBusy = await at(0).take(busy)
    await at(1).take(two)
    void at(1).take(one)
    const waits = at(0).take(two)
    backOfBusy()
    await expect(waits).resolves.toBeTypeOf('function')
  })

  it('wait while a turn goes from hand to hand', async () => {
    const { at } = nodesOf(1)
    const giveBack = await at(0).take({})
    const next = at(0).take({})
    giveBack()
    const waits = at(0).take({})
    ;(await next)()
    await expect(waits).resolves.toBeTypeOf('function')
  })

  it('forget a wait that was given up', async () => {
    const { at, lent } = nodesOf(1, 1)
    const [one, two] = [{}, {}]
    await at(0).take(one)
    const backOfTwo = await at(1).take(two)
    const given = at(1).take(one)
    ;(await at(0).take(two))()
    backOfTwo()
    ;(await given)()
    expect(at(1).counts).toEqual({ taken: 0, waiting: 0 })
    await at(1).take(two)
    void at(0).take(two)
    expect(at(0).counts).toEqual({ taken: 1, waiting: 1 })
    expect(lent).toEqual([0, 0])
  })
})
