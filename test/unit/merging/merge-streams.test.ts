import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareRows } from '../../../src/merging/comparator'
import { mergeSorted } from '../../../src/merging/merge-sorted'
import { mergeStreams } from '../../../src/merging/merge-streams'
import type { Row } from '../../../src/merging/row'

const compare = compareRows([{ column: '__k0', kind: 'integer', descending: false, nullsFirst: false }])
const rowsOf = (name: string | number, keys: readonly number[]): Row[] =>
  keys.map((key, index) => ({ __k0: key, id: `${name}:${index}` }))

interface Fault {
  readonly failAt?: number
  readonly failClosing?: boolean
}

/** Streams that write down what happens to them. */
const createStreams = () => {
  const events: string[] = []
  const stream = (name: string, keys: readonly number[], fault: Fault = {}): AsyncIterable<Row> => ({
    async *[Symbol.asyncIterator]() {
      let position = 0
      try {
        for (const row of rowsOf(name, keys)) {
          if (position === fault.failAt) throw new Error(`${name} failed`)
          position++
          yield row
        }
      } finally {
        events.push(`closed ${name} after ${position}`)
        if (fault.failClosing === true) await Promise.reject(new Error(`${name} did not close`))
      }
    },
  })
  return { events, stream }
}

const collect = async (rows: AsyncIterable<Row>): Promise<Row[]> => {
  const all: Row[] = []
  for await (const row of rows) all.push(row)
  return all
}

describe('mergeStreams', () => {
  it('gives what mergeSorted gives', async () => {
    const lists = fc.array(
      fc.array(fc.nat(5), { maxLength: 6 }).map((keys) => keys.sort()),
      { maxLength: 6 },
    )
    await fc.assert(
      fc.asyncProperty(lists, async (keys) => {
        const { stream } = createStreams()
        const merged = await collect(
          mergeStreams(
            keys.map((list, index) => stream(String(index), list)),
            compare,
          ),
        )
        expect(merged).toEqual(
          mergeSorted({ sources: keys.map((list, index) => ({ rows: rowsOf(index, list) })), compare }),
        )
      }),
    )
  })

  it('reads no further than it must, and closes every source when the consumer stops', async () => {
    const { events, stream } = createStreams()
    const seen: unknown[] = []
    for await (const { id } of mergeStreams([stream('a', [1, 3, 5]), stream('b', [2, 4])], compare)) {
      seen.push(id)
      if (seen.length === 2) break
    }
    expect(seen).toEqual(['a:0', 'b:0'])
    expect(events).toEqual(['closed a after 2', 'closed b after 1'])
  })

  it('closes the others when one fails, while merging and at the start', async () => {
    for (const failAt of [1, 0]) {
      const { events, stream } = createStreams()
      const merged = mergeStreams([stream('a', [1, 3, 5]), stream('b', [0, 4], { failAt }), stream('c', [9])], compare)
      await expect(collect(merged)).rejects.toThrow('b failed')
      expect([...events].sort()).toEqual(['closed a after 1', `closed b after ${failAt}`, 'closed c after 1'])
    }
  })

  it('closes all when a source is out of order', async () => {
    const { events, stream } = createStreams()
    const merged = mergeStreams([stream('a', [2, 1]), stream('b', [7])], compare)
    await expect(collect(merged)).rejects.toMatchObject({ code: 'MERGE_ORDER', details: { source: 0, position: 1 } })
    expect(events).toEqual(['closed a after 2', 'closed b after 1'])
  })

  it('closes the opened ones when one cannot be opened', async () => {
    const closed: string[] = []
    const opened: AsyncIterable<Row> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: true, value: undefined }),
        return: async () => {
          closed.push('a')
          return { done: true, value: undefined }
        },
      }),
    }
    const broken: AsyncIterable<Row> = {
      [Symbol.asyncIterator]: () => {
        throw new Error('cannot open')
      },
    }
    await expect(collect(mergeStreams([opened, broken], compare))).rejects.toThrow('cannot open')
    expect(closed).toEqual(['a'])
  })

  it('does not close a source that has ended', async () => {
    const closed: string[] = []
    const ended: AsyncIterable<Row> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: true, value: undefined }),
        return: async () => {
          closed.push('ended')
          return { done: true, value: undefined }
        },
      }),
    }
    const { stream } = createStreams()
    expect(await collect(mergeStreams([ended, stream('a', [1])], compare))).toHaveLength(1)
    expect(closed).toEqual([])
  })

  it('throws a failure to close, but not over an earlier failure', async () => {
    const { events, stream } = createStreams()
    const stopped = async () => {
      for await (const _ of mergeStreams([stream('a', [1, 2], { failClosing: true }), stream('b', [3])], compare)) break
    }
    await expect(stopped()).rejects.toThrow('a did not close')
    expect(events).toEqual(['closed a after 1', 'closed b after 1'])
    const failing = mergeStreams(
      [stream('c', [1, 2], { failClosing: true }), stream('d', [0, 1], { failAt: 1 })],
      compare,
    )
    await expect(collect(failing)).rejects.toThrow('d failed')
  })
})
