import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { describe, expect, it } from 'vitest'
import { restTogether } from '../../../src/typeorm/runners/resting-broadcaster'

/** Listeners that work for a few turns of the event loop, and what they have done. */
function listeners() {
  const done: string[] = []
  const result = new BroadcasterResult()
  const works = (name: string) => async () => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    done.push(name)
  }
  const tell = (...told: readonly (() => Promise<void>)[]) =>
    restTogether(result, () => {
      for (const listener of told) result.promises.push(listener())
    })
  return { done, result, works, tell }
}

const fails = async () => {
  throw new RangeError('one')
}
const throws = () => {
  throw new RangeError('at once')
}

describe('restTogether', () => {
  it('lets a failure go on when all that were told have come to rest', async () => {
    const { done, result, works, tell } = listeners()
    tell(works('a'), fails)
    tell(works('b'))
    await expect(result.wait()).rejects.toThrow('one')
    expect(done).toEqual(['a', 'b'])
  })

  it('throws the first of several failures', async () => {
    const { done, result, works, tell } = listeners()
    tell(async () => {
      await works('a')()
      throw new RangeError('two')
    })
    tell(fails, works('b'))
    await expect(result.wait()).rejects.toThrow('one')
    expect(done).toEqual(['a', 'b'])
  })

  it('tells nobody after a listener that throws at once, and waits for those before it', async () => {
    const { done, result, works, tell } = listeners()
    tell(works('a'))
    tell(works('b'), throws, works('c'))
    tell(works('d'))
    await expect(result.wait()).rejects.toThrow('at once')
    expect(done).toEqual(['a', 'b'])
  })

  it('waits for what a call around it adds', async () => {
    const { done, result, works, tell } = listeners()
    restTogether(result, () => {
      tell(fails)
      result.promises.push(works('check')())
    })
    await expect(result.wait()).rejects.toThrow('one')
    expect(done).toEqual(['check'])
  })

  it('keeps results apart', async () => {
    const [one, other] = [listeners(), listeners()]
    one.tell(fails, async () => {
      other.tell(other.works('b'))
    })
    await expect(one.result.wait()).rejects.toThrow('one')
    expect(other.done).toEqual([])
    await other.result.wait()
    expect(other.done).toEqual(['b'])
  })
})
