import { describe, expect, it } from 'vitest'
import type { LookupTable } from '../../../src/lookups/lookup-table'
import { lookupWrites } from '../../../src/lookups/lookup-writes'
import type { CapturedChange } from '../../../src/lookups/write-order'
import { orderOfRows } from '../../../src/lookups/write-order'

const table: LookupTable = {
  name: 'user_email_lookup',
  columns: [
    { name: 'email', type: 'text' },
    { name: 'id', type: 'integer' },
  ],
  valueCount: 1,
  key: [1],
  primaryKey: [1],
  isUnique: true,
  constraint: 'UQ_email',
  source: { table: 'user', group: 'user' },
}

/** `+a1` on shard s: row 1 has come to have the value a, by an UPDATE; `+a1i` by an INSERT, `-a1d` by a DELETE. */
const changes = (...texts: readonly string[]): readonly CapturedChange[] =>
  texts.map((text, index) => {
    const [, sign, value = '', id = '', event = 'u', source = 's', statement] =
      /^([+-])([a-z])(\d)([id])?(?:@(\w))?(?::(\d))?$/.exec(text) ?? []
    return {
      lookup: table.name,
      isGain: sign === '+',
      event: { u: 'UPDATE', i: 'INSERT', d: 'DELETE' }[event] ?? '',
      entry: [value, id],
      source,
      statement: statement === undefined ? index : Number(statement),
    }
  })

const written = (...texts: readonly string[]) => {
  const { losses, gains, lateLosses } = lookupWrites(table, changes(...texts))
  const short = (list: readonly (readonly string[])[]) => list.map((entry) => entry.join('')).join(' ')
  return { losses: short(losses), gains: short(gains), late: short(lateLosses) }
}

