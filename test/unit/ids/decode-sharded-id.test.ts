import { describe, expect, it } from 'vitest'
import { decodeShardedId, slotOfId } from '../../../src/ids/decode-sharded-id'
import { formatShardedId } from '../../../src/ids/format-sharded-id'

const time = new Date('2026-11-23T16:29:47.773Z')

describe('decodeShardedId', () => {
  it('tells the kinds apart and reads them', () => {
    expect(decodeShardedId('392492097858728642')).toEqual({ kind: '64-bit', time, worker: 17, slot: 1_234 })
    expect(decodeShardedId(392492097858728642n)).toEqual({ kind: '64-bit', time, worker: 17, slot: 1_234 })
    const narrow = { kind: '53-bit', time: new Date('2026-11-23T16:31:18.750Z'), worker: 17, slot: 1_234 }
    expect(decodeShardedId(383293446179156)).toEqual(narrow)
    expect(decodeShardedId('383293446179156')).toEqual(narrow)
    expect(decodeShardedId('01A2093E-0B88-748C-A3B3-2513110207AF')).toEqual({
      kind: 'uuid',
      time: new Date('2026-11-23T16:29:50.856Z'),
      worker: undefined,
      slot: 1_234,
    })
  })

  it.each([
    '42',
    42,
    -1n,
    1.5,
    '',
    'abc',
    '7d444840-9dc0-41d1-b245-5ffdce74fad2',
    2n ** 63n,
    Number('392492097858728642'),
  ])('refuses %s', (id) => {
    expect(() => decodeShardedId(id)).toThrow(expect.objectContaining({ code: 'ID_INVALID' }))
  })

  it('says an id in words', () => {
    expect(formatShardedId('392492097858728642')).toBe('2026-11-23T16:29:47.773Z w17 s01234')
    expect(formatShardedId('01a2093e-0b88-748c-a3b3-2513110207af')).toBe('2026-11-23T16:29:50.856Z s01234')
  })

  it('finds the slot of an id by the kind of its column alone', () => {
    expect(slotOfId('64-bit', '392492097858728642')).toBe(1_234)
    expect(slotOfId('53-bit', '392492097858728642')).toBeUndefined()
    expect(slotOfId('64-bit', '383293446179156')).toBeUndefined()
    expect(slotOfId('sequence', '392492097858728642')).toBeUndefined()
  })
})
