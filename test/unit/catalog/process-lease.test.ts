import { describe, expect, it } from 'vitest'
import { newestOf, ProcessLease } from '../../../src/catalog/process-lease'

const node = (name: string, texts: string[], answers: () => boolean) => ({
  name,
  ownSchema: 'sharding',
  facts: {} as never,
  query: async (text: string) => {
    if (!answers()) throw new Error('It does not answer.')
    texts.push(text.includes('INSERT') ? `${name} renewed` : `${name} asked`)
    return { rows: [{ epoch: '7' }] } as never
  },
})

describe('the lease of a process', () => {
  const start = () => {
    const texts: string[] = []
    const fences: (string | undefined)[] = []
    const state = { now: 0, epoch: 7, home: true, other: true }
    const lease = new ProcessLease({
      epoch: () => state.epoch,
      fence: (reason) => fences.push(reason?.code),
      warn: (text) => fences.push(text),
      now: () => state.now,
    })
    const home = node('home', texts, () => state.home)
    const other = node('other', texts, () => state.other)
    const look = async () => {
      lease.check()
      await lease.ask(home).catch(() => lease.renewElsewhere([other]))
    }
    return { texts, fences, state, look }
  }

  it('is renewed with the question for the epoch, when it is due and when another epoch is obeyed', async () => {
    const { texts, fences, state, look } = start()
    for (const now of [0, 1_000, 9_999, 10_000, 11_000]) {
      state.now = now
      await look()
    }
    state.epoch = 8
    await look()
    await look()
    expect(texts).toEqual([
      'home renewed',
      'home asked',
      'home asked',
      'home renewed',
      'home asked',
      'home renewed',
      'home asked',
    ])
    expect(fences).toEqual([])
  })

  it('is held by another node where the home node does not answer, and ends operations where none does', async () => {
    const { texts, fences, state, look } = start()
    await look()
    state.home = false
    for (const now of [12_000, 24_000, 36_000]) {
      state.now = now
      await look()
    }
    expect(texts).toEqual(['home renewed', 'other renewed', 'other renewed', 'other renewed'])
    state.other = false
    for (const now of [46_000, 60_999, 61_000, 62_000]) {
      state.now = now
      await look()
      expect(fences).toEqual(now < 61_000 ? [] : ['LEASE_LOST'])
    }
    state.home = true
    await look()
    expect(fences).toEqual(['LEASE_LOST', undefined])
  })
})

describe('what nodes know of processes', () => {
  it('is the newest lease of each', () => {
    const of = (id: string, expires: number, epoch: number) => ({
      id,
      author: 'me',
      pid: 1,
      epoch,
      startedAt: new Date(0),
      expiresAt: new Date(expires),
    })
    expect(newestOf([[of('a', 5, 1), of('b', 5, 1)], [of('a', 9, 2)], [of('b', 4, 0)]])).toEqual([
      of('a', 9, 2),
      of('b', 5, 1),
    ])
  })
})
