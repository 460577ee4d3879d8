import { describe, expect, it } from 'vitest'
import { afterTurning } from '../../../src/endpoints/after-turning'

const block = (milliseconds: number): void => {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

describe('afterTurning', () => {
  it('does not count the time in which the event loop was blocked', async () => {
    let isOver = false
    afterTurning(400, () => {
      isOver = true
    })
    block(1_000)
    await sleep(60)
    expect(isOver).toBe(false)
    await sleep(600)
    expect(isOver).toBe(true)
  })

  it('lets what has arrived be read first, and can be ended', async () => {
    const told: string[] = []
    afterTurning(50, () => told.push('over'))
    const end = afterTurning(50, () => told.push('ended'))
    end()
    await sleep(200)
    expect(told).toEqual(['over'])
  })
})