describe('lookupWrites', () => {
  it('makes gains and losses of changes', () => {
    expect(written('+a1', '-b2')).toEqual({ losses: 'b2', gains: 'a1', late: '' })
  })

  it('forgets what was gained and lost again', () => {
    expect(written('-a1', '+b1:1', '-b1:1', '+c1')).toEqual({ losses: 'a1', gains: 'c1', late: '' })
    expect(written('-a1', '+b1:1', '-b1:1', '+a1')).toEqual({ losses: '', gains: '', late: '' })
    const { losses, gains, lateLosses } = lookupWrites(
      { ...table, isUnique: false },
      changes('-a1', '+b1', '-b1', '+c1'),
    )
    expect([losses, gains, lateLosses]).toEqual([[['a', '1']], [['c', '1']], []])
  })

  it('looks whether another row has what a row had for a moment', () => {
    expect(written('-a1', '+b1', '-b1', '+c1')).toEqual({ losses: 'a1', gains: 'c1 b1', late: 'b1' })
    // Let go before, by another row; and after.
    expect(written('-b2', '+b1', '-b1')).toEqual({ losses: 'b2', gains: 'b1', late: 'b1' })
    expect(written('+b1', '-b1', '-b2')).toEqual({ losses: '', gains: 'b1', late: 'b2 b1' })
    // Taken by another row before it is let go; and after.
    expect(written('+b1', '+b2', '-b1')).toEqual({ losses: '', gains: 'b2 b1', late: 'b1' })
    expect(written('+b1', '-b1', '+b2')).toEqual({ losses: '', gains: 'b2', late: '' })
    // What a row gives up and takes back.
    expect(written('-b1', '+b1')).toEqual({ losses: '', gains: '', late: '' })
  })

  it('takes changes in the order of their statements, in whatever order they come', () => {
    expect(written('-b1:2', '+b1:1')).toEqual({ losses: '', gains: 'b1', late: 'b1' })
    expect(written('+b1:2', '-b1:1')).toEqual({ losses: '', gains: '', late: '' })
  })

  it('compares a row that is written twice with one of another shard by their places', () => {
    const twice = (...ids: readonly string[]) => {
      const order = orderOfRows(true, () => ids.map((id) => ({ table: 'user', primaryKey: id })))
      const { gains, lateLosses } = lookupWrites(table, changes('+b1@s:1', '-b1@s:2', '+b2@t:1'), order)
      return [gains, lateLosses].map((list) => list.map((entry) => entry.join('')).join(' '))
    }
    expect(twice('1', '2', '1')).toEqual(['b2 b1', 'b1'])
    expect(twice('2', '1', '1')).toEqual(['b2 b1', 'b1'])
    expect(twice('1', '1', '2')).toEqual(['b2', ''])
  })

  it('lets a value go from one row to another that takes it later', () => {
    expect(written('-a1', '+a2')).toEqual({ losses: 'a1', gains: 'a2', late: '' })
  })

  it('keeps a value that was taken before it was let go, as one database does', () => {
    expect(written('+a2', '-a1')).toEqual({ losses: '', gains: 'a2', late: 'a1' })
  })

  it('does not compare the statements of two shards', () => {
    expect(written('+a2@x:1', '-a1@y:2')).toEqual({ losses: 'a1', gains: 'a2', late: '' })
  })

  it('compares rows of two shards by their places in the write', () => {
    const inOrder = (isByKind: boolean, rows: string, ...texts: readonly string[]) => {
      const order = orderOfRows(isByKind, () => [...rows].map((primaryKey) => ({ table: 'user', primaryKey })))
      const { losses, lateLosses, unordered } = lookupWrites(table, changes(...texts), order)
      return [losses, lateLosses, unordered].map((list) => list.map((entry) => entry.join('')).join(' '))
    }
    expect(inOrder(true, '12', '+a2@x:1', '-a1@y:1')).toEqual(['a1', '', ''])
    expect(inOrder(true, '21', '+a2@x:1', '-a1@y:1')).toEqual(['', 'a1', ''])
    expect(inOrder(false, '21', '+a2@x:1', '-a1@x:1')).toEqual(['', 'a1', ''])
    // Inserts before updates, updates before deletes, wherever they stand.
    expect(inOrder(true, '12', '+a2i@x:1', '-a1@y:1')).toEqual(['', 'a1', ''])
    expect(inOrder(true, '12', '+a2@x:1', '-a1d@y:1')).toEqual(['', 'a1', ''])
    expect(inOrder(false, '12', '+a2i@x:1', '-a1@y:1')).toEqual(['a1', '', ''])
    // A row that moved from shard y to z was deleted and inserted, and is an update.
    expect(inOrder(true, '12', '+a2@x:1', '-b1d@y:1', '+b1i@z:1', '-a1@z:2')).toEqual(['a1', '', ''])
    // A row without a place.
    expect(inOrder(true, '', '+a2@x:1', '-a1@x:2')).toEqual(['', 'a1', ''])
    expect(inOrder(true, '', '+a2@x:1', '-a1@y:2')).toEqual(['a1', '', ''])
    expect(inOrder(false, '', '+a2@x:1', '-a1@y:2')).toEqual(['a1', '', 'a1'])
  })

  it('lets values move on in a row within one statement, and not in a circle', () => {
    expect(written('-a1:1', '-b2:1', '+b1:1', '+c2:1').late).toBe('')
    expect(written('-a1:1', '-b2:1', '+b1:1', '+a2:1').late).toBe('b2 a1')
    expect(written('-a1@x:1', '-b2@y:1', '-c3@z:1', '+b1@x:1', '+c2@y:1', '+a3@z:1').late).toBe('b2 c3 a1')
  })

  it('moves a row that keeps its value', () => {
    const moved = lookupWrites({ ...table, columns: [...table.columns, { name: 'key', type: 'integer' }], key: [2] }, [
      { lookup: table.name, event: 'INSERT', isGain: true, entry: ['a', '1', '20'], source: 'y', statement: 1 },
      { lookup: table.name, event: 'DELETE', isGain: false, entry: ['a', '1', '10'], source: 'x', statement: 1 },
    ])
    expect(moved).toEqual({ losses: [['a', '1', '10']], gains: [['a', '1', '20']], lateLosses: [], unordered: [] })
  })

  it('leaves the order of values that may repeat to itself', () => {
    expect(lookupWrites({ ...table, isUnique: false }, changes('+a2', '-a1')).lateLosses).toEqual([])
  })
})
