import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Permits } from '../../../src/endpoints/permits'
import type { LookupBinding } from '../../../src/typeorm/binding/lookups'
import { Lookups } from '../../../src/typeorm/binding/lookups'

const binding = (name: string) => ({ table: { name, source: { group: 'g', table: 't' } } }) as LookupBinding

describe('which lookups are complete', () => {
  const asked = vi.fn<() => Promise<readonly string[]>>()
  const lookups = () =>
    new Lookups([binding('a'), binding('b')], { askReady: asked, writes: new Permits('of any lookup', 1) })
  const ready = (known: Lookups) => known.readyOf({ tableName: 't' }).map(({ table }) => table.name)
  /** Lets what was asked answer. */
  const answered = () => Promise.resolve()

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] })
    vi.advanceTimersByTime(10_000)
    asked.mockReset().mockResolvedValue(['a'])
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is asked beside reads, every three seconds at the most, until all are', async () => {
    const known = lookups()
    for (let read = 0; read < 100; read++) expect(known.anyReady()).toBe(false)
    expect(asked).toHaveBeenCalledTimes(1)
    await answered()
    expect(known.anyReady()).toBe(true)
    expect(ready(known)).toEqual(['a'])
    vi.advanceTimersByTime(2_999)
    known.anyReady()
    expect(asked).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(1)
    asked.mockResolvedValue(['a', 'b'])
    known.anyReady()
    expect(asked).toHaveBeenCalledTimes(2)
    await answered()
    vi.advanceTimersByTime(60_000)
    known.anyReady()
    expect(ready(known)).toEqual(['a', 'b'])
    expect(asked).toHaveBeenCalledTimes(2)
  })

  it('is not what was asked before this process knew better', async () => {
    const known = lookups()
    known.anyReady()
    known.setReady([])
    await answered()
    expect(ready(known)).toEqual([])
  })

  it('is asked again after a failure, which no read hears of', async () => {
    const known = lookups()
    asked.mockRejectedValueOnce(new Error('down'))
    expect(known.anyReady()).toBe(false)
    await answered()
    vi.advanceTimersByTime(3_000)
    known.anyReady()
    await answered()
    expect(ready(known)).toEqual(['a'])
  })
})
