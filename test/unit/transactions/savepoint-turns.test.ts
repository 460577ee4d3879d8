import { executionAsyncId } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { SavepointTurns } from '../../../src/transactions/turns'

describe('turns of savepoints', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const recorder = () => {
    const seen: string[] = []
    const step =
      (name: string, within: () => Promise<unknown> = turn) =>
      async () => {
        seen.push(`${name} begins`)
        await within()
        seen.push(`${name} ends`)
      }
    return { seen, step }
  }

  it('come one after the other, past one that fails', async () => {
    const turns = new SavepointTurns()
    const { seen, step } = recorder()
    const failing = turns.run(step('a', () => turn().then(() => Promise.reject(new RangeError('no')))))
    const next = turns.run(step('b'))
    await expect(failing).rejects.toThrow(RangeError)
    await next
    expect(seen).toEqual(['a begins', 'b begins', 'b ends'])
  })

  it('are within the turn that asks for them, also from the turn of another transaction, and take turns there', async () => {
    const [turns, others] = [new SavepointTurns(), new SavepointTurns()]
    const { seen, step } = recorder()
    const inner = () => Promise.all([turns.run(step('b')), others.run(step('c', () => turns.run(step('d'))))])
    await Promise.all([turns.run(step('a', inner)), turns.run(step('e'))])
    expect(seen).toEqual([
      'a begins',
      'b begins',
      'c begins',
      'b ends',
      'd begins',
      'd ends',
      'c ends',
      'a ends',
      'e begins',
      'e ends',
    ])
  })

  it('leave no promise hooks behind, which would slow every promise of the process', async () => {
    const idsOfPromises = () => Promise.all([1, 2].map(() => Promise.resolve().then(() => executionAsyncId())))
    const before = await idsOfPromises()
    const turns = new SavepointTurns()
    const { step } = recorder()
    await Promise.allSettled([
      turns.run(step('a', () => turns.run(step('b')))),
      turns.run(step('c', () => turn().then(() => Promise.reject(new RangeError('no'))))),
    ])
    expect(await idsOfPromises()).toEqual(before)
  })
})
